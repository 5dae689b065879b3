"""What a person likes, learned from a few examples in closed form.

One Bayesian model holds all kinds of evidence. The latent opinion of an image is f = w·z + b, with z its projected
embedding; f = 0 is the middle of the background. A like says that an image beats that middle, a dislike that it
doesn't (logistic); a choice says that f of one image exceeds f of another (Bradley and Terry, 1952), a tie is half a
win for each; a rating is f with normal noise. Before anything is said w is normal around the population's preference,
or around nothing. The mode is found by Newton's method and the posterior taken as normal there (Laplace; Rasmussen and
Williams, "Gaussian Processes for Machine Learning", 2006, sections 3.4 and 5.4).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beholder.store.opinions import Taste
from beholder.taste.background import Background
from beholder.taste.evidence import Evidence, evidence_of
from beholder.taste.head import Head
from beholder.taste.prior import Prior

F64 = NDArray[np.float64]

PRIOR_SD = 6.0
"""Standard deviation of the latent opinion of a typical image before anything is said."""
BIAS_SD = 1.0
"""Standard deviation of the bias, for who likes nearly all or hardly anything of what they are shown."""
RATING_NOISE = 1.0
"""Standard deviation of a rating around the latent opinion, in its units."""
_MAX_STEPS = 100
_PRECISION = 1e-12


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How well a taste predicts its own examples, each left out once.

    Attributes:
        count: how many examples say anything to predict: ties and middling ratings don't.
        right: the share predicted right.
        log_loss: mean over them in nats; ln 2 = 0.69 knows nothing.
    """

    count: int
    right: float
    log_loss: float


@dataclass(frozen=True, slots=True, eq=False)
class _Mode:
    """The posterior's mode, in coordinates (K + 1,) that are standard normal before anything is said.

    Attributes:
        rows: (M, K + 1), the design in these coordinates.
        at: (K + 1,).
        latent, slope, curvature: (M,), the opinions there, and the log likelihood's derivatives by them.
    """

    rows: F64
    at: F64
    latent: F64
    slope: F64
    curvature: F64


def fit(taste: Taste, background: Background, prior: Prior | None = None) -> Head:
    """Learn a taste from everything that was told; the order of telling makes no difference.

    Raises:
        ValueError: an embedding of another length or not finite, or an opinion whose image has no embedding.
    """
    evidence = evidence_of(taste, background)
    scale = _scale(evidence, background)
    mode = _mode(evidence, scale, _start(background, prior))
    weights = _start(background, prior) + scale * mode.at
    factor = _factor(mode)
    of_weights, of_bias = factor[:, :-1], factor[:, -1]
    return Head(
        weights=weights[:-1],
        bias=float(weights[-1]),
        weight_sd=float(scale[0]),
        bias_sd=float(scale[-1]),
        factor=np.ascontiguousarray(of_weights, dtype=np.float32),
        bias_covariance=(-scale[0] * scale[-1] * (of_bias @ of_weights)).astype(np.float32),
        bias_variance=float(scale[-1] ** 2 * max(1 - of_bias @ of_bias, 0.0)),
        spread=background.spread(weights[:-1]),
        wobble=background.wobble(weights[:-1]),
        far=background.far,
    )


def weights_of(evidence: Evidence, background: Background) -> F64:
    """Return the weights (K + 1,), the bias last, that evidence speaks for, with nothing known before."""
    start = np.zeros(background.dimensions + 1)
    scale = _scale(evidence, background)
    return np.asarray(scale * _mode(evidence, scale, start).at)


def leave_one_out(taste: Taste, background: Background, prior: Prior | None = None) -> LeftOut:
    """Return how well the rest of what was told predicts each thing told.

    In closed form, at the cost of one fit: exact for ratings, and for the others as the normal approximation is
    (Rasmussen and Williams, section 5.4.2).

    Raises:
        ValueError: as `fit`.
    """
    evidence = evidence_of(taste, background)
    mode = _mode(evidence, _scale(evidence, background), _start(background, prior))
    drawn = mode.rows @ _factor(mode).T
    variance = (mode.rows * mode.rows).sum(axis=1) - (drawn * drawn).sum(axis=1)
    cavity = variance / np.maximum(1 - mode.curvature * variance, 1e-9)
    mean = mode.latent - mode.slope * cavity
    middle = np.where(evidence.is_normal, 0.0, 0.5)
    says = evidence.target != middle
    signed = np.where(evidence.target > middle, mean, -mean)[says]
    if not signed.size:
        return LeftOut(0, 0.5, float(np.log(2)))
    right = (signed > 0).mean() + (signed == 0).mean() / 2
    loss = np.logaddexp(0, -signed / np.sqrt(1 + np.pi * cavity[says] / 8))
    return LeftOut(int(signed.size), float(right), float(loss.mean()))


def _scale(evidence: Evidence, background: Background) -> F64:
    """Return the standard deviations (K + 1,) of the weights and the bias before anything is said."""
    scale = np.full(background.dimensions + 1, PRIOR_SD / background.typical)
    scale[-1] = BIAS_SD if evidence.has_bias else 0.0
    return scale


def _start(background: Background, prior: Prior | None) -> F64:
    if prior is None:
        return np.zeros(background.dimensions + 1)
    if prior.weights.shape != (background.dimensions,):
        raise ValueError(f"the prior has weights of {prior.weights.shape}, expected ({background.dimensions},)")
    return np.append(prior.weights, prior.bias)


def _mode(evidence: Evidence, scale: F64, start: F64) -> _Mode:
    """Find the mode by Newton's method, halving steps that overshoot."""
    rows = evidence.design * scale
    offset = evidence.design[:, :-1] @ start[:-1] + start[-1] * evidence.is_verdict
    at = np.zeros(len(scale))
    latent = offset
    value = _log_posterior(evidence, latent, at)
    for _ in range(_MAX_STEPS):
        slope, curvature = _derivatives(evidence, latent)
        uphill = rows.T @ slope - at
        step = _solve(rows, curvature, uphill)
        gain = float(step @ uphill)
        moved = _log_posterior(evidence, offset + rows @ (at + step), at + step)
        while moved < value and gain > _PRECISION:
            step, gain = step / 2, gain / 2
            moved = _log_posterior(evidence, offset + rows @ (at + step), at + step)
        at, value = at + step, moved
        latent = offset + rows @ at
        if gain <= _PRECISION:
            break
    slope, curvature = _derivatives(evidence, latent)
    return _Mode(rows, at, latent, slope, curvature)


def _derivatives(evidence: Evidence, latent: F64) -> tuple[F64, F64]:
    """Return the slope (M,) of the log likelihood by the latent opinion, and minus its second derivative."""
    likely = 0.5 * (1 + np.tanh(latent / 2))
    slope = np.where(evidence.is_normal, (evidence.target - latent) / RATING_NOISE**2, evidence.target - likely)
    curvature = np.where(evidence.is_normal, 1 / RATING_NOISE**2, likely * (1 - likely))
    return evidence.weight * slope, evidence.weight * curvature


def _log_posterior(evidence: Evidence, latent: F64, at: F64) -> float:
    normal = -0.5 * ((evidence.target - latent) / RATING_NOISE) ** 2
    logistic = evidence.target * latent - np.logaddexp(0, latent)
    return float(evidence.weight @ np.where(evidence.is_normal, normal, logistic) - 0.5 * at @ at)


def _solve(rows: F64, curvature: F64, right: F64) -> F64:
    """Return (I + rows' C rows)^-1 right, by way of the smaller of the two systems."""
    scaled = rows * np.sqrt(curvature)[:, None]
    if len(rows) >= rows.shape[1]:
        return np.asarray(np.linalg.solve(np.eye(rows.shape[1]) + scaled.T @ scaled, right))
    inner = np.linalg.solve(np.eye(len(rows)) + scaled @ scaled.T, scaled @ right)
    return np.asarray(right - scaled.T @ inner)


def _factor(mode: _Mode) -> F64:
    """Return F (R, K + 1), R the smaller of M and K + 1: the posterior's covariance is I - F'F."""
    scaled = mode.rows * np.sqrt(mode.curvature)[:, None]
    if len(scaled) < scaled.shape[1]:
        return np.asarray(np.linalg.solve(np.linalg.cholesky(np.eye(len(scaled)) + scaled @ scaled.T), scaled))
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    values = np.maximum(values, 0)
    return np.asarray((vectors * np.sqrt(values / (1 + values))).T)
