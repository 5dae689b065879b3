"""The same words as `beholder.client.Client`, in this process: no server, no socket, the same scores.

It builds the engine that a server builds, so it has the same limits and settings; it may be shared by threads.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Flag
from threading import Semaphore, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from beholder import app, types
from beholder.client import wire
from beholder.client.calls import Defaults, weights_of
from beholder.client.results import Ranked, Result, ScorerInfo
from beholder.client.retry import Retry
from beholder.client.samples import ImageLike, Sample, images_of, offer, read_image, samples_of
from beholder.client.stream import Event, NoMore, Offered
from beholder.client.sync_stream import feed
from beholder.client.taste_calls import TasteCall
from beholder.client.tastes import Tastes
from beholder.config import Config
from beholder.engine.engine import Engine
from beholder.engine.job import Job
from beholder.errors import BeholderError, InputError, ScorerNotExported
from beholder.rpc import convert
from beholder.rpc.finding import Finder, image_ids
from beholder.rpc.taste_calls import TasteCalls
from beholder.scoring import rank as ranking
from beholder.scoring.asked import Scorer
from beholder.scoring.catalog import Catalog, load_catalog, nearest, shipped_models
from beholder.scoring.spec import ScorerSpec
from beholder.taste.scorer import judged_among, name_in
from beholder.types import Normalisation, Outcome, Priority

R = TypeVar("R")


@dataclass(frozen=True)
class _Ask:
    """Which scorers to ask, and on what terms."""

    engine: Engine
    scorers: Sequence[Scorer]
    priority: Priority
    timeout_s: float
    request_id: str

    def begin(self, samples: Sequence[types.Sample | InputError]) -> Job:
        """Hand samples to the engine."""
        return self.engine.submit(
            samples,
            self.scorers,
            deadline_s=self.engine.clock() + self.timeout_s,
            priority=self.priority,
            request_id=self.request_id,
        )

    def refusal(self, error: BeholderError) -> Result:
        """Return the result of a sample that no scorer saw."""
        return Result(dict.fromkeys((scorer.spec.name for scorer in self.scorers), error), error)


class Embedded:
    """Scores without a server; building one loads the graphs and warms them up. `tastes` are those of `Client`.

    Args:
        config: settings of the engine; None means the defaults. Those of the wire have no effect.
        encoders: names of encoders that `embed` is to be asked for.
        timeout_s: deadline of a call that names none; what already runs then is still waited for.

    Raises:
        ConfigError: a setting, scorer folder or model file is wrong.
    """

    def __init__(self, config: Config | None = None, *, encoders: Sequence[str] = (), timeout_s: float = 30.0) -> None:
        self._service = app.build(config or Config(), encoders)
        self._engine, self._finder = self._service.engine, Finder(self._service.engine, self._service.tastes)
        self._timeout_s = timeout_s
        self._taste_calls = TasteCalls(self._service.tastes, self._service.config.max_samples)
        self.tastes = Tastes(self._ask_taste, Defaults(Retry(0), timeout_s, self._engine.clock))
        self._service.start()

    def score(
        self,
        candidates: ImageLike | Iterable[ImageLike],
        *,
        scorers: Sequence[str] = (),
        panel: str = "",
        references: ImageLike | Iterable[ImageLike | None] | None = None,
        prompts: str | Iterable[str | None] | None = None,
        priority: Priority = Priority.INTERACTIVE,
        explain: bool = False,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> list[Result]:
        """Score candidates in one request; see `Client.score`. Nothing is retried: a full queue is the caller's own."""
        ask = self._ask(scorers, panel, priority, timeout_s, request_id, explain)
        samples = [offer(sample, index) for index, sample in enumerate(samples_of(candidates, references, prompts))]
        ids = image_ids(samples, ask.scorers)
        return [Result(outcomes, None, one) for outcomes, one in zip(ask.begin(samples).wait(), ids, strict=True)]

    def score_stream(
        self,
        samples: Iterable[Sample | ImageLike],
        *,
        scorers: Sequence[str] = (),
        panel: str = "",
        priority: Priority = Priority.INTERACTIVE,
        explain: bool = False,
        timeout_s: float | None = None,
        request_id: str = "",
        in_flight: int = 32,
    ) -> Generator[tuple[int, Result]]:
        """Score samples as they come, any number of them; see `Client.score_stream`."""
        ask = self._ask(scorers, panel, priority, timeout_s, request_id, explain)
        inbox: SimpleQueue[Event | int] = SimpleQueue()
        slots, is_closed = Semaphore(in_flight), Flag()
        Thread(target=feed, args=(samples, slots, is_closed, inbox), daemon=True).start()
        jobs, ids, is_fed = dict[int, Job](), dict[int, str](), False
        try:
            while jobs or not is_fed:
                event = inbox.get()
                if isinstance(event, NoMore):
                    if event.error:
                        raise event.error
                    is_fed = True
                elif isinstance(event, Offered):
                    try:
                        [ids[event.index]] = image_ids([event.sample], ask.scorers)
                        jobs[event.index] = ask.begin([event.sample])
                    except BeholderError as error:
                        slots.release()
                        yield event.index, ask.refusal(error)
                    else:
                        jobs[event.index].add_done_callback(partial(inbox.put, event.index))
                elif isinstance(event, int):
                    [outcomes] = jobs.pop(event).wait()
                    slots.release()
                    found = {name: _at(event, outcome) for name, outcome in outcomes.items()}
                    yield event, Result(found, None, ids.pop(event))
        finally:
            is_closed.set()
            slots.release()
            for job in jobs.values():
                job.cancel()

    def rank(
        self,
        candidates: ImageLike | Iterable[ImageLike],
        scorers: Mapping[str, float] | Iterable[str],
        *,
        reference: ImageLike | None = None,
        prompt: str | None = None,
        normalisation: Normalisation = Normalisation.STANDARD,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> list[Ranked]:
        """Order candidates from best to worst (best-of-N); see `Client.rank`."""
        weights = weights_of(scorers)
        ask = self._ask(list(weights), "", priority, timeout_s, request_id)
        directions = {scorer.spec.name: scorer.spec.direction for scorer in ask.scorers}
        ranking.rank([], weights, directions, normalisation)  # refuses bad weights before anything runs
        compared = None if reference is None else read_image(reference, "reference")
        images = [read_image(image, f"candidates[{index}]") for index, image in enumerate(images_of(candidates))]
        samples = [types.Sample(image, compared, prompt) for image in images]
        results, ids = judged_among(ask.scorers, ask.begin(samples).wait()), image_ids(samples, ask.scorers)
        return [
            Ranked(
                place.index,
                place.total,
                Result({name: _in_rank(out) for name, out in results[place.index].items()}, None, ids[place.index]),
                {name: part for name, part in place.contributions.items() if part is not None},
                ids[place.index],
            )
            for place in ranking.rank(results, weights, directions, normalisation)
        ]

    def embed(self, images: Sequence[ImageLike], encoder: str) -> list[types.F32 | BeholderError]:
        """Return an encoder's embedding of each image, shape (D,), or why it has none.

        Raises:
            ScorerNotExported: the encoder is not loaded; name it when this is built.
        """
        graph = self._service.loaded.graphs.get(encoder)
        if graph is None or encoder not in self._engine.catalog.encoders:
            loaded = self._service.loaded.graphs.keys() & self._engine.catalog.encoders.keys()
            raise ScorerNotExported(f"no encoder {encoder!r} is loaded{nearest(encoder, loaded)}", "encoder")
        offered = [offer(image, index) for index, image in enumerate(images)]
        read = [sample.candidate if isinstance(sample, types.Sample) else sample for sample in offered]
        return self._service.embeddings.embed(read, graph, self._timeout_s)

    def scorers(self) -> list[ScorerInfo]:
        """Describe all scorers, without their cards."""
        return [self._describe(spec) for _, spec in sorted(self._engine.catalog.scorers.items())]

    def panels(self) -> dict[str, tuple[str, ...]]:
        """Return panel name -> its scorers."""
        return dict(sorted(self._engine.catalog.panels.items()))

    def scorer(self, name: str) -> ScorerInfo:
        """Describe one scorer, with its card; see `Client.scorer`."""
        if name_in(name) is not None:
            return wire.scorer_from(convert.taste_scorer_to(self._finder.find_one(name, "name")))
        spec = self._engine.catalog.scorer(name)
        return self._describe(spec, spec.card)

    def ready(self) -> bool:
        """Return whether any scorer works."""
        return any(not self._engine.not_ready_reason(name) for name in self._engine.catalog.scorers)

    def close(self) -> None:
        """Stop the threads, after what runs."""
        self._service.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(
        self,
        scorers: Sequence[str],
        panel: str,
        priority: Priority,
        timeout_s: float | None,
        request_id: str,
        explain: bool = False,
    ) -> _Ask:
        names = [scorers] if isinstance(scorers, str) else scorers
        found = self._finder.find(names, panel, explain=explain)
        wanted_s = self._timeout_s if timeout_s is None else timeout_s
        return _Ask(self._engine, found, priority, wanted_s, request_id)

    def _ask_taste(self, call: TasteCall[Any, Any, R]) -> R:
        now = self._engine.clock()
        call.answered(self._taste_calls.answer(call.method, call.request, call.left_s(now), call.terms.request_id), now)
        return call.result

    def _describe(self, spec: ScorerSpec, card: str = "") -> ScorerInfo:
        return wire.scorer_from(convert.scorer_to(spec, self._engine.not_ready_reason(spec.name), card))


def describe(config: Config, name: str = "") -> list[ScorerInfo]:
    """Describe all scorers, or one with its card, without loading any.

    Raises:
        ConfigError: a scorer folder is wrong.
        ScorerNotFound: names the nearest that exist.
    """
    catalog = load_catalog([Path(folder) for folder in config.models] or [shipped_models()])
    if name:
        spec = catalog.scorer(name)
        return [wire.scorer_from(convert.scorer_to(spec, _absent(spec, catalog), spec.card))]
    specs = [spec for _, spec in sorted(catalog.scorers.items())]
    return [wire.scorer_from(convert.scorer_to(spec, _absent(spec, catalog))) for spec in specs]


def scorers_for(config: Config, panel: str, usual: str) -> tuple[str, ...]:
    """Return the scorers to load for a panel; without one those that the settings name; else the usual panel's.

    Of the usual panel, those whose graphs are there. Nothing means all.

    Raises:
        ConfigError: a scorer folder is wrong.
        ScorerNotFound: there is no such panel; names the nearest that exist.
    """
    catalog = load_catalog([Path(folder) for folder in config.models] or [shipped_models()])
    if panel:
        return tuple(spec.name for spec in catalog.resolve((), panel))
    there = (name for name in catalog.panels.get(usual, ()) if not _absent(catalog.scorers[name], catalog))
    return config.scorers or tuple(there)


def _absent(spec: ScorerSpec, catalog: Catalog) -> str:
    needed = [*([catalog.encoders[spec.encoder]] if spec.encoder else []), spec]
    absent = [one.name for one in needed if not one.is_exported("cpu")]
    return f"run `beholder export {' '.join(absent)}`" if absent else ""


def _at(index: int, outcome: Outcome) -> Outcome:
    """Return the outcome of a lone sample as that of the caller's sample `index`."""
    return _renamed(outcome, lambda field: field.replace("samples[0]", f"samples[{index}]"))


def _in_rank(outcome: Outcome) -> Outcome:
    """Return an outcome with the field that a caller of `rank` knows."""
    return _renamed(outcome, convert.rank_field)


def _renamed(outcome: Outcome, rename: Callable[[str], str]) -> Outcome:
    return type(outcome)(outcome.message, rename(outcome.field)) if isinstance(outcome, InputError) else outcome
