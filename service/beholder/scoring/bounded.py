"""A session that is never given more pixels at once than its graph's memory allows.

A batch of large images runs in parts, and an image that is too large runs in strips where the score is a mean over
places: the strips' scores, weighted by their places, are the score of the whole.
"""

from collections.abc import Mapping

import numpy as np

from beholder.runtime.session import Session
from beholder.scoring.strips import Strips
from beholder.types import Tensor


class BoundedSession:
    """A `Session` of images (N, H, W, 3) at native size whose runs take at most `max_pixels` each.

    Args:
        session: what runs; its only output is `score` where images may come in strips.
        strips: how an image of more pixels is cut; without it, it runs as it is, for it should have been refused.
    """

    def __init__(self, session: Session, max_pixels: int, strips: Strips | None) -> None:
        self._session, self._max_pixels, self._strips = session, max_pixels, strips
        self.provider, self.shapes = session.provider, session.shapes
        self.input_names, self.output_names = session.input_names, session.output_names

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph as often as it takes, as `Session.run` says."""
        rows, height, width = next(iter(inputs.values())).shape[:3]
        if self._strips and height * width > self._max_pixels:
            scores = [self._score({name: images[row] for name, images in inputs.items()}) for row in range(rows)]
            return {"score": np.array(scores, np.float32)}
        step = max(1, self._max_pixels // (height * width))
        if rows <= step:
            return self._session.run(inputs)
        parts = [
            self._session.run({name: images[first : first + step] for name, images in inputs.items()})
            for first in range(0, rows, step)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def close(self) -> None:
        """Let go of the graph, as `Session.close` says."""
        self._session.close()

    def _score(self, images: Mapping[str, Tensor]) -> float:
        """Score one image, or pair, of shape (H, W, 3), strip by strip."""
        assert self._strips  # noqa: S101  only those images come here that are to be cut
        height, width = next(iter(images.values())).shape[:2]
        strips = list(self._strips.cut(height, self._max_pixels // width))
        scores = [
            self._session.run({name: image[None, rows] for name, image in images.items()})["score"].item()
            for rows in strips
        ]
        return self._strips.mean(scores, strips)
