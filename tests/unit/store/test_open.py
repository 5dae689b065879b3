"""An address names its store."""

import sys
from pathlib import Path

import pytest

from beholder.errors import ConfigError
from beholder.store.open import open_store
from beholder.store.sqlite import SqliteStore
from beholder.store.store import Limits


def test_a_path_is_a_file_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tastes.db", ":memory:", "file:tastes?mode=memory"):
        store = open_store(name, Limits())
        assert isinstance(store, SqliteStore)
        assert (tmp_path / name).exists()
        store.close()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_without_its_client_a_postgresql_address_says_what_to_install(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "beholder.store.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"beholder\[postgres\]"):
        open_store(f"{scheme}://ann@host/tastes", Limits())
