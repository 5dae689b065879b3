"""A loaded scorer: checks that a sample can be scored, and turns the numbers of its graph into scores.

A row that fails, fails alone; a number that is not finite, or lies outside the declared range, is never a score.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beholder.errors import InputError, InvalidSample, ScoringFailed
from beholder.inputs.map import encode_map
from beholder.runtime.session import Session
from beholder.scoring.spec import ImageSpec, MapSpec, ScorerSpec, Spec
from beholder.types import F32, U8, ErrorMap, Label, Outcome, Sample, Score, Tensor

log = logging.getLogger(__name__)

CANDIDATE, REFERENCE = "candidate", "reference"
SCORE, LABELS, EMBEDDING, MAP = "score", "labels", "embedding", "map"
MAX_PROMPT_BYTES = 4096
RANGE_SLACK = 1e-4
"""How far rounding may carry a score out of its range; such a score is the bound itself."""


@dataclass(frozen=True)
class Graph:
    """A loaded graph of images: a scorer's own, or an encoder.

    Attributes:
        roles: which images it takes, by the names of its inputs: the candidate, then maybe the reference.
        max_batch_rows: rows in one run at most.
        draws: whether it also draws a map; then it is opened when it is first run, and so not warmed up.
    """

    name: str
    version: int
    spec: Spec
    session: Session
    roles: tuple[str, ...]
    max_batch_rows: int
    draws: bool = False

    @property
    def image(self) -> ImageSpec:
        """How its images are prepared."""
        if self.spec.image is None:
            raise TypeError(f"{self.name} is a head: its encoder prepares the image")
        return self.spec.image


@dataclass(frozen=True)
class Scorer:
    """A scorer that can be asked: its graph, and its head where that graph is an encoder.

    Attributes:
        digest: SHA-256 of the scorer's own graph file, lowercase hex.
        draws: what its graph's `map` is; None where the graph draws none.
    """

    spec: ScorerSpec
    graph: Graph
    head: Session | None
    digest: str
    draws: MapSpec | None = None

    def scores(self, outputs: Mapping[str, Tensor], size_px: tuple[int, ...] = ()) -> list[Outcome]:
        """Turn the graph's outputs for N rows into N outcomes; a row that can't be a score is a ScoringFailed.

        Args:
            outputs: `embedding` (N, D) where there is a head, else `score` (N,) and maybe `labels` (N, L), or `map`
                (N, H, W) where it draws.
            size_px: (H, W) of the images, for those that draw.

        Raises:
            ScoringFailed: the head failed, or outputs are missing or of the wrong shape.
        """
        if self.head:
            outputs = self.head.run({EMBEDDING: outputs[EMBEDDING]})
        rows = next(iter(outputs.values())).shape[0]
        values = self._output(outputs, SCORE, (rows,))
        labels = self._output(outputs, LABELS, (rows, len(self.spec.labels))) if self.spec.labels else [None] * rows
        maps = self._maps(outputs, rows) if self.draws else [None] * rows
        parts = zip(values.tolist(), labels, maps, strict=True)
        outcomes = [self._outcome(value, row, errors, size_px) for value, row, errors in parts]
        failures = [outcome.message for outcome in outcomes if isinstance(outcome, ScoringFailed)]
        if failures:
            log.error("%d of %d rows have no score: %s", len(failures), rows, failures[0])
        return outcomes

    def _output(self, outputs: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> F32:
        array = outputs.get(name)
        if array is None or array.shape != shape:
            found = "nothing" if array is None else str(array.shape)
            raise ScoringFailed(f"{self.spec.name}: output {name}: want shape {shape}, got {found}")
        return array.astype(np.float32, copy=False)

    def _maps(self, outputs: Mapping[str, Tensor], rows: int) -> list[F32]:
        found = outputs[MAP].shape if MAP in outputs else ()
        return list(self._output(outputs, MAP, (rows, *(found[1:] if len(found) == 3 else (0, 0)))))

    def _outcome(self, value: float, row: F32 | None, errors: F32 | None, size_px: tuple[int, ...]) -> Outcome:
        try:
            labels = () if row is None else self._top(row)
            return Score(self._within(value, *self.spec.range_), labels, self._drawn(errors, size_px))
        except ScoringFailed as error:
            return error

    def _drawn(self, errors: F32 | None, size_px: tuple[int, ...]) -> ErrorMap | None:
        if errors is None or self.draws is None:
            return None
        if errors.shape != size_px:
            raise ScoringFailed(f"{self.spec.name}: output map: want the images' size {size_px}, got {errors.shape}")
        if not np.isfinite(errors).all():
            raise ScoringFailed(f"{self.spec.name}: want a map of finite numbers, got some that are not")
        return ErrorMap(encode_map(errors, self.draws.high), self.draws.high, self.draws.meaning)

    def _top(self, row: F32) -> tuple[Label, ...]:
        values = [self._within(value, 0.0, 1.0) for value in row.tolist()]
        likeliest = np.argsort(-row, kind="stable")[: self.spec.top_labels]
        return tuple(Label(self.spec.labels[index], values[index]) for index in likeliest)

    def _within(self, value: float, low: float, high: float) -> float:
        if not low - RANGE_SLACK <= value <= high + RANGE_SLACK or not math.isfinite(value):
            raise ScoringFailed(f"{self.spec.name}: want a finite number from {low:g} to {high:g}, got {value:g}")
        return min(max(value, low), high)


def check_sample(sample: Sample, scorers: Sequence[ScorerSpec], field: str) -> dict[str, InputError]:
    """Find what a sample lacks for each scorer, and what no scorer asked can use.

    Args:
        scorers: all that are asked about this sample.
        field: the sample's path in the request.

    Returns:
        Scorer name -> what is wrong; no entry where it can be scored. Too long a prompt, and a reference or prompt that
        no scorer asked takes, is wrong for all.
    """
    wrong = _excess(sample, scorers, field)
    if wrong:
        return {spec.name: wrong for spec in scorers}
    errors = dict[str, InputError]()
    for spec in scorers:
        if spec.needs_reference and sample.reference is None:
            errors[spec.name] = InvalidSample(f"{spec.name} needs a reference, got none", f"{field}.reference")
        elif spec.needs_prompt and not sample.prompt:
            errors[spec.name] = InvalidSample(f"{spec.name} needs a prompt, got none", f"{field}.prompt")
    return errors


def _excess(sample: Sample, scorers: Sequence[ScorerSpec], field: str) -> InvalidSample | None:
    names = ", ".join(spec.name for spec in scorers)
    size = len((sample.prompt or "").encode(errors="surrogatepass"))
    if size > MAX_PROMPT_BYTES:
        return InvalidSample(f"prompt: want at most {MAX_PROMPT_BYTES} bytes of UTF-8, got {size}", f"{field}.prompt")
    if sample.reference is not None and not any(spec.needs_reference for spec in scorers):
        return InvalidSample(f"reference: want none, for no scorer asked takes one ({names})", f"{field}.reference")
    if sample.prompt and not any(spec.needs_prompt for spec in scorers):
        return InvalidSample(f"prompt: want none, for no scorer asked takes one ({names})", f"{field}.prompt")
    return None


def check_pixels(spec: ImageSpec, candidate: U8, reference: U8 | None, field: str, *, draws: bool = False) -> None:
    """Check decoded images against what a graph accepts.

    Args:
        candidate: shape (H, W, 3).
        reference: must have the candidate's size; None where there is none.
        field: the sample's path in the request.
        draws: whether the graph draws a map, which may be limited where a score alone is not.

    Raises:
        InvalidSample: a side is too short or too long, there are too many pixels, or the sizes differ.
    """
    height, width = candidate.shape[:2]
    if min(height, width) < spec.min_side_px:
        want = f"want at least {spec.min_side_px} px on each side"
        raise InvalidSample(f"candidate: {want}, got {width}x{height} px", f"{field}.{CANDIDATE}")
    if spec.max_side_px is not None and max(height, width) > spec.max_side_px:
        want = f"want at most {spec.max_side_px} px on each side"
        raise InvalidSample(f"candidate: {want}, got {width}x{height} px", f"{field}.{CANDIDATE}")
    if spec.max_mpx is not None and not spec.strips and height * width > spec.max_mpx * 1e6:
        want = f"want at most {spec.max_mpx:g} megapixels{' for a map' * draws}"
        found = f"{width}x{height} px ({height * width / 1e6:.6g} megapixels)"
        raise InvalidSample(f"candidate: {want}, got {found}", f"{field}.{CANDIDATE}")
    if reference is not None and reference.shape != candidate.shape:
        found = f"{reference.shape[1]}x{reference.shape[0]} px"
        want = f"want the candidate's size, {width}x{height} px"
        raise InvalidSample(f"reference: {want}, got {found}", f"{field}.{REFERENCE}")
