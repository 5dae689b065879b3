"""Error maps are grey to send and coloured to look at."""

import io

import numpy as np
from PIL import Image

from beholder.inputs.map import encode_map, side_by_side
from beholder.types import U8


def pixels_of(png: bytes) -> U8:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_map_goes_from_black_to_white_at_its_high_and_stays_there() -> None:
    errors = np.array([[0.0, 1.0, 2.0], [4.0, 5.0, -1.0]], np.float32)
    assert pixels_of(encode_map(errors, 4.0)).tolist() == [[0, 64, 128], [255, 255, 0]]


def test_reference_candidate_and_map_stand_side_by_side_a_row_for_each() -> None:
    reference, candidate = np.full((4, 6, 3), 10, np.uint8), np.full((4, 6, 3), 20, np.uint8)
    grey = encode_map(np.zeros((4, 6), np.float32), 1.0)
    picture = pixels_of(side_by_side(reference, [(candidate, grey), (reference, grey)], 2))
    assert picture.shape == (8, 18, 3)
    assert (picture[:, :6] == 10).all()
    assert (picture[:4, 6:12] == 20).all()
    assert (picture[4:, 6:12] == 10).all()


def test_more_error_is_brighter_than_less() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    nothing = np.zeros((1, 256, 3), np.uint8)
    colours = pixels_of(side_by_side(nothing, [(nothing, encode_map(ramp, 1.0))], 1))[0, 512:].astype(float)
    assert (np.diff(colours @ [0.2126, 0.7152, 0.0722]) > -0.5).all()
