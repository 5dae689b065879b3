"""Fast resizing is Pillow's but for a level here and there, and says so where it can't be had."""

import importlib
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import picture

from beholder.errors import ConfigError
from beholder.inputs import fast
from beholder.inputs.fast import FAST_FILTERS, check_fast
from beholder.inputs.libvips import vips_resize
from beholder.inputs.resize import resize
from beholder.inputs.steps import apply, parse_steps
from beholder.types import U8

pytest.importorskip("cykooz_resizer", reason="cykooz.resizer is not installed: beholder[fast]")

LEVELS = {"bilinear": 2, "bicubic": 3, "lanczos": 3}
"""A byte may round otherwise along each side, and the second side's kernel weighs what the first one left."""


def apart(one: U8, other: U8) -> np.ndarray:
    return np.abs(one.astype(int) - other)


@pytest.mark.parametrize("filter_", FAST_FILTERS)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    wanted=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    seed=st.integers(0, 9),
)
@settings(max_examples=60, deadline=None)
def test_noise_of_any_size_is_a_few_levels_from_pillow(
    filter_: str, size: tuple[int, int], wanted: tuple[int, int], seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    got = resize(pixels, wanted, filter_, fast=True)
    assert got.shape == (*wanted, 3)
    assert apart(got, resize(pixels, wanted, filter_)).max() <= LEVELS[filter_]


@pytest.mark.parametrize(("filter_", "share"), [("bilinear", 0.03), ("bicubic", 0.01), ("lanczos", 0.02)])
def test_hardly_a_byte_of_a_picture_differs(filter_: str, share: float) -> None:
    pixels = np.asarray(picture(512, 448))
    for wanted in ((224, 224), (256, 300), (600, 500)):
        differs = apart(resize(pixels, wanted, filter_, fast=True), resize(pixels, wanted, filter_))
        assert differs.max() <= 2
        assert (differs > 0).mean() < share


def test_it_is_another_way_than_pillows() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    assert (resize(pixels, (101, 77), "lanczos", fast=True) != resize(pixels, (101, 77), "lanczos")).any()


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (100, 90), (60, 400), (240, 224)])
def test_a_frame_is_filled_as_without_haste(size: tuple[int, int]) -> None:
    """Where nothing shrinks to a quarter, and so no box filter comes first, only roundings differ."""
    pixels = np.asarray(picture(*size))
    table = {"op": "letterbox", "size_px": [112, 112], "filter": "lanczos"}
    exact, hasty = (apply(parse_steps([table | {"fast": fast_}]), pixels) for fast_ in (False, True))
    assert apart(hasty, exact).max() <= 2
    assert apart(hasty, exact).mean() < 0.02


def test_rows_come_first_where_libvips_takes_them_first() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (150, 130, 3), dtype=np.uint8)
    exact = vips_resize(pixels, (90, 80), "lanczos")
    assert apart(vips_resize(pixels, (90, 80), "lanczos", fast=True), exact).max() <= 3
    assert apart(resize(pixels, (90, 80), "lanczos", fast=True), exact).max() > 3


def test_an_image_of_the_wanted_size_is_returned_as_it_is() -> None:
    pixels = np.asarray(picture(20, 10))
    assert resize(pixels, (10, 20), "lanczos", fast=True) is pixels


def test_a_part_of_an_image_may_be_stretched() -> None:
    pixels = np.asarray(picture(90, 80))
    part = pixels[7:70, 11:60]
    assert (resize(part, (30, 31), "bilinear", fast=True) == resize(part.copy(), (30, 31), "bilinear", fast=True)).all()
    turned = pixels.swapaxes(0, 1)
    assert (
        resize(turned, (30, 31), "bilinear", fast=True) == resize(turned.copy(), (30, 31), "bilinear", fast=True)
    ).all()


def test_threads_do_not_disturb_one_another() -> None:
    pixels = np.asarray(picture(300, 200))
    want = resize(pixels, (100, 120), "bicubic", fast=True)
    got: list[bool] = []

    def work() -> None:
        got.extend((resize(pixels, (100, 120), "bicubic", fast=True) == want).all() for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [True] * 200


def test_scorers_that_haste_and_those_that_do_not_share_no_pixels() -> None:
    table = {"op": "resize", "size_px": [20, 20], "filter": "bicubic"}
    assert parse_steps([table]) == parse_steps([table | {"fast": False}])
    assert parse_steps([table]) != parse_steps([table | {"fast": True}])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"filter": "hamming", "fast": True},
            "steps[0] (resize): fast: want one of the filters bilinear, bicubic, lanczos",
        ),
        ({"filter": "box", "fast": True}, "fast: want one of the filters bilinear, bicubic, lanczos, got 'box'"),
        ({"filter": "lanczos", "fast": "yes"}, "steps[0] (resize): fast: want true or false, got 'yes'"),
        ({"filter": "lanczos", "fast": 1}, "fast: want true or false, got 1"),
    ],
)
def test_what_cannot_be_fast_is_told(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_steps([{"op": "resize", "size_px": [2, 2]} | keys])
    assert message in caught.value.message


def test_without_the_library_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    fast._library.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", missing)
        with pytest.raises(ConfigError, match=r"fast: needs `pip install 'beholder\[fast\]'`"):
            check_fast("lanczos")
    check_fast("lanczos")
