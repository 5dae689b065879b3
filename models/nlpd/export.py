"""Writes the graph of nlpd: constants only, no weights."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import conv2d, pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import LUMA, luma_pair
from _export import export_pair
from _golden import U8, Golden, Peer
from _pyramid import double, halve
from _shrink import spread
from _window import average

WINDOW = (0.05, 0.25, 0.4, 0.25, 0.05)
"""Burt and Adelson's."""
SIGMAS = (0.0248, 0.0185, 0.0179, 0.0191, 0.022, 0.2782)
"""What is added to the neighbours' activity at each level, the finest first."""
NEIGHBOURS = (
    (0.1011, 0.1015, 0.146, 0.1493, 0.0072),
    (0.0757, 0.0837, 0.1846, 0.1986, 0.0),
    (0.0477, 0.0467, 0.2243, 0.2138, 0.0),
    (0.0, 0.0, 0.2616, 0.2503, 0.0),
    (0.0, 0.0, 0.2552, 0.2598, 0.0),
    (0.0, 0.0, 0.0717, 0.2215, 0.0),
)
"""Weights, at each level, of the pixel below, above, to the left, to the right, and second to the left.

The authors write a kernel down and convolve with it, which turns it round; here it has been turned.
"""


class Nlpd(torch.nn.Module):
    """Normalised Laplacian pyramid distance (Laparra, Ballé, Berardino, Simoncelli 2016) of luma in [0, 1]."""

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 0 or more; sides of at least 17 px."""
        return _distance(_differences(luma_pair(candidate, reference) / 255))

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and at each pixel the mean difference of the levels, from the nearest pixel of each."""
        lumas = luma_pair(candidate, reference) / 255
        differences = _differences(lumas)
        maps = differences[0][:, 0].abs()
        for level, difference in enumerate(differences[1:], start=1):
            maps = maps + spread(difference[:, 0].abs(), torch.tensor(2**level), "replicate", lumas)
        return _distance(differences), maps / len(differences)


def _differences(lumas: torch.Tensor) -> list[torch.Tensor]:
    """Return how two normalised pyramids differ at each level, the finest first: (N, 1, H, W) and smaller."""
    levels = [_normalise(planes, level) for level, planes in enumerate(_laplacian(lumas))]
    return [level[:, :1] - level[:, 1:] for level in levels]


def _distance(differences: list[torch.Tensor]) -> torch.Tensor:
    """Average the levels' root mean squares: (N,)."""
    return torch.stack([average(difference * difference).sqrt() for difference in differences]).mean(dim=0)


def _laplacian(planes: torch.Tensor) -> list[torch.Tensor]:
    """Return five levels of detail, the finest first, and the low-pass rest."""
    levels = []
    for _ in SIGMAS[:-1]:
        low = halve(_mirror(planes), WINDOW)
        levels.append(planes - double(pad(low, [1] * 4, mode="replicate"), WINDOW, planes))
        planes = low
    return [*levels, planes]


def _mirror(planes: torch.Tensor) -> torch.Tensor:
    """Add two pixels beyond each border, a mirror image that begins with the border's own pixel."""
    top, bottom = [planes[:, :, 1:2], planes[:, :, :1]], [planes[:, :, -1:], planes[:, :, -2:-1]]
    planes = torch.cat([*top, planes, *bottom], dim=2)
    left, right = [planes[..., 1:2], planes[..., :1]], [planes[..., -1:], planes[..., -2:-1]]
    return torch.cat([*left, planes, *right], dim=3)


def _normalise(planes: torch.Tensor, level: int) -> torch.Tensor:
    """Divide each pixel by the activity around it, with zeros beyond the border."""
    below, above, left, right, second_left = NEIGHBOURS[level]
    weights = [[0, 0, above, 0, 0], [second_left, left, 0, right, 0], [0, 0, below, 0, 0]]
    kernels = torch.tensor([[weights]]).repeat(2, 1, 1, 1)
    return planes / (SIGMAS[level] + conv2d(planes.abs(), kernels, padding=(1, 2), groups=2))


def peer() -> Peer:
    """Return the authors' NLP_dist.m, run by GNU Octave; the file lies in a folder that Python imports from.

    Raises:
        StopIteration: it lies in none.
    """
    folder = next(folder for folder in sys.path if (Path(folder) / "NLP_dist.m").exists())
    octave = subprocess.Popen(
        ["octave-cli", "--norc", "--quiet"],  # noqa: S607 - wherever it is installed
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert octave.stdin  # noqa: S101
    assert octave.stdout  # noqa: S101
    print(f"pkg load image; addpath('{folder}');", file=octave.stdin)

    def ask(candidate: U8, reference: U8) -> float:
        height, width = reference.shape[:2]
        with tempfile.TemporaryDirectory() as scratch:
            for name, pixels in (("candidate", candidate), ("reference", reference)):
                (pixels @ np.array(LUMA) / 255).T.tofile(Path(scratch) / name)  # column by column
            read = "fread(fopen('{}'), [{} {}], 'double')"
            images = [read.format(Path(scratch) / name, height, width) for name in ("reference", "candidate")]
            program = f"printf('%.17g\\n', NLP_dist({', '.join(images)})); fclose('all'); fflush(stdout);"
            print(program, file=octave.stdin, flush=True)
            return float(octave.stdout.readline())

    return ask


GOLDEN = Golden(
    __file__,
    peer="NLP_dist.m of 2016",
    how="NLP_dist(reference, candidate) of 0.299 R + 0.587 G + 0.114 B in [0, 1], by GNU Octave 7.3 with image 2.14",
    tolerance=1e-6,
    reason="float32 rounding, against float64",
    min_side_px=17,
)

if __name__ == "__main__":
    export_pair(Nlpd, GOLDEN, peer, side_px=40)
