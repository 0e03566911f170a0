"""Error radii: distances that hold the true landmark with a given probability."""

import math
from dataclasses import dataclass

import numpy as np

from phdnet_tf.trust.threshold import NOTHING_TO_LEARN

LEVELS = (0.5, 0.9, 0.95)
"""Probabilities with which a radius should hold the true landmark."""

RADIUS_NAMES = tuple(f"{100 * level:.0f}" for level in LEVELS)
"""What results call the radii of `LEVELS`: per cent."""

RIDGE = 1.0
"""Weight of the penalty that keeps few data from teaching large slopes."""


@dataclass(frozen=True)
class Radii:
    """What validation errors teach of the distance to the true landmark.

    The radius of landmark l at `LEVELS[p]` is `quantiles[l][p] *
    exp(offset + slopes . evidence)`, in mm.

    Attributes:
        offset: Of all landmarks.
        slopes: K, one for each piece of evidence; 0 or more.
        quantiles: One a landmark and level; infinite where there are too few images.
    """

    offset: float
    slopes: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]


def learn_radii(errors: np.ndarray, evidence: np.ndarray, subjects: list[str]) -> Radii:
    """Learns error radii by split conformal prediction, adaptive, for each landmark.

    A regression of the logarithm of the error on the evidence, one for all landmarks,
    says which points are likely to be farther off, and by how many times. Each
    validation error is divided by what the regression of the *other* subjects expects;
    the radius takes the quantile of these ratios of its landmark, with the correction
    for their finite number n: the k-th smallest, k = ceil((n + 1) level) (Lei et al.,
    JASA 2018, section 5.2, and Papadopoulos et al., 2002). With k > n no finite radius
    can be promised.

    The images of a subject count as so many, although they resemble each other: with
    few subjects the promise is less sure than n suggests.

    Args:
        errors: float[N, L], validation errors, mm; NaN where not annotated.
        evidence: float[N, L, K], as `reading.Reading` has it.
        subjects: The subject of each image.

    Returns:
        What is learnt.

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
    """Offset and slopes of the error's logarithm: a ridge regression.

    No slope is below 0: with few subjects chance would find that the worse a point
    looks, the better it is, and call the worst of all the surest.
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
