"""taste-eye is EfficientNet-Lite0, at its end and in its middle; shipped backgrounds are of the graphs beside them."""

from pathlib import Path

import numpy as np
import pytest

from beholder.inputs import steps
from beholder.inputs.image import Limits, decode
from beholder.runtime.ort import open_session
from beholder.runtime.session import Device, Session
from beholder.scoring.spec import EncoderSpec, read_spec
from beholder.taste.background import MAX_DIMENSIONS, Background, read_background
from beholder.types import F32, U8
from golden.test_golden import MODELS, SCENES, read

EYE, TRUNK = MODELS / "taste-eye", MODELS / "efficientnet-lite0"
ENCODERS = [EYE, TRUNK]
LIMITS = Limits(max_bytes=2**24, max_pixels=4 * 10**7)
LENGTH, LEVEL_LENGTH, BOUND = 14, 4.5, 3
AFTER_LEVELS = ("_blocks.8", "_blocks.11", "_blocks.15")
"""The blocks of the trunk that take the outputs of its fourth, fifth and sixth stage."""


def graph_of(folder: Path) -> bytes:
    """Read the graph of a folder, or skip the test."""
    spec = read_spec(folder)
    if not spec.is_exported("cpu"):
        pytest.skip(f"run `beholder export {folder.name}`")
    return spec.graph.file.path.read_bytes()


@pytest.fixture(scope="module")
def eye() -> Session:
    return open_session("taste-eye", graph_of(EYE), Device("cpu", 0, 1), {})


def pictures() -> U8:
    """Return the scenes as the encoder takes them."""
    spec = read_spec(EYE)
    assert isinstance(spec, EncoderSpec)
    assert spec.image
    prepare = spec.image.steps
    return np.stack([steps.apply(prepare, decode(read(scene), LIMITS, "candidate")) for scene in SCENES])


def see(session: Session, pixels: U8) -> F32:
    return session.run({"candidate": pixels})["embedding"]


def test_it_prepares_images_as_its_trunk_does_so_that_both_share_the_work() -> None:
    own, trunk = read_spec(EYE), read_spec(TRUNK)
    assert own.image == trunk.image
    assert own.sources == trunk.sources


def test_an_embedding_is_the_end_and_the_middle_of_the_trunk_scaled_along_its_axes(eye: Session) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: beholder[export]")
    model = onnx.load_from_string(graph_of(TRUNK))
    inner = [
        node.input[0]
        for block in AFTER_LEVELS
        for node in model.graph.node
        if node.op_type == "Conv" and node.input[1] == f"{block}._expand_conv.weight"
    ]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    trunk = open_session("trunk", model.SerializeToString(), Device("cpu", 0, 1), {})
    seen = trunk.run({"candidate": pictures()})
    features = seen["embedding"]
    expected = [LENGTH * features / np.linalg.norm(features, axis=1, keepdims=True)]
    with np.load(EYE / "standard.npz") as standard:
        means, deviations = standard["mean"], standard["deviation"]
        centre, axes = standard["centre"], standard["axes"]
    for name in inner:
        level = seen[name].mean(axis=(2, 3))
        count = level.shape[1]
        departure = (level - means[:count]) / deviations[:count]
        expected.append(LEVEL_LENGTH / np.sqrt(count) * BOUND * np.tanh(departure / BOUND))
        means, deviations = means[count:], deviations[count:]
    assert len(means) == 0
    assert see(eye, pictures()) == pytest.approx((np.hstack(expected) - centre) @ axes, abs=2e-4)


def test_the_axes_keep_lengths_and_angles() -> None:
    with np.load(EYE / "standard.npz") as standard:
        axes = standard["axes"].astype(np.float64)
    assert axes.T @ axes == pytest.approx(np.eye(axes.shape[1]), abs=2e-4)


def test_a_row_is_the_same_alone_and_in_any_batch(eye: Session) -> None:
    pixels = pictures()
    together = see(eye, np.concatenate([pixels, pixels[::-1], pixels]))[: len(pixels)]
    assert np.abs(together - np.concatenate([see(eye, row[None]) for row in pixels])).max() <= 1e-5


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_image_of_one_tone_has_an_embedding_within_bounds(eye: Session, level: int) -> None:
    [embedding] = see(eye, np.full((1, 224, 224, 3), level, np.uint8))
    with np.load(EYE / "standard.npz") as standard:
        centre = np.linalg.norm(standard["centre"])
    longest = np.hypot(LENGTH, BOUND * LEVEL_LENGTH * np.sqrt(len(AFTER_LEVELS)))
    assert np.linalg.norm(embedding) <= longest + centre


@pytest.mark.parametrize("folder", ENCODERS, ids=lambda folder: folder.name)
def test_a_shipped_background_is_of_the_graph_beside_it(folder: Path) -> None:
    background = shipped(folder)
    assert background.encoder_digest == read_spec(folder).graph.file.sha256
    assert background.dimensions == MAX_DIMENSIONS


@pytest.mark.parametrize("folder", ENCODERS, ids=lambda folder: folder.name)
def test_pictures_lie_no_farther_out_than_those_of_a_shipped_background(folder: Path) -> None:
    session = open_session(folder.name, graph_of(folder), Device("cpu", 0, 1), {})
    lengths = np.linalg.norm(shipped(folder).project(see(session, pictures())), axis=1)
    assert np.all(lengths < 1.2 * shipped(folder).far)
    assert np.all(lengths > 0.3 * shipped(folder).typical)


def shipped(folder: Path) -> Background:
    """Read the background in a folder."""
    return read_background(folder / "background.npz")
