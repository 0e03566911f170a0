"""Statistics of a review: corrections, coverage of the radii, readers' agreement."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any

import numpy as np

from phdnet_tf.review.project import Project
from phdnet_tf.review.readers import FAR_MM, PLACED, disagreements, moved_mm
from phdnet_tf.review.trail import points
from phdnet_tf.trust.radii import RADIUS_NAMES


def statistics(project: Project) -> dict[str, Any]:
    """Corrections, coverage of the radii, and agreement of readers.

    Returns:
        A dictionary.

        - "landmarks", by name: the numbers of points that are "accepted", "corrected",
          "absent" and "unsure"; "moved_mm", the distances of corrected points; "radii",
          for each radius the number of "points" that are "within" it, in the tenth of
          the images that was chosen at random. An accepted point counts as correct.
        - "readers": for each pair, the distances between their points in "mm", by
          landmark; the number of points that only one calls absent; the "outliers".
        - "seconds": median time per image, by reader.
    """
    own = points(project.store, "role = 'reader'")
    landmarks = {}
    for name in project.landmarks:
        some = [point for point in own if point["landmark"] == name]
        landmarks[name] = {
            **{
                status: sum(point["status"] == status for point in some)
                for status in ("accepted", "corrected", "absent", "unsure")
            },
            "moved_mm": _summary(
                [moved_mm(point) for point in some if point["status"] == "corrected"]
            ),
            "radii": _radii(some),
        }
    return {
        "landmarks": landmarks,
        "readers": _agreement(project),
        "seconds": _seconds(project),
    }


def _summary(values: list[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {
        "points": len(known),
        "mean": round(float(np.mean(known)), 3),
        "median": round(float(np.median(known)), 3),
        "p95": round(float(np.percentile(known, 95)), 3),
    }


def _radii(some: list[sqlite3.Row]) -> dict[str, Any] | None:
    drawn = [
        point
        for point in some
        if point["sampled"] and point["status"] in PLACED and point["px"] is not None
    ]
    if not drawn:
        return None
    within = {
        name: sum((moved_mm(point) or 0.0) <= point[f"r{name}"] for point in drawn)
        for name in RADIUS_NAMES
    }
    return {"points": len(drawn), "within": within}


def _agreement(project: Project) -> list[dict[str, Any]]:
    pairs: dict[tuple[str, str], list] = defaultdict(list)
    for each in disagreements(project):
        pairs[each.readers].append(each)
    found = []
    for names, some in sorted(pairs.items()):
        distances: dict[str, list[float | None]] = defaultdict(list)
        for each in some:
            if np.isfinite(each.distance):
                distances[each.landmark].append(each.distance)
        found.append(
            {
                "readers": list(names),
                "mm": {name: _summary(d) for name, d in sorted(distances.items())},
                "absent_for_one": sum(bool(np.isinf(each.distance)) for each in some),
                "outliers": [
                    {
                        "image": each.image,
                        "landmark": each.landmark,
                        "mm": round(each.distance, 3),
                    }
                    for each in some
                    if FAR_MM < each.distance < np.inf
                ],
            }
        )
    return found


def _seconds(project: Project) -> dict[str, float]:
    spent: dict[str, list[float]] = defaultdict(list)
    for row in project.store.rows(
        "SELECT reader, image, MAX(seconds) AS seconds FROM trail "
        "WHERE role = 'reader' AND action NOT IN ('undo', 'redo') "
        "GROUP BY reader, image, step HAVING SUM(landmark = '' AND status = 'done')"
    ):
        spent[row["reader"]].append(row["seconds"])
    return {name: round(float(np.median(s)), 2) for name, s in spent.items()}
