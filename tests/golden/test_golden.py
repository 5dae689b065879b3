"""Every scorer equals its peer, alone and in any company; the numbers of the peers are in models/*/golden.json.

Images take the way of a request: decoded and prepared by `inputs`, run by `runtime`, read by `scoring`.
"""

import functools
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFilter

from beholder.inputs import steps
from beholder.inputs.image import Limits, decode
from beholder.runtime.session import Device
from beholder.scoring.catalog import load_catalog
from beholder.scoring.load import load_scorers
from beholder.scoring.scorer import GraphScorer
from beholder.scoring.sources import OwnSource
from beholder.types import U8, Direction, EncodedImage, Image, Kind, RawImage, Score, Tensor

REPO = Path(__file__).resolve().parents[2]
MODELS, ASSETS = REPO / "models", REPO / "tests" / "assets"
SCENES = ("landscape.png", "still-life.webp", "poster.png")
LIMITS = Limits(max_bytes=2**24, max_pixels=4 * 10**7)
ACCEPTED = {".jpg", ".png", ".webp"}
CATALOG = load_catalog([MODELS])
NAMES = sorted(
    name
    for name, spec in CATALOG.scorers.items()
    if spec.is_exported("cpu") or not any(isinstance(source, OwnSource) for source in spec.sources)
)
"""All that can be built from packages, and of those for weights that a user names what was built here."""
FIDELITY = [name for name in NAMES if CATALOG.scorers[name].kind is Kind.FIDELITY]
DISTORTIONS = {"blur": (0.5, 1.5, 4.5), "noise": (3, 9, 27, 81), "jpeg": (3, 10, 30, 90)}
"""Name -> amounts. Each step is three times the last: a scorer may turn small steps around, as its card tells."""
BATCH_TOLERANCE = 2e-6
"""Of a score's size, or of 1 where it is smaller: some thirty roundings of float32, for in a batch sums may be taken in
another order. The cards tell the largest difference seen; a random image may have a little more."""
DEVICE_TOLERANCE = 1e-3
"""Of a score's size, or of 1: wide enough for sums in another order, too narrow for wrong channels."""

Pair = tuple[Image, Image | None]
Find = Callable[[str], GraphScorer]


def golden_cases() -> list[Any]:
    """Read each case of each golden.json, as a parameter named after scorer and candidate."""
    cases = []
    for path in sorted(MODELS.glob("*/golden.json")):
        golden = json.loads(path.read_text(encoding="utf-8"))
        name = path.parent.name
        cases += [pytest.param(name, case, id=f"{name}-{Path(case['candidate']).name}") for case in golden["cases"]]
    return cases


def laws(name: str) -> dict[str, Any]:
    """Read what a scorer's golden.json says of the laws that it does not keep as others do."""
    path = MODELS / name / "golden.json"
    law: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")).get("laws", {}) if path.exists() else {}
    return law


@pytest.fixture(scope="session")
def on_cpu() -> Find:
    """Return a function that loads a scorer by name."""
    return finder("cpu")


@pytest.fixture(scope="session")
def on_cuda() -> Find:
    """Return the same for a GPU."""
    return finder("cuda")


@pytest.fixture(scope="session")
def drawn() -> Find:
    """Return a function that loads a scorer with the graph that draws, by name."""
    return finder("cpu", draws=True)


def finder(device: str, *, draws: bool = False) -> Find:
    """Load each scorer once, and skip the tests of one whose graph was not built."""

    @functools.cache
    def find(name: str) -> GraphScorer:
        spec = CATALOG.scorers[name]
        for part in filter(None, (CATALOG.encoders.get(spec.encoder), spec)):
            if not part.is_exported(device):
                pytest.skip(f"{name}: run `beholder export {part.name}`")
        loaded = load_scorers(CATALOG, (name,), Device(device, 0, 1), 0)
        return (loaded.drawing if draws else loaded.scorers)[name]

    return find


def read(asset: str) -> Image:
    """Read an image of tests/assets, or `shared:PATH` of the reference data; other formats come as pixels."""
    shared = asset.removeprefix("shared:")
    path = ASSETS / asset if shared == asset else REPO.parent / "shared" / shared
    if not path.exists():
        pytest.skip(f"the reference data is not at hand: no file {path}")
    if path.suffix in ACCEPTED:
        return EncodedImage(path.read_bytes())
    with Pillow.open(path) as image:
        return RawImage(np.asarray(image.convert("RGB")))


def run(scorer: GraphScorer, pairs: Sequence[Pair]) -> list[Score]:
    """Score pairs in one batch, by the way of a request."""
    rows = [
        {role: prepare(scorer, image) for role, image in zip(scorer.graph.roles, pair, strict=False) if image}
        for pair in pairs
    ]
    outcomes = scorer.scores(scorer.graph.session.run(stack(rows)))
    scores = [outcome for outcome in outcomes if isinstance(outcome, Score)]
    assert len(scores) == len(pairs), outcomes
    return scores


def prepare(scorer: GraphScorer, image: Image) -> U8:
    """Decode an image and prepare it as the scorer's graph wants it."""
    return steps.apply(scorer.graph.image.steps, decode(image, LIMITS, "candidate"))


def stack(rows: Sequence[Mapping[str, U8]]) -> dict[str, Tensor]:
    """Stack rows of one shape into a batch."""
    return {role: np.stack([row[role] for row in rows]) for role in rows[0]}


def values(score: Score) -> dict[str, float]:
    """Return a score with its labels, by name."""
    return {"value": score.value} | {label.name: label.value for label in score.labels}


def worst(score: Score, other: Score) -> float:
    """Return the largest difference of two scores and their labels, relative to a size of 1 or more."""
    ours, theirs = values(score), values(other)
    return max(abs(ours[name] - theirs[name]) / max(1, abs(theirs[name])) for name in theirs.keys() & ours.keys())


@pytest.mark.parametrize(("name", "case"), golden_cases())
def test_a_score_equals_its_peers(on_cpu: Find, name: str, case: dict[str, Any]) -> None:
    scorer = on_cpu(name)
    reference = read(case["reference"]) if "reference" in case else None
    [score] = run(scorer, [(read(case["candidate"]), reference)])
    expected = case["expected"]
    assert score.value == pytest.approx(expected["value"], abs=case["tolerance"], rel=0)
    for label, value in expected.get("labels", {}).items():
        assert values(score)[label] == pytest.approx(value, abs=case["tolerance"], rel=0), label


def crops(scorer: GraphScorer) -> list[tuple[RawImage, RawImage]]:
    """Cut pairs of one size out of the scenes and their distorted versions, large enough for the scorer."""
    files = [
        ("landscape-q30.jpg", "landscape.png"),
        ("still-life-noise12.webp", "still-life.webp"),
        ("poster-q50.webp", "poster.png"),
        ("still-life-blur2.png", "still-life.webp"),
        ("landscape.png", "landscape.png"),
    ]
    side = scorer.graph.image.min_side_px
    cut = [[RawImage(enlarge(decode(read(file), LIMITS, "x")[:141, :157], side)) for file in pair] for pair in files]
    return [(candidate, reference) for candidate, reference in cut]


def enlarge(pixels: U8, side_px: int) -> U8:
    """Mirror an image at its borders where a side is shorter than `side_px`."""
    missing = [max(0, side_px - side) for side in pixels.shape[:2]]
    return np.pad(pixels, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")


@pytest.mark.parametrize("name", NAMES)
def test_a_row_scores_the_same_alone_and_in_any_batch(on_cpu: Find, name: str) -> None:
    scorer = on_cpu(name)
    pairs = crops(scorer)
    alone = [run(scorer, [pair])[0] for pair in pairs]
    together = run(scorer, pairs)
    backwards = run(scorer, [*pairs[::-1], *pairs[:2]])[: len(pairs)][::-1]
    difference = max(map(worst, together + backwards, alone + alone))
    assert difference <= BATCH_TOLERANCE


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_the_gpu_agrees_with_the_cpu(on_cpu: Find, on_cuda: Find, name: str) -> None:
    pairs = crops(on_cpu(name))
    theirs, ours = run(on_cuda(name), pairs), run(on_cpu(name), pairs)
    assert max(map(worst, theirs, ours)) <= DEVICE_TOLERANCE


def scene_for(scorer: GraphScorer, scene: str) -> U8:
    """Read a scene, large enough for the scorer."""
    return enlarge(decode(read(scene), LIMITS, "reference"), scorer.graph.image.min_side_px)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("name", FIDELITY)
def test_the_same_image_twice_has_the_best_score_there_is(on_cpu: Find, name: str, scene: str) -> None:
    scorer = on_cpu(name)
    image = RawImage(scene_for(scorer, scene))
    low, high = scorer.spec.range_
    best = laws(name).get("identity", high if scorer.spec.direction is Direction.HIGHER_IS_BETTER else low)
    [score] = run(scorer, [(image, image)])
    assert score.value == best


@pytest.mark.parametrize("name", [name for name in FIDELITY if CATALOG.scorers[name].map])
def test_a_map_has_the_size_of_its_images_and_is_black_where_they_agree(on_cpu: Find, drawn: Find, name: str) -> None:
    plain, scorer = on_cpu(name), drawn(name)
    for candidate, reference in crops(plain):
        rows = [{"candidate": image, "reference": reference.pixels} for image in (candidate.pixels, reference.pixels)]
        outputs = scorer.graph.session.run(stack(rows))
        [score, best] = outputs["score"].tolist()
        [errors, none] = outputs["map"]
        assert errors.shape == candidate.pixels.shape[:2]
        assert errors.min() >= 0
        assert np.isfinite(errors).all()
        assert not none.any()
        [alone] = run(plain, [(candidate, reference)])
        assert score == pytest.approx(alone.value, rel=BATCH_TOLERANCE, abs=BATCH_TOLERANCE)
        assert (errors.mean() > 0) == (score != best)


@pytest.mark.parametrize("name", FIDELITY)
def test_the_smallest_image_accepted_can_be_scored(on_cpu: Find, name: str) -> None:
    scorer = on_cpu(name)
    assert scorer.spec.image
    side = scorer.spec.image.min_side_px
    noise = np.random.default_rng(5).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    run(scorer, [(RawImage(noise[0]), RawImage(noise[1]))])


@pytest.mark.parametrize("name", FIDELITY)
def test_candidate_and_reference_may_change_places(on_cpu: Find, name: str) -> None:
    scorer = on_cpu(name)
    if not laws(name).get("is_symmetric", True):
        pytest.skip("this scorer's authors claim no symmetry")
    for candidate, reference in crops(scorer):
        [score, turned] = run(scorer, [(candidate, reference), (reference, candidate)])
        assert score.value == pytest.approx(turned.value, rel=1e-6)


def blur(scene: Pillow.Image, amount: float) -> Pillow.Image:
    """Blur by a Gaussian of `amount` pixels."""
    return scene.filter(ImageFilter.GaussianBlur(amount))


def add_noise(scene: Pillow.Image, amount: float) -> Pillow.Image:
    """Add the same Gaussian noise, `amount` levels strong."""
    noise = np.random.default_rng(6).normal(0, amount, (scene.height, scene.width, 3))
    return Pillow.fromarray(np.clip(np.rint(np.asarray(scene) + noise), 0, 255).astype(np.uint8))


def compress(scene: Pillow.Image, amount: float) -> Pillow.Image:
    """Encode as JPEG, `amount` below the best quality, with colour at full size so that only one thing gets worse."""
    data = io.BytesIO()
    scene.save(data, "JPEG", quality=int(100 - amount), subsampling="4:4:4")
    return Pillow.open(data).convert("RGB")


DISTORT: dict[str, Callable[[Pillow.Image, float], Pillow.Image]] = {"blur": blur, "noise": add_noise, "jpeg": compress}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("distortion", DISTORTIONS)
@pytest.mark.parametrize("name", FIDELITY)
def test_more_of_the_same_distortion_never_scores_better(on_cpu: Find, name: str, distortion: str, scene: str) -> None:
    scorer = on_cpu(name)
    pixels = scene_for(scorer, scene)
    worse = [np.asarray(DISTORT[distortion](Pillow.fromarray(pixels), amount)) for amount in DISTORTIONS[distortion]]
    scores = [score.value for score in run(scorer, [(RawImage(image), RawImage(pixels)) for image in worse])]
    is_kept = scores == sorted(scores, reverse=scorer.spec.direction is Direction.HIGHER_IS_BETTER)
    assert is_kept != (f"{Path(scene).stem} {distortion}" in laws(name).get("turns", ())), scores
