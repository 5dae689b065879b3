"""TOML tables that say where they are when they are wrong."""

import pytest

from beholder.errors import ConfigError
from beholder.scoring.table import Table


def test_a_whole_number_is_also_a_float_but_true_is_no_number() -> None:
    assert Table({"a": 1}, "f").get("a", float) == 1
    with pytest.raises(ConfigError, match="f: a: want float, got True"):
        Table({"a": True}, "f").get("a", float)


def test_a_table_inside_names_its_way() -> None:
    inner = Table({"a": {"b": {"c": 1}}}, "f.toml").table("a").table("b")
    with pytest.raises(ConfigError, match=r"f.toml: \[a\]: \[b\]: c: want str, got 1"):
        inner.get("c", str)


def test_a_key_that_nobody_read_is_refused_with_the_nearest() -> None:
    table = Table({"nmae": 1}, "f.toml")
    table.get("name", int, 0)
    with pytest.raises(ConfigError, match=r"f.toml: unknown key nmae; did you mean name\?"):
        table.done()


def test_a_key_like_no_other_is_refused_with_all_that_are_known() -> None:
    table = Table({"zzz": 1}, "f.toml")
    table.get("name", int, 0)
    with pytest.raises(ConfigError, match="unknown key zzz; known: name"):
        table.done()
