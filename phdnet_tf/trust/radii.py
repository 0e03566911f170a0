"""Error radii: distances that hold the true landmark with a given probability."""

import math
from dataclasses import dataclass

import numpy as np

from phdnet_tf.trust.threshold import NOTHING_TO_LEARN

LEVELS = (0.5, 0.9, 0.95)
"""Probabilities with which a radius should hold the true landmark."""

RADIUS_NAMES = tuple(f"{100 * level:.0f}" for level in LEVELS)
"""The names of the `LEVELS` in results: per cent."""

RIDGE = 1.0
"""Weight of the penalty that prevents large slopes from little data."""


@dataclass(frozen=True)
class Radii:
    """Parameters of the error radii, learnt from validation errors.

    The radius of landmark l at `LEVELS[p]` is `quantiles[l][p] *
    exp(offset + slopes . evidence)`, in mm.

    Attributes:
        offset: One for all landmarks.
        slopes: K slopes, one for each piece of evidence; 0 or more.
        quantiles: One for each landmark and level. Infinite if there are too few
            images.
    """

    offset: float
    slopes: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]


def learn_radii(errors: np.ndarray, evidence: np.ndarray, subjects: list[str]) -> Radii:
    """Learns error radii for each landmark by adaptive split conformal prediction.

    One regression for all landmarks predicts the logarithm of the error from the
    evidence. Each validation error is divided by the error that a regression on the
    *other* subjects predicts. A landmark's radius uses the quantile of its ratios, with
    the correction for their finite number n: the k-th smallest, k = ceil((n + 1) level)
    (Lei et al., JASA 2018, section 5.2, and Papadopoulos et al., 2002). If k > n, no
    finite radius can be promised.

    Images of one subject count as independent, although they resemble each other. With
    few subjects the promise is therefore less reliable than n suggests.

    Args:
        errors: float[N, L], validation errors, mm; NaN where not annotated.
        evidence: float[N, L, K], as in `reading.Reading`.
        subjects: The subject of each image.

    Returns:
        The parameters of the radii.

    Raises:
        ValueError: If a landmark is annotated in none of the images.
    """
    known = np.isfinite(errors)
    if not known.any(axis=0).all():
        raise ValueError(NOTHING_TO_LEARN.format("error radius"))
    ratios = np.empty_like(errors)
    names = np.array(subjects)
    for subject in np.unique(names):
        own = names == subject
        others = known & ~own[:, None]
        offset, slopes = _expected_error(errors[others], evidence[others])
        ratios[own] = errors[own] / np.exp(offset + evidence[own] @ slopes)
    if (names == names[0]).all():
        # There is no other subject to learn from, only the errors themselves.
        offset, slopes = 0.0, np.zeros(evidence.shape[-1])
    else:
        offset, slopes = _expected_error(errors[known], evidence[known])
    quantiles = tuple(
        _quantiles(own[theirs]) for own, theirs in zip(ratios.T, known.T, strict=True)
    )
    return Radii(float(offset), tuple(map(float, slopes)), quantiles)


def _quantiles(ratios: np.ndarray) -> tuple[float, ...]:
    ranked = np.append(np.sort(ratios), math.inf)
    # A product such as 0.95 * 20 may lie a hair above 19.
    ranks = [math.ceil(round(level * ranked.size, 9)) for level in LEVELS]
    return tuple(float(ranked[rank - 1]) for rank in ranks)


def _expected_error(errors: np.ndarray, evidence: np.ndarray) -> tuple:
    """Offset and slopes of the error's logarithm, by ridge regression.

    No slope is below 0. With few subjects a slope could be negative by chance, and then
    the points with the worst evidence would get the smallest radii.
    """
    if errors.size == 0:
        return 0.0, np.zeros(evidence.shape[1])
    # A millimetre is added: differences far below it mean nothing, and log 0 less.
    logarithms = np.log(errors + 1)
    middle, spread = evidence.mean(axis=0), evidence.std(axis=0)
    # Evidence that never changes tells nothing, and must not be divided by 0.
    scaled = np.divide(
        evidence - middle, spread, out=np.zeros_like(evidence), where=spread > 1e-6
    )
    # The penalty as more rows of a least-squares problem.
    rows = np.concatenate([scaled, math.sqrt(RIDGE) * np.eye(len(middle))])
    wanted = np.concatenate([logarithms - logarithms.mean(), np.zeros(len(middle))])
    # It takes half a second to import, and only who fits needs it.
    from scipy.optimize import nnls

    slopes, _ = nnls(rows, wanted)
    slopes = np.divide(slopes, spread, out=np.zeros_like(slopes), where=spread > 1e-6)
    return logarithms.mean() - middle @ slopes, slopes
