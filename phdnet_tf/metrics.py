"""How wrong predictions are, in millimetres."""

import numpy as np

SDR_RADII = (2, 4, 6, 10)
"""Radii of the successful detection rate, in mm."""

GROSS = 20
"""Error from which a point counts as misidentified, in mm."""


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
    """What is usually reported of point errors.

    Args:
        errors: float[...], mm. NaN, not annotated, is left out.

    Returns:
        "points" (their number), "mean", "std" (of the population), "median" and "p90",
        in mm; "sdr_2", "sdr_4", "sdr_6" and "sdr_10", the shares of points with at most
        that many mm of error, and "beyond_20", the share with more than 20. All but
        "points" are None where there is no point.
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
