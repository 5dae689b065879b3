"""What libvips makes of pixels: laws here, and values that libvips 8.18.7 gave."""

import numpy as np
import pytest
from image_files import picture
from PIL import Image

from beholder.inputs.libvips import vips_blur_rows, vips_resize
from beholder.inputs.resize import resize


def test_an_image_of_the_wanted_size_is_returned_as_it_is() -> None:
    pixels = np.asarray(picture(20, 10))
    assert vips_resize(pixels, (10, 20), "lanczos") is pixels


@pytest.mark.parametrize("size_px", [(224, 224), (40, 224), (50, 30), (20, 15)])
def test_shrinking_stays_beside_pillows(size_px: tuple[int, int]) -> None:
    """They differ where a first pass clips what the second would have brought back, and by the box filter."""
    pixels = np.asarray(picture(512, 384))
    apart = np.abs(vips_resize(pixels, size_px, "lanczos").astype(int) - resize(pixels, size_px, "lanczos"))
    assert 0 < apart.mean() < 3


def test_rows_are_shrunk_before_columns() -> None:
    image = picture(150, 130)
    rows_first = image.resize((150, 80), Image.Resampling.LANCZOS).resize((90, 80), Image.Resampling.LANCZOS)
    assert (vips_resize(np.asarray(image), (80, 90), "lanczos") == np.asarray(rows_first)).all()


@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0])
def test_enlarging_is_half_an_output_pixel_off_centre(factor: float) -> None:
    """A ramp shows where each output pixel was read: at x / factor - 1/2, not (x + 1/2) / factor - 1/2."""
    ramp = np.repeat(np.arange(0, 240, 6, dtype=np.uint8)[None, :, None], 40, axis=0).repeat(3, axis=2)
    side = int(40 * factor)
    want = 6 * (np.arange(side) / factor - 0.5)
    inside = np.s_[int(3 * factor) : -int(3 * factor)]
    for pixels, axis in ((ramp, 0), (ramp.swapaxes(0, 1), 1)):
        out = np.take(vips_resize(pixels, (side, side), "lanczos"), side // 2, axis=axis)[..., 0]
        assert np.abs(out[inside] - want[inside]).max() <= 0.51


def test_one_side_may_grow_while_the_other_shrinks() -> None:
    pixels = np.asarray(picture(30, 90))
    shrunk = Image.fromarray(pixels).resize((30, 40), Image.Resampling.LANCZOS)
    assert (vips_resize(pixels, (40, 60), "lanczos") == vips_resize(np.asarray(shrunk), (40, 60), "box")).all()
    assert (vips_resize(np.full((9, 200, 3), 77, np.uint8), (64, 64), "lanczos") == 77).all()


def test_a_blur_leaves_a_flat_image_flat() -> None:
    assert (vips_blur_rows(np.full((20, 30, 3), 200, np.uint8), 0, 20, 10.0) == 200).all()


def test_a_blur_is_the_same_for_some_rows_as_for_all() -> None:
    pixels = np.asarray(picture(40, 50))
    whole = vips_blur_rows(pixels, 0, 50, 3.0)
    for start, stop in ((0, 2), (30, 31), (45, 50), (7, 7)):
        assert (vips_blur_rows(pixels, start, stop, 3.0) == whole[start:stop]).all()


SHRUNK = """
    197 121 43 30 94 175 229  93 26 41 121 203 234 176  23 64 149 222 223 149 66
    91 177 233 203 120 42 28  201 234 178 92 26 41 121  219 149 68 23 66 148 216
"""
SHRUNK_STRONGLY = """
    109 134 127 124 129 132  115 128 131 126 122 146  147 120 127 131 125 120
    137 128 124 128 132 109  107 134 127 124 128 134
"""
ENLARGED = """
    255 255 245 231 218 206 193 179 167  255 254 242 228 215 203 190 176 164
    235 233 221 207 194 182 169 155 143  209 207 195 181 168 156 143 129 117
    186 184 172 158 145 133 120 106 94  162 160 148 134 121 109 96 82 70
    136 134 122 108 95 83 70 56 44  115 113 101 87 74 62 49 35 23
"""
BLURRED = """
    209 200 188 174 158 142 126 111 97 85 74 66  66 70 76 83 92 103 115 126 138 149 158 165
"""


def waves(height: int, width: int, channel: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    across, down = ((17, 29), (41, 11), (23, 47))[channel]
    return np.repeat(np.abs((columns * across + rows * down) % 510 - 255)[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("pixels", "size_px", "libvips", "levels"),
    [
        (waves(20, 30, 0), (6, 7), SHRUNK, 4),
        (waves(60, 50, 1), (5, 6), SHRUNK_STRONGLY, 6),
        (waves(4, 5, 2), (8, 9), ENLARGED, 1),
    ],
    ids=["shrunk", "shrunk strongly", "enlarged"],
)
def test_resizing_is_what_libvips_gave(pixels: np.ndarray, size_px: tuple[int, int], libvips: str, levels: int) -> None:
    """`pyvips.Image.resize(kernel="lanczos3")`; on sizes as small as these its coarser positions show."""
    apart = np.abs(vips_resize(pixels, size_px, "lanczos")[..., 0] - np.array(libvips.split(), int).reshape(size_px))
    assert apart.max() <= levels
    assert apart.mean() < 2


def test_a_blur_is_what_libvips_gave() -> None:
    """`pyvips.Image.gaussblur(3)`."""
    want = np.array(BLURRED.split(), int).reshape(2, 12)
    assert np.abs(vips_blur_rows(waves(16, 12, 0), 0, 10, 3.0)[[0, 9], :, 0] - want).max() <= 2
