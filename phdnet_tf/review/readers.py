"""Finds disagreements between readers, and points that need a second look."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from phdnet_tf.dicom.image import patient_positions
from phdnet_tf.inference.tracks import TOLERANCE_MM
from phdnet_tf.review.project import Project
from phdnet_tf.review.trail import Lane, points

FAR_MM = TOLERANCE_MM
"""Two readers, or a point and its neighbours, disagree beyond this distance, in mm."""

PLACED = ("accepted", "corrected")


@dataclass(frozen=True)
class Disagreement:
    """The difference between two readers on a point.

    Attributes:
        image: Number of the image.
        landmark: Name of the landmark.
        readers: Names of the readers, in alphabetical order.
        distance: Distance between their points, in mm; infinite if one says absent.
    """

    image: int
    landmark: str
    readers: tuple[str, str]
    distance: float


def disagreements(project: Project) -> list[Disagreement]:
    """Every point that two readers have reviewed, the largest distance first.

    Points that both call absent, or of which one is unsure, are left out.
    """
    looked: dict[tuple[int, str], list[sqlite3.Row]] = defaultdict(list)
    for point in points(project.store, "role = 'reader' AND status <> 'unsure'"):
        looked[point["image"], point["landmark"]].append(point)
    found = []
    for (image, landmark), some in looked.items():
        for one, other in combinations(sorted(some, key=lambda p: p["reader"]), 2):
            placed = [each["status"] in PLACED for each in (one, other)]
            if any(placed):
                distance = distance_mm(one, other) if all(placed) else math.inf
                pair = one["reader"], other["reader"]
                found.append(Disagreement(image, landmark, pair, distance))
    return sorted(found, key=lambda each: -each.distance)


def distance_mm(one: sqlite3.Row, other: sqlite3.Row) -> float:
    """Distance between two points of one image, in mm."""
    return math.hypot(
        (one["x"] - other["x"]) * one["spacing_x"],
        (one["y"] - other["y"]) * one["spacing_y"],
    )


def moved_mm(point: sqlite3.Row) -> float | None:
    """Distance of a point from the model's, in mm; None if there is none."""
    if point["x"] is None or point["px"] is None:
        return None
    return math.hypot(
        (point["x"] - point["px"]) * point["spacing_x"],
        (point["y"] - point["py"]) * point["spacing_y"],
    )


def to_decide(project: Project, lane: Lane, open_only: bool) -> list[dict[str, Any]]:
    """Images on whose points two readers differ, the largest distance first.

    Args:
        project: The project.
        lane: The judge.
        open_only: Whether to leave out images that the judge has finished.

    Returns:
        For each image its "id", the "distance" in mm, None if one says absent or is
        unsure where the other is not, and its "status".
    """
    status = _statuses(project, lane)
    worst: dict[int, float] = {image: math.inf for image in _half_unsure(project)}
    for each in disagreements(project):
        worst.setdefault(each.image, each.distance)
    return [
        {
            "id": image,
            "distance": distance if math.isfinite(distance) else None,
            "status": status.get(image, ""),
        }
        for image, distance in worst.items()
        if not (open_only and status.get(image))
    ]


def _half_unsure(project: Project) -> list[int]:
    """Images with a point of which one reader is unsure, and another is not."""
    rows = project.store.rows(
        "SELECT DISTINCT image FROM state WHERE role = 'reader' AND landmark <> '' "
        "AND status <> '' GROUP BY image, landmark "
        "HAVING MAX(status = 'unsure') AND MIN(status = 'unsure') = 0"
    )
    return [row["image"] for row in rows]


def _statuses(project: Project, lane: Lane) -> dict[int, str]:
    rows = project.store.rows(
        "SELECT image, status FROM state WHERE role = ? AND reader = ? "
        "AND landmark = ''",
        *(lane.role, lane.reader),
    )
    return {row["image"]: row["status"] for row in rows}


def second_look(project: Project, lane: Lane) -> list[dict[str, Any]]:
    """Points of a reader that lie far from the model's and from their neighbours.

    The neighbours are the reader's own points in the phases, or in the slices, before
    and after. Points without both neighbours are left out. Far from the model means
    outside its 95 % radius. Far from the neighbours means more than `FAR_MM` from the
    line between them.

    Returns:
        For each point its image as "id", its "landmark", and "from_model" and
        "from_neighbours" in mm. The farthest from the neighbours comes first.
    """
    own = points(
        project.store,
        "role = ? AND reader = ? AND status IN ('accepted', 'corrected')",
        (lane.role, lane.reader),
    )
    found = []
    for point, jump in _jumps(own):
        moved = moved_mm(point)
        far = moved is not None and moved > point["r95"]
        if far and jump > FAR_MM:
            found.append(
                {
                    "id": point["image"],
                    "landmark": point["landmark"],
                    "from_model": moved,
                    "from_neighbours": jump,
                }
            )
    return sorted(found, key=lambda each: -each["from_neighbours"])


def _jumps(own: Iterable[sqlite3.Row]) -> Iterable[tuple[sqlite3.Row, float]]:
    """Points between two others, and their distance from the line, in mm."""
    rows: dict[tuple, list[tuple[float, np.ndarray, sqlite3.Row]]] = defaultdict(list)
    for point in own:
        pixels = np.array([point["x"], point["y"]])
        spacing = point["spacing_y"], point["spacing_x"]
        flat = pixels * spacing[::-1]
        key = point["cine"], point["landmark"]
        rows["phases", *key].append((point["phase"], flat, point))
        position, orientation = (
            json.loads(point[name]) for name in ("position", "orientation")
        )
        solid = patient_positions(pixels, spacing, position, orientation)
        if solid is not None:
            normal = np.cross(*np.reshape(orientation, (2, 3)))
            key = point["subject"], point["landmark"], *np.round(normal, 2).tolist()
            # Rounded, for slices of one place differ in their last digits.
            depth = round(float(normal @ np.array(position)), 1)
            rows["slices", point["phase"], *key].append((depth, solid, point))
    worst: dict[tuple[int, str], tuple[sqlite3.Row, float]] = {}
    for some in rows.values():
        for point, jump in _from_line(some):
            key = point["image"], point["landmark"]
            if key not in worst or jump < worst[key][1]:
                worst[key] = point, jump
    return worst.values()


def _from_line(
    some: list[tuple[float, np.ndarray, sqlite3.Row]],
) -> Iterable[tuple[sqlite3.Row, float]]:
    at: dict[float, list[np.ndarray]] = defaultdict(list)
    for t, place, _ in some:
        at[t].append(place)
    times = sorted(at)
    for t, place, point in some:
        index = times.index(t)
        if 0 < index < len(times) - 1:
            before, after = times[index - 1], times[index + 1]
            part = (t - before) / (after - before)
            line = (1 - part) * np.mean(at[before], axis=0) + part * np.mean(
                at[after], axis=0
            )
            yield point, float(np.linalg.norm(place - line))
