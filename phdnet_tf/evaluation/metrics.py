"""Point errors in millimetres, and how well confidence predicts them."""

import numpy as np
from scipy.stats import rankdata

SDR_RADII = (2, 4, 6, 10)
"""Radii of the successful detection rate, in mm."""

GROSS = 20
"""A point with a larger error counts as misidentified. In mm."""

RESAMPLES = 10_000
"""Bootstrap resamples of the subjects."""

AT_ONCE = 100
"""Resamples that are in memory at once."""


def point_errors(
    predicted: np.ndarray, truth: np.ndarray, pixel_spacing: np.ndarray
) -> np.ndarray:
    """Distances between predicted and true landmarks, in mm.

    Args:
        predicted: float[N, L, 2], (x, y), image pixels.
        truth: float[N, L, 2], (x, y), image pixels, NaN where not annotated.
        pixel_spacing: float[N, 2], (y, x), mm.

    Returns:
        float64[N, L], mm; NaN where not annotated.
    """
    spacing = np.asarray(pixel_spacing, np.float64)[:, None, ::-1]
    difference = np.asarray(predicted, np.float64) - np.asarray(truth, np.float64)
    return np.linalg.norm(difference * spacing, axis=-1)


def summarise(errors: np.ndarray) -> dict[str, float | int | None]:
    """The usual summary of point errors.

    Args:
        errors: float[...], mm. NaN, not annotated, is left out.

    Returns:
        "points", their number; "mean", "std" (of the population), "median" and "p90",
        in mm; "sdr_2", "sdr_4", "sdr_6" and "sdr_10", the shares of points with an
        error of at most 2, 4, 6 and 10 mm; "beyond_20", the share with an error of more
        than 20 mm. All except "points" are None if there is no point.
    """
    errors = np.asarray(errors, np.float64)
    errors = errors[np.isfinite(errors)]
    names = ["mean", "std", "median", "p90"]
    names += [*(f"sdr_{radius}" for radius in SDR_RADII), f"beyond_{GROSS}"]
    if errors.size == 0:
        return {"points": 0, **dict.fromkeys(names)}
    values = [errors.mean(), errors.std(), np.median(errors), np.percentile(errors, 90)]
    values += [(errors <= radius).mean() for radius in SDR_RADII]
    values += [(errors > GROSS).mean()]
    return {"points": errors.size, **dict(zip(names, map(float, values), strict=True))}


def cumulative_errors(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cumulative error curve (figure 2).

    Args:
        errors: float[...], mm. NaN, not annotated, is left out.

    Returns:
        float64[N], the errors in rising order, in mm, and float64[N], the share of
        points with at most that error.
    """
    errors = np.sort(np.asarray(errors, np.float64)[np.isfinite(errors)])
    return errors, np.arange(1, errors.size + 1) / max(errors.size, 1)


def mean_interval(
    errors: np.ndarray, subjects: np.ndarray, seed: int = 0
) -> tuple[float, float] | None:
    """A bootstrap 95 % interval of the mean, by subject.

    Images of one subject are alike, so whole subjects are drawn, with replacement.

    Args:
        errors: float[P], in any unit. For a paired comparison, differences of errors.
        subjects: The subject of each error, [P].
        seed: Seed of the resampling.

    Returns:
        The 2.5th and 97.5th percentiles, or None for fewer than two subjects.
    """
    names, index = np.unique(subjects, return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(index, weights=errors)
    counts = np.bincount(index)
    generator = np.random.default_rng(seed)
    means = []
    # A part at a time: all indices for thousands of subjects would fill the memory.
    for done in range(0, RESAMPLES, AT_ONCE):
        size = min(AT_ONCE, RESAMPLES - done), len(names)
        drawn = generator.integers(len(names), size=size)
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def risk_coverage(
    errors: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The risk-coverage curve: mean error against the share of points that are kept.

    Args:
        errors: float[P], mm, without NaN.
        confidence: float[P]. Points with higher values are kept first.

    Returns:
        float64[P], the share of points kept, most confident first, and float64[P],
        their mean error, in mm. The mean of the latter is the area under the curve
        (AURC; Geifman et al., ICLR 2019). Points of equal confidence each count with
        their common mean error.
    """
    levels, level = np.unique(-np.asarray(confidence, np.float64), return_inverse=True)
    sizes = np.bincount(level, minlength=levels.size)
    means = np.bincount(level, weights=errors, minlength=levels.size)
    means = np.divide(means, sizes, out=means, where=sizes > 0)
    kept = np.arange(1, errors.size + 1)
    risk = np.cumsum(np.repeat(means, sizes)) / kept
    return kept / max(errors.size, 1), risk


def error_auroc(
    errors: np.ndarray, confidence: np.ndarray, beyond: float
) -> float | None:
    """AUROC of finding large errors by low confidence.

    Args:
        errors: float[P], mm, without NaN.
        confidence: float[P].
        beyond: A large error exceeds this value, in mm.

    Returns:
        The area under the ROC curve: the probability that a point with a large error
        has a lower confidence than a point without. Ties count half (Mann-Whitney).
        None if either group is empty.
    """
    large = np.asarray(errors) > beyond
    count, others = int(large.sum()), int((~large).sum())
    if not count or not others:
        return None
    ranks = rankdata(-np.asarray(confidence, np.float64))
    return float((ranks[large].sum() - count * (count + 1) / 2) / (count * others))
