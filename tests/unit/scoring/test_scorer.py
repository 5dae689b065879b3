"""Samples are checked before, numbers after; a bad one fails alone."""

import dataclasses
import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beholder.errors import InvalidSample, ScoringFailed
from beholder.runtime.session import Session
from beholder.scoring.asked import Graph
from beholder.scoring.check import check_pixels, check_sample
from beholder.scoring.image import ImageSpec
from beholder.scoring.scorer import GraphScorer
from beholder.scoring.spec import GraphFile, GraphSpec, MapSpec, ScorerSpec
from beholder.types import U8, Direction, EncodedImage, Kind, Label, Sample, Score, Tensor
from fake_session import FakeSession

FIELD = "samples[3]"
IMAGE = EncodedImage(b"")
GRAPH = GraphSpec(GraphFile(Path("model.onnx"), ""), {}, {"cpu": 8}, {"cpu": {}})
SPEC = ScorerSpec(
    name="quality",
    version=1,
    summary="",
    licence="",
    folder=Path(),
    default=False,
    graph=GRAPH,
    image=ImageSpec((), 1, None),
    sources=(),
    kind=Kind.QUALITY,
    direction=Direction.HIGHER_IS_BETTER,
    range_=(0.0, 1.0),
    encoder="",
    labels=(),
    top_labels=0,
    map=None,
)
FIDELITY = dataclasses.replace(SPEC, name="fidelity", kind=Kind.FIDELITY)
ADHERENCE = dataclasses.replace(SPEC, name="adherence", kind=Kind.ADHERENCE)
LABELLED = dataclasses.replace(SPEC, labels=("cat", "dog", "owl"), top_labels=2)


def scorer(spec: ScorerSpec = SPEC, head: Session | None = None) -> GraphScorer:
    return GraphScorer(spec, Graph("g", 1, spec, FakeSession(), ("candidate",), 8), head, "")


def drawing_scorer(high: float = 2.0) -> GraphScorer:
    return dataclasses.replace(scorer(), draws=MapSpec(GraphFile(Path("map.onnx"), ""), high, "error"))


def f32(*values: object) -> Tensor:
    return np.array(values, np.float32)


def pixels(width: int, height: int) -> U8:
    return np.zeros((height, width, 3), np.uint8)


def test_each_row_becomes_a_score() -> None:
    assert scorer().scores({"score": f32(0.25, 0.5)}) == [Score(0.25), Score(0.5)]


def test_a_scorer_that_draws_gives_each_row_its_map() -> None:
    [first, second] = drawing_scorer().scores({"score": f32(0.25, 0.5), "map": f32([[0, 1]], [[2, 9]])}, (1, 2))
    assert isinstance(first, Score)
    assert isinstance(second, Score)
    assert first.map
    assert second.map
    assert (first.map.high, first.map.meaning) == (2.0, "error")
    assert np.asarray(Image.open(io.BytesIO(first.map.png))).tolist() == [[0, 128]]
    assert np.asarray(Image.open(io.BytesIO(second.map.png))).tolist() == [[255, 255]]


def test_a_map_that_is_not_finite_fails_its_row_alone() -> None:
    [bad, good] = drawing_scorer().scores({"score": f32(0.25, 0.5), "map": f32([[0, math.nan]], [[0, 1]])}, (1, 2))
    assert isinstance(bad, ScoringFailed)
    assert isinstance(good, Score)


@pytest.mark.parametrize("maps", [{}, {"map": f32([[0, 1]])}, {"map": f32(0, 1)}])
def test_maps_that_are_missing_or_of_the_wrong_shape_fail_the_batch(maps: dict[str, Tensor]) -> None:
    with pytest.raises(ScoringFailed, match="output map: want shape"):
        drawing_scorer().scores({"score": f32(0.25, 0.5)} | maps, (1, 2))


def test_no_rows_are_no_scores() -> None:
    assert scorer().scores({"score": f32()}) == []


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.01, -0.01])
def test_a_number_that_is_no_score_fails_its_own_row_only(bad: float) -> None:
    first, second, third = scorer().scores({"score": f32(0.25, bad, 0.5)})
    assert (first, third) == (Score(0.25), Score(0.5))
    assert isinstance(second, ScoringFailed)
    assert second.message.startswith("quality: want a finite number from 0 to 1, got ")


def test_rows_without_a_score_are_told_to_the_operator_once_a_batch(caplog: pytest.LogCaptureFixture) -> None:
    scorer().scores({"score": f32(math.nan, 0.5, 2.0)})
    (record,) = caplog.records
    assert record.getMessage() == "2 of 3 rows have no score: quality: want a finite number from 0 to 1, got nan"


def test_rounding_past_a_bound_gives_the_bound() -> None:
    assert scorer().scores({"score": f32(1.00005, -0.00005)}) == [Score(1.0), Score(0.0)]


def test_an_unbounded_range_still_wants_a_finite_number() -> None:
    free = scorer(dataclasses.replace(SPEC, range_=(-math.inf, math.inf)))
    value, failure = free.scores({"score": f32(-1e30, math.inf)})
    assert isinstance(value, Score)
    assert isinstance(failure, ScoringFailed)


def test_labels_come_likeliest_first_and_only_as_many_as_declared() -> None:
    outputs = {"score": f32(0.5), "labels": f32([0.1, 0.25, 0.65])}
    (score,) = scorer(LABELLED).scores(outputs)
    assert score == Score(0.5, (Label("owl", pytest.approx(0.65)), Label("dog", 0.25)))


def test_equal_labels_keep_their_own_order() -> None:
    (score,) = scorer(LABELLED).scores({"score": f32(0.5), "labels": f32([0.25, 0.25, 0.5])})
    assert isinstance(score, Score)
    assert [label.name for label in score.labels] == ["owl", "cat"]


@pytest.mark.parametrize("top", [0, 1, 3, 40])
def test_of_many_labels_the_likeliest_are_given(top: int) -> None:
    names = tuple(f"label {index}" for index in range(40))
    row = np.random.default_rng(0).integers(0, 8, 40).astype(np.float32) / 8
    spec = dataclasses.replace(SPEC, labels=names, top_labels=top)
    (score,) = scorer(spec).scores({"score": f32(0.5), "labels": row[None]})
    assert isinstance(score, Score)
    assert [label.name for label in score.labels] == [names[at] for at in np.argsort(-row, kind="stable")[:top]]


@pytest.mark.parametrize("bad", [math.nan, 1.5])
def test_a_label_that_is_no_probability_fails_its_own_row_only(bad: float) -> None:
    outputs = {"score": f32(0.5, 0.5), "labels": f32([0.0, 0.0, bad], [0.0, 0.0, 1.0])}
    failure, score = scorer(LABELLED).scores(outputs)
    assert isinstance(failure, ScoringFailed)
    assert isinstance(score, Score)


def test_a_head_reads_the_embedding() -> None:
    head = FakeSession(lambda inputs: {"score": inputs["embedding"].sum(axis=1)})
    assert scorer(head=head).scores({"embedding": f32([0.25, 0.5], [0.5, 0.5])}) == [Score(0.75), Score(1.0)]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"score": f32([0.5])}, r"quality: output score: want shape \(1,\), got \(1, 1\)"),
        ({"other": f32(0.5)}, r"quality: output score: want shape \(1,\), got nothing"),
        ({"score": f32(0.5), "labels": f32([0.5, 0.5])}, r"output labels: want shape \(1, 3\), got \(1, 2\)"),
    ],
)
def test_outputs_of_another_shape_fail_the_batch(outputs: Mapping[str, Tensor], message: str) -> None:
    with pytest.raises(ScoringFailed, match=message):
        scorer(LABELLED).scores(outputs)


def test_a_sample_with_what_every_scorer_needs_is_right() -> None:
    sample = Sample(IMAGE, IMAGE, "a cat")
    assert check_sample(sample, [SPEC, FIDELITY, ADHERENCE], FIELD) == {}


def test_what_a_scorer_lacks_is_its_own_error() -> None:
    errors = check_sample(Sample(IMAGE), [SPEC, FIDELITY, ADHERENCE], FIELD)
    assert {name: (error.message, error.field) for name, error in errors.items()} == {
        "fidelity": ("fidelity needs a reference, got none", "samples[3].reference"),
        "adherence": ("adherence needs a prompt, got none", "samples[3].prompt"),
    }


def test_an_empty_prompt_is_none() -> None:
    assert "adherence" in check_sample(Sample(IMAGE, prompt=""), [ADHERENCE], FIELD)
    assert check_sample(Sample(IMAGE, prompt=""), [SPEC], FIELD) == {}


def test_a_reference_that_no_scorer_asked_takes_is_wrong_for_all() -> None:
    errors = check_sample(Sample(IMAGE, IMAGE), [SPEC, LABELLED], FIELD)
    assert errors["quality"].message == "reference: want none, for no scorer asked takes one (quality, quality)"
    assert errors["quality"].field == "samples[3].reference"


def test_a_prompt_that_no_scorer_asked_takes_is_wrong_for_all() -> None:
    errors = check_sample(Sample(IMAGE, IMAGE, "a cat"), [FIDELITY, SPEC], FIELD)
    assert {error.field for error in errors.values()} == {"samples[3].prompt"}
    assert list(errors) == ["fidelity", "quality"]


def test_a_prompt_is_measured_in_bytes_of_utf8() -> None:
    assert check_sample(Sample(IMAGE, prompt="é" * 2048), [ADHERENCE], FIELD) == {}
    error = check_sample(Sample(IMAGE, prompt="é" * 2049), [ADHERENCE], FIELD)["adherence"]
    assert error.message == "prompt: want at most 4096 bytes of UTF-8, got 4098"


def test_images_at_the_limits_are_right() -> None:
    check_pixels(ImageSpec((), 11, 0.01), pixels(100, 100), pixels(100, 100), FIELD)
    check_pixels(ImageSpec((), 11, None), pixels(11, 4000), None, FIELD)
    check_pixels(ImageSpec((), 11, None, max_side_px=4000), pixels(11, 4000), None, FIELD)


@pytest.mark.parametrize(
    ("spec", "candidate", "reference", "field", "message"),
    [
        (
            ImageSpec((), 11, None),
            pixels(10, 300),
            None,
            "samples[3].candidate",
            "candidate: want at least 11 px on each side, got 10x300 px",
        ),
        (
            ImageSpec((), 1, None, max_side_px=300),
            pixels(10, 301),
            None,
            "samples[3].candidate",
            "candidate: want at most 300 px on each side, got 10x301 px",
        ),
        (
            ImageSpec((), 1, 0.01),
            pixels(101, 100),
            None,
            "samples[3].candidate",
            "candidate: want at most 0.01 megapixels, got 101x100 px (0.0101 megapixels)",
        ),
        (
            ImageSpec((), 1, None),
            pixels(20, 30),
            pixels(30, 20),
            "samples[3].reference",
            "reference: want the candidate's size, 20x30 px, got 30x20 px",
        ),
    ],
)
def test_an_image_that_a_graph_cant_take_is_told_the_limit_and_its_size(
    spec: ImageSpec, candidate: U8, reference: U8 | None, field: str, message: str
) -> None:
    with pytest.raises(InvalidSample) as caught:
        check_pixels(spec, candidate, reference, FIELD)
    assert (caught.value.field, caught.value.message) == (field, message)


def test_an_image_too_large_to_draw_is_told_that_the_limit_is_that_of_maps() -> None:
    with pytest.raises(InvalidSample, match=r"want at most 0\.01 megapixels for a map, got 101x100 px"):
        check_pixels(ImageSpec((), 1, 0.01), pixels(101, 100), None, FIELD, draws=True)
