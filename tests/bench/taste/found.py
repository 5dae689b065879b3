"""What docs/taste.json holds of one set of people, as estimates."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.taste.statistics import Estimate, difference, estimate
from bench.taste.ways import ANOTHER, BOTH, DEPARTING, LIKES, LOGISTIC, NEAREST, POPULATION, SAME_LOGISTIC

RIVALS = (POPULATION, LOGISTIC, SAME_LOGISTIC, NEAREST, ANOTHER)
"""What a taste has to beat."""
TOLD = {BOTH: BOTH, LIKES: "likes alone"}
"""What was told where P(like) was measured, as readers are told."""
EVEN_BRIER = 0.25
"""The squared error of always saying 0.5."""


@dataclass(frozen=True)
class Found:
    """One set of people, measured with one encoder; what is said is of fresh people unless it is told otherwise."""

    name: str
    kept: Mapping[str, Any]

    @property
    def fresh(self) -> list[int]:
        """The places of the people whom no setting was chosen on."""
        return [place for place, person in enumerate(self.kept["people"]) if person not in self.kept["chosen_on"]]

    @property
    def old(self) -> list[int]:
        """The places of the others."""
        return [place for place, person in enumerate(self.kept["people"]) if person in self.kept["chosen_on"]]

    def ways(self, measure: str = "auc") -> list[str]:
        """Return the ways that were measured."""
        return list(self.kept["curves"].get(measure, {}))

    def counts(self, way: str = BOTH) -> list[str]:
        """Return with how many examples."""
        return list(self.kept["curves"]["auc"].get(way, {}))

    def each(self, way: str, count: str, measure: str = "auc", places: Iterable[int] | None = None) -> list[float]:
        """Return each person's number; NaN for who could not be asked so much."""
        column = self.kept["curves"].get(measure, {}).get(way, {}).get(count)
        chosen = self.fresh if places is None else places
        return [float("nan") if column is None or column[place] is None else column[place] for place in chosen]

    def mean(self, way: str, count: str, measure: str = "auc") -> Estimate:
        """Return the mean over people."""
        return estimate(self.each(way, count, measure))

    def against(self, ours: str, theirs: str, count: str) -> Estimate:
        """Return by how much one way's AUC exceeds another's."""
        return difference(self.each(ours, count), self.each(theirs, count))

    def better_than_even(self, kind: str, count: str) -> Estimate:
        """Return by how much the squared error of P(like) is smaller than that of always saying 0.5."""
        return estimate([EVEN_BRIER - brier for brier in self.kept["calibration"][kind][count]["brier"]])

    def contests(self) -> dict[str, dict[str, Estimate]]:
        """Return by what is simpler and by count how much better a taste was."""
        found = {
            rival: {n: self.against(BOTH, rival, n) for n in self.counts()} for rival in RIVALS if rival in self.ways()
        }
        if DEPARTING in self.ways():
            alone = f"{POPULATION} alone (where the taste starts from it)"
            found[alone] = {n: self.against(DEPARTING, POPULATION, n) for n in self.counts()}
        for kind, told in TOLD.items():
            even = f"always saying 0.5 (P(like), told {told})"
            found[even] = {n: self.better_than_even(kind, n) for n in self.kept["calibration"][kind]}
        return found


def sets_of(kept: Mapping[str, Any], encoder: str) -> list[Found]:
    """Return the sets of people of one encoder."""
    return [Found(name, one) for name, one in kept["encoders"][encoder]["sets"].items()]
