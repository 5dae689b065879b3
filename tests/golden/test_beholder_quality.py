"""beholder-quality: its blocks are EfficientNet-Lite0's, its training repeats itself, and it sees faults."""

import importlib
import io
import sys
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType

import numpy as np
import onnx
import pytest
from PIL import Image, ImageFilter

from beholder.inputs.image import decode
from beholder.runtime.ort import open_session
from beholder.runtime.session import Device
from beholder.types import U8, RawImage
from golden.test_golden import CATALOG, LIMITS, MODELS, Find, enlarge, finder, read, run

torch = pytest.importorskip("torch", reason="torch is not installed: beholder[export]")

NAME = "beholder-quality"
MODULES = ("distort", "network", "train")
SIDE_PX = 224
TURN = 3.0
"""How much better slightly more of a fault may look: the assets are drawings, and the first steps small."""


@pytest.fixture(scope="module")
def on_cpu() -> Find:
    """Return a function that loads a scorer by name."""
    return finder("cpu")


@pytest.fixture(scope="module")
def code() -> Iterator[dict[str, ModuleType]]:
    """Import what stands in the scorer's folder, and keep torch to one thread."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(MODELS))
        patch.syspath_prepend(str(MODELS / NAME))
        yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        del sys.modules[name]
    torch.set_num_threads(threads)


def scene(name: str) -> U8:
    return decode(read(name), LIMITS, name)


def state_of(graph: onnx.ModelProto) -> "dict[str, torch.Tensor]":
    """Read the weights back out of the encoder's graph, by the names that they were published under."""
    tensors = {tensor.name: torch.tensor(onnx.numpy_helper.to_array(tensor)) for tensor in graph.graph.initializer}
    for name, weight in tensors.items():
        if weight.dim() == 4 and weight.shape[-1] % 2 == 0:
            tensors[name] = weight[:, :, 1:, 1:]  # without the zeros that make the padding even
    return tensors


def test_the_levels_are_those_of_the_encoder(code: dict[str, ModuleType]) -> None:
    encoder = CATALOG.encoders["efficientnet-lite0"]
    if not encoder.is_exported("cpu"):
        pytest.skip("run `beholder export efficientnet-lite0`")
    graph = onnx.load(MODELS / "efficientnet-lite0" / "model.onnx")
    statistics = code["network"].Statistics(state_of(graph))
    ends = [node.output[0] for node in graph.graph.node if node.op_type in {"Clip", "Add", "BatchNormalization"}]
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_tensor_value_info(end, 1, None) for end in ends)
    candidate = enlarge(scene("landscape.png"), SIDE_PX)[:SIDE_PX, :SIDE_PX][None]
    session = open_session("levels", graph.SerializeToString(), Device("cpu", 0, 1), {})
    theirs = list(session.run({"candidate": candidate}).values())
    planes = (torch.from_numpy(candidate).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        ours = [level.numpy() for level in statistics.levels(planes)]
    assert [level.shape[1] for level in ours] == list(code["network"].CHANNELS)
    assert [SIDE_PX // level.shape[2] for level in ours] == list(code["network"].STRIDES)
    for level in ours:
        nearest = min(np.abs(level - other).max() for other in theirs if other.shape == level.shape)
        assert nearest < 1e-4 * np.abs(level).max()


def test_a_distortion_repeats_itself_and_does_more_when_it_is_stronger(code: dict[str, ModuleType]) -> None:
    image = enlarge(scene("still-life.webp"), 288)
    for name, distort in code["distort"].DISTORTIONS.items():
        errors = []
        for strength in (0.0, 0.5, 1.0):
            first, second = (distort(image, strength, np.random.default_rng(4)) for _ in range(2))
            assert first.shape == image.shape, name
            assert first.dtype == np.uint8, name
            assert np.array_equal(first, second), name
            errors.append(np.abs(first.astype(int) - image).mean())
        assert 0 < errors[0] < errors[1] < errors[2], (name, errors)


def made_up(code: dict[str, ModuleType], views: int) -> object:
    """Return samples whose quality is one of four causes of their statistics."""
    train, count = code["train"], views * code["train"].SAMPLES
    rng = np.random.default_rng(9)
    causes = rng.normal(size=(count, 4))
    statistics = causes @ rng.normal(size=(4, code["network"].STATISTICS))
    quality = causes[:, :1]
    scores = quality + rng.normal(0, 0.2, (count, len(train.TEACHERS)))
    numbers = np.arange(views).repeat(train.SAMPLES)
    return train.Samples(statistics.astype(np.float32), scores.astype(np.float32), numbers, np.zeros(count, bool))


def test_training_finds_the_quality_and_gives_the_same_numbers_again(code: dict[str, ModuleType]) -> None:
    samples = made_up(code, 60)
    seen = samples.views < 48
    heads = [code["train"].fit(samples, seen) for _ in range(2)]
    for first, second in zip(heads[0].state_dict().values(), heads[1].state_dict().values(), strict=True):
        assert torch.equal(first, second)
    with torch.inference_mode():
        found = heads[0](torch.from_numpy(samples.statistics[~seen])).numpy()
    assert code["train"].correlation(found, samples.scores[~seen].mean(axis=1)) > 0.9


def test_mid_ranks_are_shared_by_equal_values(code: dict[str, ModuleType]) -> None:
    values = np.array([[3.0], [1.0], [3.0], [2.0]], np.float32)
    assert code["train"].percentiles(values).ravel().tolist() == [0.75, 0.125, 0.75, 0.375]


def compressed(image: U8, **options: object) -> U8:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", **options)
    return np.asarray(Image.open(data).convert("RGB"))


def ask(find: Find, *images: U8) -> list[float]:
    return [run(find(NAME), [(RawImage(image), None)])[0].value for image in images]


@pytest.mark.parametrize("name", ["landscape.png", "still-life.webp"])
def test_it_sees_faults_and_is_blind_to_what_people_cannot_see(on_cpu: Find, name: str) -> None:
    image = scene(name)
    blurred = [np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(px))) for px in (1, 2, 4)]
    jpegs = [compressed(image, quality=quality, subsampling="4:2:0") for quality in (60, 30, 10)]
    noise = np.random.default_rng(2).normal(size=image.shape)
    noisy = [np.clip(np.rint(image + noise * levels), 0, 255).astype(np.uint8) for levels in (8, 16, 32)]
    [best] = ask(on_cpu, image)
    for worse in (blurred, jpegs, noisy):
        scores = [best, *ask(on_cpu, *worse)]
        assert all(after < before + TURN for before, after in pairwise(scores)), scores
        assert scores[-1] < best - 20
    [unseen] = ask(on_cpu, compressed(image, quality=95, subsampling="4:2:0"))
    assert abs(unseen - best) < 8


@pytest.mark.parametrize("level", [0, 127, 255])
def test_an_even_image_has_a_score(on_cpu: Find, level: int) -> None:
    [score] = ask(on_cpu, np.full((130, 257, 3), level, np.uint8))
    assert 0 <= score <= 100
