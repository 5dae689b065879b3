"""How many cores the service takes for its own."""

from pathlib import Path

import pytest

from beholder.app import usable_cores


@pytest.mark.parametrize(
    ("text", "cores"), [("100000 100000\n", 1), ("50000 100000\n", 1), ("max 100000\n", None), ("", None)]
)
def test_a_cpu_quota_lowers_the_number_of_cores(tmp_path: Path, text: str, cores: int | None) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text(text)
    assert usable_cores(quota) == (cores or usable_cores(tmp_path / "nonesuch"))


def test_a_generous_quota_gives_no_cores_that_are_not_there(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text("6400000 100000\n")
    assert usable_cores(quota) == usable_cores(tmp_path / "nonesuch")
