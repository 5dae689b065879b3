"""A wrong setting is told by its name, with the limit and what was found."""

import pytest

from beholder.config import config_from
from beholder.errors import ConfigError


@pytest.mark.parametrize("name", ["BEHOLDER_ADDRESS", "BEHOLDER_METRICS_ADDRESS"])
def test_a_wrong_address_is_told_by_the_setting_it_stands_in(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: want host:port with a port from 0 to 65535, got 'localhost'$"):
        config_from({name: "localhost"})


def test_a_limit_is_written_out() -> None:
    with pytest.raises(ConfigError, match=r"^BEHOLDER_MAX_QUEUE_ROWS: want 1 to 10000000, got 0$"):
        config_from({"BEHOLDER_MAX_QUEUE_ROWS": "0"})
