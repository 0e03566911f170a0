"""The figures of an evaluation: errors, and how well they were foreseen."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from phdnet_tf.evaluation.metrics import (
    error_auroc,
    mean_interval,
    risk_coverage,
    summarise,
)
from phdnet_tf.evaluation.predictions import Predictions
from phdnet_tf.geometry import CANVAS_DIAGONAL
from phdnet_tf.trust.bins import Bins
from phdnet_tf.trust.radii import LEVELS

LARGE_ERROR = 10
"""A low confidence should warn of errors larger than this, in mm."""

BEYOND = f"beyond_{LARGE_ERROR}"

COVERAGE = 0.56
"""Coverage at which the mean error is reported: the paper's share of images with high
confidence (table 2)."""


def evaluation_figures(
    predictions: Predictions, landmarks: tuple[str, ...], bins: Sequence[Bins] | None
) -> dict[str, Any]:
    """All figures of an evaluation, for JSON.

    Args:
        predictions: The predictions.
        landmarks: Names of the L landmarks.
        bins: The confidence bins of each landmark, or None if there are none to judge.

    Returns:
        A dictionary.

        - "images" and "subjects": their numbers.
        - "landmarks": for each name and for "overall", `metrics.summarise` of "all"
          points and of the "high_confidence" points, the latter with their "share".
        - "strategies": `metrics.summarise` of all points, for each strategy.
        - "high_confidence_images": share of images in which every landmark is high
          confidence.
        - "recognised": share of images that are recognised.
        - "confidence": the result of `confidence_figures`.
    """
    errors, high = predictions.errors, predictions.high_confidence
    groups = {
        name: (errors[:, index], high[:, index]) for index, name in enumerate(landmarks)
    }
    groups["overall"] = errors, high
    return {
        "images": len(predictions.images),
        "subjects": len(set(predictions.subjects)),
        "landmarks": {name: _compare(*group) for name, group in groups.items()},
        "strategies": {
            strategy: summarise(errors)
            for strategy, errors in predictions.errors_by.items()
        },
        "high_confidence_images": float(high.all(axis=1).mean()),
        "recognised": float(predictions.recognised.mean()),
        "confidence": confidence_figures(predictions, landmarks, bins),
    }


def _compare(errors: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(errors)
    trusted = summarise(errors[high])
    share = float(high[known].mean()) if known.any() else None
    return {"all": summarise(errors), "high_confidence": {"share": share, **trusted}}


def rankings(predictions: Predictions) -> dict[str, np.ndarray]:
    """Values that rank the points, higher if more reliable, float[N, L], by name.

    "confidence" is that of the model's strategy. "error_radius" is the 50 % radius,
    negated. "member_spread", for ensembles, is the distance between the networks'
    points, negated (E-CPV: Schobs et al., IEEE TMI 2023).
    """
    found = {
        "confidence": predictions.confidence,
        "error_radius": -predictions.radii[..., 0],
    }
    if predictions.member_spread.any():
        found["member_spread"] = -predictions.member_spread
    return found


def confidence_figures(
    predictions: Predictions, landmarks: tuple[str, ...], bins: Sequence[Bins] | None
) -> dict[str, Any]:
    """How well confidence, radii and bins predict the errors.

    Args:
        predictions: The predictions.
        landmarks: Names of the L landmarks.
        bins: The confidence bins of each landmark, or None.

    Returns:
        "rankings", the result of `ranking_figures` for each ranking; "radii", the
        result of `radii_coverage`; "bins", for each name a list from the least to the
        most confident bin, with "share" of the points, "mean_mm", "bound_mm" and
        "within_bound", the share of errors within the bound.
    """
    errors = predictions.errors
    known = np.isfinite(errors)
    return {
        "rankings": {
            name: ranking_figures(errors, values, landmarks)
            for name, values in rankings(predictions).items()
        },
        "radii": radii_coverage(predictions, landmarks),
        "bins": {
            name: _binned(
                errors[known[:, index], index],
                predictions.confidence[known[:, index], index],
                bins[index],
            )
            for index, name in enumerate(landmarks)
            if known[:, index].any()
        }
        if bins
        else {},
    }


def ranking_figures(
    errors: np.ndarray, values: np.ndarray, landmarks: tuple[str, ...]
) -> dict[str, dict[str, float | None]]:
    """How well values rank the points of each landmark by their error.

    Confidence can be compared only within a landmark, so each landmark has its own
    figures. Pooled figures are for comparison with published ones.

    Args:
        errors: float[N, L], mm; NaN where not annotated.
        values: float[N, L], higher for more reliable points.
        landmarks: Names of the L landmarks.

    Returns:
        The result of `ranked` for each name, for all points together as "pooled", and
        as "macro" the mean over the landmarks that have the figure.
    """
    known = np.isfinite(errors)
    found = {
        name: ranked(errors[known[:, i], i], values[known[:, i], i])
        for i, name in enumerate(landmarks)
    }
    macro: dict[str, float | None] = {}
    for figure in next(iter(found.values())):
        each = [value for own in found.values() if (value := own[figure]) is not None]
        macro[figure] = sum(each) / len(each) if each else None
    return {**found, "macro": macro, "pooled": ranked(errors[known], values[known])}


def radii_coverage(
    predictions: Predictions, landmarks: tuple[str, ...]
) -> dict[str, list[dict[str, Any]]]:
    """Coverage of the error radii: how often they hold the true landmark.

    Args:
        predictions: The predictions.
        landmarks: Names of the L landmarks.

    Returns:
        For each annotated landmark, and "overall", a list with one entry per level:
        "level"; "coverage", the share of true landmarks within the radius; "interval",
        its 95 % interval by subject; "median_mm", the median radius; "promised", the
        share of points that have a radius. A radius of the canvas's diagonal means that
        none can be promised, and does not count. If no point has a radius, the other
        figures are None.
    """
    errors = predictions.errors
    known = np.isfinite(errors)
    subjects = np.repeat(np.array(predictions.subjects)[:, None], errors.shape[1], 1)
    groups = {name: np.zeros_like(known) for name in landmarks}
    for index, chosen in enumerate(groups.values()):
        chosen[:, index] = known[:, index]
    return {
        name: [
            _covered(errors[chosen], predictions.radii[chosen, i], subjects[chosen], p)
            for i, p in enumerate(LEVELS)
        ]
        for name, chosen in {**groups, "overall": known}.items()
        if chosen.any()
    }


def ranked(errors: np.ndarray, values: np.ndarray) -> dict[str, float | None]:
    """How well values rank points by their error.

    Args:
        errors: float[P], mm, without NaN.
        values: float[P], higher for more reliable points.

    Returns:
        "aurc", the area under the risk-coverage curve, mm; "auroc_10", the AUROC of
        finding errors beyond 10 mm, None if there are none; "mean_at_56", the mean
        error at 56 % coverage, mm; "beyond_10", the number of errors beyond 10 mm.
    """
    if not errors.size:
        return dict.fromkeys(("aurc", f"auroc_{LARGE_ERROR}", "mean_at_56", BEYOND))
    coverage, risk = risk_coverage(errors, values)
    return {
        "aurc": float(risk.mean()),
        f"auroc_{LARGE_ERROR}": error_auroc(errors, values, LARGE_ERROR),
        "mean_at_56": float(risk[np.searchsorted(coverage, COVERAGE)]),
        BEYOND: int((errors > LARGE_ERROR).sum()),
    }


def _covered(
    errors: np.ndarray, radii: np.ndarray, subjects: np.ndarray, level: float
) -> dict[str, Any]:
    # As a float32 it may be a hair shorter.
    promised = radii < CANVAS_DIAGONAL * (1 - 1e-6)
    found = {"level": level, "promised": float(promised.mean())}
    if not promised.any():
        return {**found, "coverage": None, "interval": None, "median_mm": None}
    within = (errors <= radii)[promised].astype(np.float64)
    return {
        **found,
        "coverage": float(within.mean()),
        "interval": mean_interval(within, subjects[promised]),
        "median_mm": float(np.median(radii[promised])),
    }


def _binned(
    errors: np.ndarray, confidence: np.ndarray, bins: Bins
) -> list[dict[str, float | None]]:
    number = bins.of(confidence)
    rows = []
    for index, bound in enumerate(bins.bounds_mm):
        own = errors[number == index]
        rows.append(
            {
                "share": own.size / errors.size,
                "mean_mm": float(own.mean()) if own.size else None,
                "bound_mm": bound,
                "within_bound": float((own <= bound).mean())
                if own.size and bound is not None
                else None,
            }
        )
    return rows
