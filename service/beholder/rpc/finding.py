"""What a request names, found: scorers of the catalogue, and tastes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from beholder.engine.engine import Engine
from beholder.errors import InputError, TasteNotServed
from beholder.inputs.image import digest
from beholder.rpc.call import apart
from beholder.scoring.asked import Scorer
from beholder.taste.scorer import name_in
from beholder.taste.tastes import Tastes
from beholder.types import Kind, Sample

NO_STORE = "this server keeps no tastes: start it with BEHOLDER_TASTE_STORE=FILE"


class Finder:
    """Finds what can be asked.

    Args:
        tastes: None where none are kept.
    """

    def __init__(self, engine: Engine, tastes: Tastes | None) -> None:
        self._engine, self._tastes = engine, tastes

    def at_once(self, names: Sequence[str], panel: str = "", *, explain: bool = False) -> list[Scorer] | None:
        """Return what `find` does where that takes no reading, else None; never blocks."""
        asked = self._engine.catalog.names(names, panel)
        tastes = [name for name in map(name_in, asked) if name is not None]
        known = self._tastes.learned.all_remembered(tastes) if self._tastes else {}
        if known is None:
            return None
        return [
            known.get(name) or self.find_one(name, f"scorers[{place}]", explain=explain)
            for place, name in enumerate(asked)
        ]

    def find(self, names: Sequence[str], panel: str = "", *, explain: bool = False) -> list[Scorer]:
        """Return the scorers of a request, in the order of their names.

        Raises:
            InvalidSample: neither names nor a panel, or both; a name that comes twice.
            ScorerNotFound: a name that nothing has.
            ScorerNotExported: a scorer, or a taste, that can't be asked on this server.
            StoreUnavailable: a taste can't be read just now.
        """
        asked = self._engine.catalog.names(names, panel)
        return [self.find_one(name, f"scorers[{place}]", explain=explain) for place, name in enumerate(asked)]

    def find_one(self, name: str, field: str, *, explain: bool = False) -> Scorer:
        """Return one scorer; see `find`."""
        taste = name_in(name)
        if taste is None:
            return self._engine.scorer(name, field, explain=explain)
        if self._tastes is None:
            raise TasteNotServed(NO_STORE, field)
        return self._tastes.learned.scorer(taste, field)

    async def find_one_apart(self, name: str, field: str, threads: ThreadPoolExecutor) -> Scorer:
        """Return one scorer, read in a thread where it is a taste that is not in memory; see `find`."""
        taste = name_in(name)
        if taste is None or self._tastes is None:
            return self.find_one(name, field)
        known = self._tastes.learned.all_remembered([taste])
        return known[name] if known else await apart(threads, partial(self.find_one, name, field))


def asks_taste(scorers: Sequence[Scorer]) -> bool:
    """Tell whether any of them is a taste."""
    return any(scorer.spec.kind is Kind.TASTE for scorer in scorers)


def image_ids(samples: Sequence[Sample | InputError], scorers: Sequence[Scorer]) -> list[str]:
    """Return what opinions may call each candidate later; empty where no taste is asked, or there is no image."""
    if not asks_taste(scorers):
        return [""] * len(samples)
    return ["" if isinstance(sample, InputError) else digest(sample.candidate).hex() for sample in samples]
