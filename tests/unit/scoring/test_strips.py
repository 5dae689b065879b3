"""The strips of a large image make up the whole."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beholder.scoring.strips import Mean, Strips, StripSession
from beholder.types import Tensor
from fake_session import FakeSession

WINDOW = 4


class Recorder(FakeSession):
    """Averages sums over windows of 4 rows, or the decibels of blocks of 4 rows, and remembers the shapes it saw."""

    def __init__(self, of: Mean) -> None:
        super().__init__(self._scores)
        self.shapes_seen: list[tuple[int, ...]] = []
        self._of = of

    def _scores(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pixels = inputs["candidate"].astype(np.float64)
        self.shapes_seen.append(pixels.shape)
        if self._of is Mean.SCORE:
            windows = np.lib.stride_tricks.sliding_window_view(pixels, WINDOW, axis=1)
            return {"score": windows.sum(axis=-1).mean(axis=(1, 2, 3)).astype(np.float32)}
        rows = pixels.shape[1] // WINDOW * WINDOW
        error = (pixels[:, :rows] ** 2).mean(axis=(1, 2, 3)) + 1
        return {"score": (-10 * np.log10(error)).astype(np.float32)}


STRIPS = {Mean.SCORE: Strips(WINDOW - 1, 1, Mean.SCORE), Mean.DECIBEL: Strips(0, WINDOW, Mean.DECIBEL)}


def images(rows: int, height: int, width: int) -> dict[str, Tensor]:
    return {"candidate": np.random.default_rng(height).integers(0, 256, (rows, height, width, 3), dtype=np.uint8)}


@pytest.mark.parametrize("of", Mean)
@given(height=st.integers(WINDOW, 90), width=st.integers(1, 9), most_rows=st.integers(1, 30), rows=st.integers(1, 3))
def test_strips_score_as_the_whole_and_none_is_larger_than_allowed(
    of: Mean, height: int, width: int, most_rows: int, rows: int
) -> None:
    whole, cut = Recorder(of), Recorder(of)
    batch = images(rows, height, width)
    [expected] = whole.run(batch).values()
    [scores] = StripSession(cut, most_rows * width, STRIPS[of]).run(batch).values()
    assert scores.dtype == np.float32
    assert scores == pytest.approx(expected, rel=1e-5)
    is_cut = height > most_rows
    assert all(shape[1] <= max(most_rows, WINDOW + WINDOW % most_rows) for shape in cut.shapes_seen if is_cut)


def test_scores_that_stop_at_a_cap_are_averaged_beyond_it_and_the_whole_stops_there_too() -> None:
    def graph(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        decibels = inputs["candidate"].reshape(-1)[:1].astype(np.float32)
        return {"score": decibels.clip(max=100), "uncapped": decibels}

    session = StripSession(FakeSession(graph, output_names=("score", "uncapped")), 4, STRIPS[Mean.DECIBEL])
    image = np.repeat(np.array([90, 130], np.uint8), WINDOW).reshape(1, -1, 1, 1).repeat(3, axis=3)
    below, beyond, fits = (session.run({"candidate": part}) for part in (image, image + 40, image[:, WINDOW:]))
    assert below["score"] == pytest.approx(90 + 10 * np.log10(2), abs=1e-3)
    assert beyond == fits == {"score": np.float32(100)}
    assert session.output_names == ("score",)


def test_images_that_fit_run_together_as_they_are() -> None:
    session, batch = Recorder(Mean.SCORE), images(2, 10, 5)
    StripSession(session, 10 * 5, STRIPS[Mean.SCORE]).run(batch)
    assert session.shapes_seen == [(2, 10, 5, 3)]
