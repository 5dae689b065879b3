"""Writes the graph of ssimulacra2: constants only, nothing to download."""

import math
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _colour import linearise
from _export import export_pair
from _golden import U8, Golden, Peer

SIGMA, RADIUS = 1.5, 5
C2 = 0.0009
CONES = ((0.30, 0.622, 0.078), (0.23, 0.692, 0.078), (0.24342268924547819, 0.20476744424496821, 0.5518098665095536))
"""How much of red, green and blue light each kind of cone takes up (XYB of JPEG XL)."""
BIAS = 0.0037930732552754493
"""What each cone sees in the dark; since its shares sum to 1, as much light of every colour does the same."""
OPPONENTS, OFFSETS = ((7, -7, 0), (0.5, 0.5, 0), (-0.5, -0.5, 1)), (0.42, 0.01 - BIAS ** (1 / 3), 0.55)
"""From the cones' cube roots to 14 X + 0.42, Y + 0.01 and B - Y + 0.55."""
SCALES, LEAST_PX = 6, 8
# fmt: off
WEIGHTS = (
    (  # X
        ((0, 0.0007376606707406586, 0), (0, 0.0007793481682867309, 0)),
        ((0, 0.0004371155730107379, 0), (1.1041726426657346, 0.00066284834129271, 0.00015231632783718752)),
        ((0, 0.0016406437456599754, 0), (1.8422455520539298, 11.441172603757666, 0)),
        ((0.0007989109436015163, 0.000176816438078653, 0), (1.8787594979546387, 10.94906990605142, 0)),
        ((0.0007289346991508072, 0.9677937080626833, 0),
         (0.00014003424285435884, 0.9981766977854967, 0.00031949755934435053)),
        ((0.0004550992113792063, 0, 0), (0.0013648766163243398, 0, 0)),
    ),
    (  # Y
        ((0, 0, 0), (7.466890328078848, 0, 17.445833984131262)),
        ((0.0006235601634041466, 0, 0), (6.683678146179332, 0.00037724407979611296, 1.027889937768264)),
        ((225.20515300849274, 0, 0), (19.213238186143016, 0.0011401524586618361, 0.001237755635509985)),
        ((176.39317598450694, 0, 0), (24.43300999870476, 0.28520802612117757, 0.0004485436923833408)),
        ((0, 0, 0), (34.77906344483772, 44.835625328877896, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ),
    (  # B
        ((0, 0.0008680556573291698, 0), (0, 0, 0)),
        ((0, 0.0005313191874358747, 0), (0.00016533814161379112, 0, 0)),
        ((0, 0, 0), (0.0004179171803251336, 0.0017290828234722833, 0)),
        ((0.0020827005846636437, 0, 0), (8.826982764996862, 23.19243343998926, 0)),
        ((95.1080498811086, 0.9863978034400682, 0.9834382792465353),
         (0.0012286405048278493, 171.2667255897307, 0.9807858872435379)),
        ((0, 0, 0), (0.0005130064588990679, 0, 0.00010854057858411537)),
    ),
)
# fmt: on
"""Of X, Y and B; of each scale; of the mean and of the 4-norm; of structure, ringing and blurring."""


def window() -> list[float]:
    """Return the 9 taps that the authors' recursive Gaussian amounts to.

    Its impulse response ends: h(t) = sum of b cos(w t) over w = pi / 2N, 3 pi / 2N, 5 pi / 2N, for |t| < N = 5
    (Charalampidis, "Recursive implementation of the Gaussian filter using truncated cosine functions", 2016). The
    three amplitudes b are the nearest to a Gaussian's own that give h a sum of 1 and a variance of sigma².
    """
    steps = range(1 - RADIUS, RADIUS)
    waves = [k * math.pi / (2 * RADIUS) for k in (1, 3, 5)]
    own = [math.exp(-0.5 * (SIGMA * w) ** 2) / RADIUS for w in waves]
    sums = [math.fsum(math.cos(w * t) for t in steps) for w in waves]
    spreads = [math.fsum(t * t * math.cos(w * t) for t in steps) for w in waves]
    missing = 1 - _dot(sums, own), SIGMA**2 - _dot(spreads, own)
    square, mixed, other = _dot(sums, sums), _dot(sums, spreads), _dot(spreads, spreads)
    determinant = square * other - mixed**2
    of_sums = (other * missing[0] - mixed * missing[1]) / determinant
    of_spreads = (square * missing[1] - mixed * missing[0]) / determinant
    b = [a + of_sums * p + of_spreads * r for a, p, r in zip(own, sums, spreads, strict=True)]
    return [_dot(b, [math.cos(w * t) for w in waves]) for t in steps]


def _dot(left: list[float], right: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(left, right, strict=True))


def weights_for(scales: int) -> torch.Tensor:
    """Return the weights (6, 18) of an image that has so many scales: a row for each, in the order of `_norms`.

    The authors' program reads its 108 weights in one go, so that with fewer scales they slip: those of X's fifth scale
    are taken for Y's first. Scores of small images equal the program's only if they slip here too.
    """
    read = torch.tensor(WEIGHTS, dtype=torch.float64).flatten()[: 18 * scales]
    weights = torch.zeros(SCALES, 18)
    weights[:scales] = read.view(3, scales, 2, 3).permute(1, 2, 3, 0).reshape(scales, 18)
    return weights


class Ssimulacra2(torch.nn.Module):
    """SSIMULACRA 2.1 (Sneyers, Cloudinary 2023): structure, ringing and blurring at six scales of XYB.

    With e = y - x, the two images' difference, and m, v the means and variances in a window, the authors' error of
    structure, 1 - (1 - me²) (2 cov + C2) / (vx + vy + C2), is q + me² (1 - q), where q = ve / (vx + vy + C2). This
    form is exactly 0 for equal images, and keeps the small differences between similar ones.
    """

    along: torch.Tensor
    down: torch.Tensor
    light: torch.Tensor
    cones: torch.Tensor
    opponents: torch.Tensor
    offsets: torch.Tensor
    weights: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(window())
        self.register_buffer("along", taps.view(1, 1, 1, -1).repeat(12, 1, 1, 1))
        self.register_buffer("down", taps.view(1, 1, -1, 1).repeat(12, 1, 1, 1))
        self.register_buffer("light", linearise(torch.arange(256, dtype=torch.float64) / 255).add(BIAS).float())
        self.register_buffer("cones", torch.tensor(CONES))
        self.register_buffer("opponents", torch.tensor(OPPONENTS))
        self.register_buffer("offsets", torch.tensor(OFFSETS)[:, None])
        self.register_buffer("weights", torch.stack([weights_for(scales) for scales in range(2, SCALES + 1)]))

    def forward(self, candidate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Map uint8 (N, H, W, 3) pairs to scores (N,), 100 or less; sides of at least 8 px."""
        weights = self._weights(candidate)
        return 100 - _points(_weigh(self._errors(candidate, reference), weights))

    def map(self, candidate: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scores, and the points that an image would lose if all of it were like this place."""
        weights = self._weights(candidate)
        errors = self._errors(candidate, reference)
        both = (weights[:, :9] + weights[:, 9:])[:, :, None, None]  # the mean and the 4-norm of a constant are the same
        maps = [(error * weight).sum(dim=1, keepdim=True) for error, weight in zip(errors, both, strict=True)]
        drawn = maps[-1]
        for finer in maps[-2::-1]:
            wide = interpolate(drawn, scale_factor=2, mode="bilinear")
            drawn = finer + wide[:, :, : finer.shape[2], : finer.shape[3]]
        return 100 - _points(_weigh(errors, weights)), _points(drawn[:, 0])

    def _weights(self, images: torch.Tensor) -> torch.Tensor:
        """Choose the weights (6, 18): a scale exists where the one before has 8 px or more each way."""
        side = torch._shape_as_tensor(images)[1:3].min()
        enough = torch.tensor([(LEAST_PX - 1) * 2**scale + 1 for scale in range(1, SCALES - 1)])
        return self.weights[(side >= enough).to(torch.int64).sum()]

    def _errors(self, candidate: torch.Tensor, reference: torch.Tensor) -> list[torch.Tensor]:
        """Return the errors at each scale, (N, 9, h, w): structure, ringing and blurring of X, Y and B."""
        light = self._light(torch.cat([reference, candidate]))
        errors = []
        for _ in range(SCALES):
            errors.append(self._compare(self._to_xyb(light)))
            # An even side is padded too: the pool leaves its last row out again.
            light = avg_pool2d(pad(light, [0, 1, 0, 1], mode="replicate"), kernel_size=2)
        return errors

    def _light(self, pixels: torch.Tensor) -> torch.Tensor:
        """Turn sRGB bytes (N, H, W, 3) into light (N, 3, H, W) of 0 to 1, and the bias on top."""
        planes = pixels.permute(0, 3, 1, 2)
        # Of all ways to look 256 values up this is by far the fastest, and a tenth of the time of a power.
        return self.light.gather(0, planes.reshape(-1).to(torch.int64)).view(planes.shape)

    def _to_xyb(self, light: torch.Tensor) -> torch.Tensor:
        """Turn light (N, 3, h, w) into XYB, brought to about 0 to 1."""
        cones = self.cones @ light.flatten(2)
        roots = torch.exp(torch.log(cones) * (1 / 3))  # a fifth of the time of a power
        return (self.opponents @ roots + self.offsets).view(light.shape)

    def _compare(self, xyb: torch.Tensor) -> torch.Tensor:
        """Compare references and candidates (2 N, 3, h, w): (N, 9, h, w)."""
        x, y = xyb.chunk(2)
        e = y - x
        blurred = torch.cat([x, e, x * x + y * y, e * e], dim=1)
        blurred = conv2d(blurred, self.along, padding=(0, RADIUS - 1), groups=12)
        blurred = conv2d(blurred, self.down, padding=(RADIUS - 1, 0), groups=12)
        mx, me, mss, mee = blurred.split(3, dim=1)
        my, me2 = mx + me, me * me
        q = torch.relu(mee - me2) / (mss - mx * mx - my * my + C2)
        detail, changed = (x - mx).abs(), (y - my).abs()
        edges = (changed - detail) / (1 + detail)
        return torch.cat([q + me2 * (1 - q), torch.relu(edges), torch.relu(-edges)], dim=1)


def _weigh(errors: list[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    """Sum the weighted means and 4-norms of the errors at each scale: (N,)."""
    return torch.stack([(_norms(error) * weights[scale]).sum(dim=1) for scale, error in enumerate(errors)]).sum(dim=0)


def _norms(errors: torch.Tensor) -> torch.Tensor:
    """Return the mean of each plane, then the 4-norm of each: (N, 9, h, w) to (N, 18)."""
    squares = errors * errors
    fourth = (squares * squares).mean(dim=3).mean(dim=2)
    return torch.cat([errors.mean(dim=3).mean(dim=2), fourth.sqrt().sqrt()], dim=1)


def _points(error: torch.Tensor) -> torch.Tensor:
    """Turn a weighted error into points lost, on the scale of people's opinions: the authors' cubic and power."""
    error = 0.9562382616834844 * error
    bent = ((6.248496625763138e-05 * error - 0.020884521182843837) * error + 2.326765642916932) * error
    return 10 * bent**0.6276336467831387


def peer() -> Peer:
    """Return the authors' own program, `ssimulacra2` of Debian's libjxl-devtools, which must be on the path."""
    return _ask


def _ask(candidate: U8, reference: U8) -> float:
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("reference.ppm", "candidate.ppm")]
        for path, pixels in zip(paths, (reference, candidate), strict=True):
            Image.fromarray(pixels).save(path)
        command = ["ssimulacra2", *paths]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return float(done.stdout)


GOLDEN = Golden(
    __file__,
    peer="libjxl 0.11.2",
    how="ssimulacra2 reference.ppm candidate.ppm (SSIMULACRA 2.1)",
    tolerance=0.12,
    reason="the recursive blur of the peer gathers float32 rounding along each row and column; see the card",
    min_side_px=LEAST_PX,
    is_symmetric=False,
)

if __name__ == "__main__":
    export_pair(Ssimulacra2, GOLDEN, peer, side_px=128)
