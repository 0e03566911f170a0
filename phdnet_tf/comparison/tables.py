"""The paper's tables 1 and 2 and figure 2, as numbers, of kept predictions."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phdnet_tf.comparison.cross_validation import PREDICTIONS
from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.evaluation.metrics import mean_interval, summarise

REFERENCE = "phdnet"
"""The system whose confidence makes the subset, and to which others are compared."""

TABLE_1 = (
    ("baseline", "simple"),
    ("baseline", "smoothing"),
    ("phdnet", "simple"),
    ("phdnet", "smoothing"),
)
"""System and strategy of each row of table 1; the system has the mapping."""


@dataclass(frozen=True)
class Points:
    """The P annotated points of the compared folds, in one order for all systems.

    Attributes:
        subjects: The subject of each point, [P].
        landmarks: The landmark of each point, [P].
        errors: For each system and strategy, float64[P], mm.
        high_confidence: bool[P], whether the reference calls every landmark of the
            point's image high confidence; None where the reference was not run.
        systems: The compared systems, in the order of `SYSTEMS`.
    """

    subjects: np.ndarray
    landmarks: np.ndarray
    errors: dict[tuple[str, str], np.ndarray]
    high_confidence: np.ndarray | None
    systems: list[str]


def read_points(folders: dict[tuple[str, int], Path]) -> Points:
    """Reads what `cross_validation.train_and_test` kept.

    Args:
        folders: The folder of each system and fold; every system has the same folds.

    Returns:
        The points. Those that are not annotated are left out.

    Raises:
        ValueError: If the systems did not predict the same points.
    """
    found: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    subject_of: dict[tuple[str, str], str] = {}
    doubted = set()
    for folder in folders.values():
        with (folder / PREDICTIONS).open(newline="") as file:
            for row in csv.DictReader(file):
                error = float(row["error_mm"])
                key = row["image"], row["landmark"]
                if row["system"] == REFERENCE and row["high_confidence"] == "0":
                    doubted.add(row["image"])
                if np.isfinite(error):
                    group = found.setdefault((row["system"], row["strategy"]), {})
                    group[key] = error
                    subject_of[key] = row["subject"]
    keys = sorted(subject_of)
    for (system, _), errors in found.items():
        if len(errors) != len(keys):
            raise ValueError(
                f"{system}: expected predictions of the same {len(keys)} points as the "
                f"other systems. Received {len(errors)}: delete its folders, and run "
                "them again."
            )
    systems = [name for name in SYSTEMS if name in {system for system, _ in found}]
    return Points(
        subjects=np.array([subject_of[key] for key in keys]),
        landmarks=np.array([landmark for _, landmark in keys]),
        errors={
            group: np.array([errors[key] for key in keys])
            for group, errors in found.items()
        },
        high_confidence=np.array([image not in doubted for image, _ in keys])
        if REFERENCE in systems
        else None,
        systems=systems,
    )


def compare(points: Points) -> dict[str, Any]:
    """Tables 1 and 2 as numbers, for JSON.

    Returns:
        "table_1" and "table_2", lists of rows. A row has what `metrics.summarise` says
        under "all" and, in table 2, under "high_confidence", with the "interval" of the
        mean and the "difference" of the mean from the reference's with its interval.
        "high_confidence_share", the share of points in the subset; "images" and so on
        are the caller's.
    """
    table_1 = [
        {
            "mapping": SYSTEMS[group[0]].mapping,
            "strategy": group[1],
            "all": _cell(points, group, None),
        }
        for group in TABLE_1
        if group in points.errors
    ]
    table_2 = []
    for system in points.systems:
        group = system, SYSTEMS[system].strategy
        row = {"system": system, "all": _cell(points, group, None)}
        if points.high_confidence is not None:
            row["high_confidence"] = _cell(points, group, points.high_confidence)
        table_2.append(row)
    high = points.high_confidence
    return {
        "points": len(points.subjects),
        "subjects": len(set(points.subjects)),
        "high_confidence_share": None if high is None else float(high.mean()),
        "table_1": table_1,
        "table_2": table_2,
    }


def _cell(
    points: Points, group: tuple[str, str], subset: np.ndarray | None
) -> dict[str, Any]:
    chosen = np.ones(len(points.subjects), bool) if subset is None else subset
    errors, subjects = points.errors[group][chosen], points.subjects[chosen]
    cell: dict[str, Any] = summarise(errors)
    cell["interval"] = mean_interval(errors, subjects)
    reference = REFERENCE, SYSTEMS[REFERENCE].strategy
    if reference in points.errors and group != reference:
        difference = errors - points.errors[reference][chosen]
        cell["difference"] = float(difference.mean()) if difference.size else None
        cell["difference_interval"] = mean_interval(difference, subjects)
    return cell


def curves(points: Points) -> dict[str, dict[str, np.ndarray]]:
    """What figure 2 shows: the errors of each system, for each of its panels."""
    groups = {name: (name, SYSTEMS[name].strategy) for name in points.systems}
    panels = {
        "all": {
            SYSTEMS[name].label: points.errors[group] for name, group in groups.items()
        }
    }
    high = points.high_confidence
    if high is not None:
        panels["high confidence, by PHD-Net"] = {
            SYSTEMS[name].label: points.errors[group][high]
            for name, group in groups.items()
        }
    return panels
