"""Which scorers are asked where none is named."""

from dataclasses import replace
from typing import Any

import click
import pytest
from scorer_infos import PLAIN

from beholder.cli.asking import choose_scorers
from beholder.client import ScorerInfo

QUALITY = PLAIN
SAFETY = replace(QUALITY, name="safety")
FIDELITY = replace(QUALITY, name="fidelity", needs_reference=True)
ADHERENCE = replace(QUALITY, name="adherence", needs_prompt=True)
ALL = (QUALITY, SAFETY, FIDELITY, ADHERENCE)


class Caller:
    """A server of these scorers with a panel `usual`."""

    def __init__(self, scorers: tuple[ScorerInfo, ...], usual: tuple[str, ...]) -> None:
        self._scorers, self._usual = scorers, usual

    def scorers(self) -> list[ScorerInfo]:
        return list(self._scorers)

    def scorer(self, name: str) -> ScorerInfo:
        """Tastes are not listed."""
        assert name.startswith("taste/")
        return replace(PLAIN, name=name)

    def panels(self) -> dict[str, tuple[str, ...]]:
        return {"usual": self._usual}


def chosen(scorers: tuple[ScorerInfo, ...], usual: tuple[str, ...], **given: Any) -> list[str]:
    caller: Any = Caller(scorers, usual)
    terms: dict[str, Any] = {"names": [], "has_reference": False, "has_prompt": False} | given
    return [scorer.name for scorer in choose_scorers(caller, usual="usual", **terms)]


def absent(scorer: ScorerInfo) -> ScorerInfo:
    return replace(scorer, ready=False, not_ready_reason="never exported")


def test_the_usual_panel_is_asked_in_its_order_as_far_as_it_is_ready() -> None:
    assert chosen(ALL, ("safety", "quality", "gone")) == ["safety", "quality"]
    assert chosen((QUALITY, absent(SAFETY)), ("safety", "quality")) == ["quality"]


def test_all_that_are_ready_are_asked_where_the_usual_panel_is_not_served() -> None:
    assert chosen((QUALITY, absent(SAFETY), FIDELITY), ("safety",)) == ["quality"]
    assert chosen((QUALITY, SAFETY), ()) == ["quality", "safety"]


def test_all_that_are_ready_are_asked_where_the_usual_panel_takes_not_all_that_is_given() -> None:
    assert chosen(ALL, ("safety",), has_prompt=True) == ["quality", "safety", "adherence"]
    assert chosen(ALL, ("fidelity",), has_reference=True, has_prompt=True) == [scorer.name for scorer in ALL]


def test_where_nothing_is_ready_the_usual_panel_says_why() -> None:
    with pytest.raises(click.UsageError, match="safety is not ready: never exported"):
        chosen((absent(QUALITY), absent(SAFETY)), ("safety",))


def test_tastes_are_asked_alone_or_beside_what_is_named_or_the_panel() -> None:
    assert chosen(ALL, ("safety",), tastes=["taste/ann"]) == ["taste/ann"]
    assert chosen(ALL, ("safety",), names=["quality"], tastes=["taste/ann"]) == ["quality", "taste/ann"]
    assert chosen(ALL, ("safety",), panel="usual", tastes=["taste/ann"]) == ["safety", "taste/ann"]


def test_what_nobody_takes_is_in_vain() -> None:
    with pytest.raises(click.UsageError, match="--prompt is in vain: not taken by safety"):
        chosen((QUALITY, SAFETY), ("safety",), has_prompt=True)
    with pytest.raises(click.UsageError, match="no scorer can use what is given"):
        chosen((FIDELITY,), ("fidelity",))
