"""What figures say, in words: who won, who lost, and what can't be told apart."""

from collections.abc import Iterable, Iterator, Sequence

from bench.taste.found import Found
from bench.taste.statistics import Estimate

FEW_COUNTS = ("1", "2", "3", "5", "8", "20")
VERDICTS = {1: "better", -1: "worse", 0: "not significant"}


def number(value: float, digits: int = 2) -> str:
    """Return a number, or a dash for NaN."""
    return "-" if value != value else f"{value:.{digits}f}"


def cell(found: Estimate, each: Sequence[float], digits: int = 2) -> str:
    """Return a mean with its interval, or else each person's number."""
    if found.is_known:
        return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"
    return ", ".join(number(value, digits) for value in each)


def compared(found: Estimate) -> str:
    """Return a difference with what may be said of it."""
    if found.is_known:
        return f"{found.mean:+.3f} ({found.low:+.3f} to {found.high:+.3f}): {VERDICTS[found.sign]}"
    if not found.people:
        return "-"
    if found.people == 1:
        return f"{found.mean:+.3f}, one person"
    return f"{found.mean:+.3f}, higher for {found.positive} of {found.people}"


def percent(value: float) -> str:
    """Return a share in percent."""
    return "-" if value != value else f"{100 * value:.{2 if 0 < value < 0.001 else 1}f} %"


def of_100(share: float) -> str:
    """Return how many of 100; nearly all are not all."""
    return ">99" if 0.995 <= share < 1 else f"{100 * share:.0f}"


def outcomes(sets: Iterable[Found]) -> dict[int, list[str]]:
    """Return by sign (-1 lost, 0 not told apart, 1 won) what came of tastes against what is simpler."""
    result: dict[int, list[str]] = {-1: [], 0: [], 1: []}
    for found in sets:
        for sign, lines in result.items():
            said = []
            for rival, contest in found.contests().items():
                counts = [n for n, one in contest.items() if one.is_known and one.sign == sign]
                said += [f"{rival} (n = {', '.join(counts)})"] if counts else []
            if said:
                lines.append(f"- *{found.name}*, {people(found)}: {'; '.join(said)}.")
    return result


def few(sets: Iterable[Found]) -> Iterator[tuple[str, ...]]:
    """Yield rows of what came of sets with too few people for an interval."""
    for found in sets:
        contests = found.contests()
        if not any(one.is_known for contest in contests.values() for one in contest.values()):
            for rival, contest in contests.items():
                columns = [f"{contest[n].mean:+.2f}" if n in contest else "-" for n in FEW_COUNTS]
                yield f"*{found.name}*, {people(found)}", rival, *columns


def people(found: Found) -> str:
    """Return how many people figures are about."""
    return "one person" if len(found.fresh) == 1 else f"{len(found.fresh)} people"


def gate(name: str, found: Estimate, limit: float) -> str:
    """Return whether a share stays under what was aimed at."""
    said = f"{percent(found.mean)} on *{name}*"
    if found.is_known:
        said += f" ({percent(found.low)} to {percent(found.high)})"
    if found.mean >= limit:
        return f"{said}: **missed**"
    if found.is_known and found.high >= limit:
        return f"{said}: kept on average, not shown of all people"
    return f"{said}: kept" + ("" if found.is_known else ", of too few people to be sure")
