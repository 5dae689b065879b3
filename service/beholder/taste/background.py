"""What an encoder says of images in general: the measure against which a person's few examples are read.

A file of it belongs to one graph of one encoder. It centres embeddings, keeps the directions in which images differ
most, knows by how much changes that nobody sees move them, and from where on an image is like no other. Directions are
not made equal: whitening learned worse on all people that it was tried on.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beholder.errors import ConfigError
from beholder.taste.npz import read_npz, write_npz
from beholder.types import F32

F64 = NDArray[np.float64]
FORMAT = 1
MAX_DIMENSIONS = 256
NUISANCE_WEIGHT = 0.0
"""How many times the nuisance covariance is added to unit variance. Even 20 made verdicts no steadier under JPEG on
people it wasn't chosen on, and what has to do with sharpness could no longer be learned: `Head.wobble` does the work.
"""
_FOLDS = 5
_DIGITS = 12
"""Of the axes and of the nuisance covariance: they were measured on far too few images to be known better."""
_ARRAYS = ("mean", "axes", "variance", "nuisance", "norms")


@dataclass(frozen=True, eq=False)
class Background:
    """Statistics of one encoder's embeddings.

    Attributes:
        version: of these statistics, chosen by who fitted them; heads of another version have another space.
        encoder_digest: the SHA-256 of the encoder's graph.
        mean: (D,), of the background's embeddings.
        axes: (D, K); the space of what is learned is (embedding - mean) @ axes.
        variance: (K,), of the background along the axes.
        nuisance: (K, K), mean square of what invisible changes do, in the projected space.
        norms: (101,), percentiles of the projected length of images that took no part in the fit.
    """

    version: int
    encoder_digest: str
    mean: F32
    axes: F32
    variance: F64
    nuisance: F64
    norms: F64

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all of it, lowercase hex; what is learned in one's space says nothing in another's."""
        content = hashlib.sha256(f"{FORMAT} {self.version} {self.encoder_digest}".encode())
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            content.update(f" {name} {array.dtype.str} {array.shape} ".encode())
            content.update(array.data)
        return content.hexdigest()

    @property
    def dimensions(self) -> int:
        """K, the projected space's."""
        return int(self.axes.shape[1])

    @property
    def typical(self) -> float:
        """The projected length of an image in the middle of the background."""
        return float(self.norms[50])

    @property
    def far(self) -> float:
        """The projected length that one image in a hundred of the background exceeds."""
        return float(self.norms[99])

    def project(self, embeddings: ArrayLike) -> F64:
        """Return (N, K) of embeddings (N, D), each row as if it were alone, to the last bit.

        Raises:
            ValueError: another D, or a number that is not finite.
        """
        rows = np.atleast_2d(np.asarray(embeddings, dtype=np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.mean.size:
            raise ValueError(f"an embedding of this encoder has {self.mean.size} numbers, these are {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("an embedding has a number that is not finite")
        return np.array([self.place(row) for row in rows]).reshape(-1, self.dimensions)

    def place(self, embedding: F32) -> F64:
        """Return (K,) of one embedding (D,), with no look at what is in it."""
        return np.asarray((embedding - self.mean).dot(self.axes), dtype=np.float64)

    def around(self, embeddings: ArrayLike) -> "Background":
        """Return these statistics with the middle of a pool (N, D) as theirs.

        Likes alone are told from the background's middle: where the candidates are of another kind of image than the
        background, what they have in common drowns what sets them apart, and they are the better measure.
        """
        rows = np.atleast_2d(np.asarray(embeddings, dtype=np.float64))
        self.project(rows)
        return replace(self, mean=rows.mean(axis=0).astype(np.float32))

    def spread(self, weights: F64) -> float:
        """Return the standard deviation over the background of weights (K,) times the projected image."""
        return sqrt(float(weights * weights @ self.variance))

    def wobble(self, weights: F64) -> float:
        """Return by how much invisible changes move weights (K,) times the projected image, root mean square."""
        return sqrt(max(float(weights @ self.nuisance @ weights), 0.0))

    def write(self, path: Path) -> None:
        """Write a file that `read_background` reads.

        Raises:
            ConfigError: it can't be written.
        """
        names = ("version", "encoder_digest", *_ARRAYS)
        write_npz(path, FORMAT, {name: getattr(self, name) for name in names})


def read_background(path: Path) -> Background:
    """Read a file that `Background.write` wrote.

    Raises:
        ConfigError: it is absent, of another format, or its arrays don't fit each other.
    """
    arrays = read_npz(path, "a background", FORMAT)
    try:
        background = Background(
            int(arrays["version"]),
            str(arrays["encoder_digest"]),
            np.asarray(arrays["mean"], dtype=np.float32),
            np.asarray(arrays["axes"], dtype=np.float32),
            np.asarray(arrays["variance"], dtype=np.float64),
            np.asarray(arrays["nuisance"], dtype=np.float64),
            np.asarray(arrays["norms"], dtype=np.float64),
        )
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"{path}: can't be read as a background: {error}") from error
    _check(background, path)
    return background


def _check(background: Background, path: Path) -> None:
    size = background.axes.shape
    shapes = (
        {
            "mean": (size[0],),
            "axes": (size[0], size[-1]),
            "variance": (size[-1],),
            "nuisance": (size[-1], size[-1]),
            "norms": (101,),
        }
        if len(size) == 2
        else {"axes": (0, 0)}
    )
    for name, shape in shapes.items():
        array = getattr(background, name)
        if array.shape != shape or not np.isfinite(array).all():
            raise ConfigError(f"{path}: {name} has the shape {array.shape}, expected finite numbers of {shape}")


def fit_background(
    embeddings: ArrayLike,
    nuisances: ArrayLike,
    *,
    encoder_digest: str,
    version: int = 1,
    nuisance_weight: float = NUISANCE_WEIGHT,
    contents: ArrayLike | None = None,
) -> Background:
    """Fit the statistics of an encoder.

    Args:
        embeddings: (N, D) of images like those that will be judged; N of 100 will do, 1000 are better.
        nuisances: (M, D), embeddings of images changed invisibly minus those of the same images; M may be 0.
        contents: (N,) numbers, equal for images of which one is a part of the other; absent, all differ.

    Raises:
        ValueError: fewer than 10 images, widths that differ, or numbers that are not finite.
    """
    rows = np.asarray(embeddings, dtype=np.float64)
    changes = np.asarray(nuisances, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2 * _FOLDS or changes.shape[1:] != rows.shape[1:]:
        raise ValueError(f"expected (N, D), N at least {2 * _FOLDS}, and (M, D); got {rows.shape} and {changes.shape}")
    if not (np.isfinite(rows).all() and np.isfinite(changes).all()):
        raise ValueError("an embedding has a number that is not finite")
    blind = changes.T @ changes / max(len(changes), 1)
    mean, axes = _fit(rows, blind, nuisance_weight)
    axes = _short(axes)
    variance = ((rows - mean) @ axes).var(axis=0)
    fold = np.unique(np.arange(len(rows)) if contents is None else contents, return_inverse=True)[1] % _FOLDS
    norms = np.percentile(_left_out_lengths(rows, blind, nuisance_weight, fold), np.arange(101))
    nuisance = _short(axes.T @ blind @ axes)
    return Background(
        version,
        encoder_digest,
        mean.astype(np.float32),
        axes.astype(np.float32),
        variance,
        nuisance,
        norms,
    )


def _fit(rows: F64, blind: F64, nuisance_weight: float) -> tuple[F64, F64]:
    """Return the mean and the K directions in which most of what is seen is the background's own variance."""
    mean = rows.mean(axis=0)
    own = (rows - mean).T @ (rows - mean) / len(rows)
    level = max(float(np.trace(own)) / len(own), float(np.finfo(np.float32).tiny))
    factor = np.linalg.cholesky(np.eye(len(own)) + nuisance_weight / level * blind)
    half = np.linalg.solve(factor, own)
    _, directions = np.linalg.eigh(np.linalg.solve(factor, half.T))
    count = min(MAX_DIMENSIONS, len(rows) - 1, len(own))
    chosen = directions[:, ::-1][:, :count]
    axes = np.linalg.solve(factor.T, chosen) / np.sqrt(level)
    signs = np.where(axes[np.abs(axes).argmax(axis=0), np.arange(count)] < 0, -1.0, 1.0)
    return mean, axes * signs


def _short(values: F64) -> F64:
    """Round to `_DIGITS` binary digits, at any scale: a file of them is half as large."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(mantissa * 2**_DIGITS), exponent - _DIGITS))


def _left_out_lengths(rows: F64, blind: F64, nuisance_weight: float, fold: NDArray[np.intp]) -> F64:
    lengths = np.empty(len(rows))
    for index in range(_FOLDS):
        mean, axes = _fit(rows[fold != index], blind, nuisance_weight)
        lengths[fold == index] = np.linalg.norm((rows[fold == index] - mean) @ axes, axis=1)
    return lengths
