"""Colour, tone and texture of a picture as numbers: what an encoder of objects leaves out and a taste is made of.

Every number is made of sums, shares, filters and sorted values of 256x256 pixels, so that a graph can say the same.
"""

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
SIDE_PX = 256
HUES = 6
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
GROUPS = ("tone", "colour", "hue", "texture", "bands", "layout")


def lab(pixels: NDArray[np.uint8]) -> F64:
    """Return CIE L*a*b* (D65) of sRGB pixels: (H, W, 3), L 0 to 100."""
    value = pixels / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    ratio = (linear @ _TO_XYZ.T) / _WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * root[..., 1] - 16, 500 * (root[..., 0] - root[..., 1]), 200 * (root[..., 1] - root[..., 2])], axis=-1
    )


def halve(plane: F64) -> F64:
    """Return the means of 2x2 pixels: (H/2, W/2)."""
    return (plane[0::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 0::2] + plane[1::2, 1::2]) / 4


def _double(plane: F64) -> F64:
    return plane.repeat(2, axis=0).repeat(2, axis=1)


def _log(value: float) -> float:
    return float(np.log(value + 0.1))


def _soft(value: F64, at: float, width: float) -> float:
    """Return the share of pixels above `at`, soft over `width`."""
    return float(np.mean(1 / (1 + np.exp(-(value - at) / width))))


def _quantiles(plane: F64, *percents: int) -> list[float]:
    order = np.sort(plane, axis=None)
    return [float(order[(len(order) - 1) * percent // 100]) for percent in percents]


def _tone(light: F64) -> list[float]:
    mean, deviation = light.mean(), light.std()
    skew = float(((light - mean) ** 3).mean() / (deviation + 1) ** 3)
    shares = [_soft(light, 20, 3), _soft(light, 80, 3)]
    return [mean, deviation, skew, *_quantiles(light, 5, 25, 50, 75, 95), *shares]


def _colour(light: F64, a: F64, b: F64) -> list[float]:
    chroma = np.sqrt(a * a + b * b + 1e-6)
    result = [a.mean(), b.mean(), a.std(), b.std(), *_quantiles(a, 10, 90), *_quantiles(b, 10, 90)]
    result += [chroma.mean(), chroma.std(), *_quantiles(chroma, 50, 90), _soft(chroma, 8, 2), _soft(chroma, 40, 5)]
    centred = light - light.mean()
    result += [float((centred * (plane - plane.mean())).mean()) / 100 for plane in (a, b, chroma)]
    saturation = chroma / np.sqrt(chroma * chroma + light * light + 25)
    return [*map(float, result), float(saturation.mean()), float(saturation.std())]


def _hues(a: F64, b: F64) -> list[float]:
    """Return how much of the chroma lies around each of six hues, and how concentrated it is."""
    chroma = np.sqrt(a * a + b * b + 1e-6)
    total = chroma.sum() + 5 * chroma.size  # greyish pictures have no hue
    angles = np.arange(HUES) * 2 * np.pi / HUES
    shares = [float((np.maximum(a * np.cos(at) + b * np.sin(at), 0) ** 2 / chroma).sum() / total) for at in angles]
    return [*shares, float(np.hypot(a.sum(), b.sum()) / total)]


def _texture(light: F64, a: F64, b: F64) -> list[float]:
    result = []
    plane = light
    for _ in range(3):
        down, across = plane[2:, 1:-1] - plane[:-2, 1:-1], plane[1:-1, 2:] - plane[1:-1, :-2]
        slope = np.sqrt(down * down + across * across + 1e-6)
        energy = slope.mean() + 0.5
        result += [_log(float(slope.mean())), _log(float(slope.std()) / energy), _soft(slope, 20, 4)]
        twice = slope + 1e-3
        result += [
            float(((across * across - down * down) / twice).mean() / energy),
            float((2 * across * down / twice).mean() / energy),
        ]
        plane = halve(plane)
    for plane, size in ((light, 8), (light, 32), (a, 8), (b, 8)):
        result.append(_log(float(_local_deviation(plane, size).mean())))
    local = _local_deviation(light, 16)
    result.append(_log(float(local.std() / (local.mean() + 0.5))))
    return result


def _local_deviation(plane: F64, size: int) -> F64:
    side = plane.shape[0] // size
    tiles = plane.reshape(side, size, side, size).swapaxes(1, 2).reshape(side, side, -1)
    return np.asarray(tiles.std(axis=-1))


def _bands(light: F64, a: F64, b: F64) -> list[float]:
    result = []
    for plane, count in ((light, 6), (a, 5), (b, 5)):
        for _ in range(count):
            small = halve(plane)
            result.append(_log(float((plane - _double(small)).std())))
            plane = small
    return result


def _layout(light: F64, a: F64, b: F64) -> list[float]:
    chroma = np.sqrt(a * a + b * b + 1e-6)
    contrast = _local_deviation(light, 16)
    result = []
    for plane in (light, chroma, contrast):
        edge = plane.shape[0] // 4
        middle = plane[edge:-edge, edge:-edge].mean()
        half = plane.shape[0] // 2
        result += [float(middle - plane.mean()), float(plane[:half].mean() - plane[half:].mean())]
        result.append(abs(float(plane[:, :half].mean() - plane[:, half:].mean())))
    coarse = light.reshape(16, 16, 16, 16).mean(axis=(1, 3))
    coarse = coarse - coarse.mean()
    result.append(float((coarse * coarse[:, ::-1]).mean() / ((coarse * coarse).mean() + 1)))
    return result


def statistics(pixels: NDArray[np.uint8]) -> dict[str, list[float]]:
    """Return the numbers of one picture (256, 256, 3), by group."""
    light, a, b = np.moveaxis(lab(pixels), -1, 0)
    return {
        "tone": [float(value) for value in _tone(light)],
        "colour": _colour(light, a, b),
        "hue": _hues(a, b),
        "texture": _texture(light, a, b),
        "bands": _bands(light, a, b),
        "layout": _layout(light, a, b),
    }
