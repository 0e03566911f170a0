"""The data that the page shows of an image: facts, points, and other readers."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from phdnet_tf.outputs.framing import side_letters
from phdnet_tf.review.project import Project
from phdnet_tf.review.readers import PLACED
from phdnet_tf.review.trail import Lane, states

PREDICTION = ("x", "y", "confidence", "high", "r50", "r90", "r95", "jump")


def image_view(project: Project, lane: Lane, number: int) -> dict[str, Any]:
    """Everything that the page needs of an image, except its pixels.

    Args:
        project: The project.
        lane: The reader or judge. A reader sees no other reader's points; a judge sees
            all.
        number: Number of the image, which was read before.

    Raises:
        KeyError: If there is no such image.
    """
    image = project.store.row("SELECT * FROM images WHERE id = ?", number)
    if image is None:
        raise KeyError(number)
    predicted = _predictions(project, number)
    own = states(project.store, lane, number)
    beside = _beside(project, lane, image)
    others = _others(project, number) if lane.role == "judge" else {}
    orientation = json.loads(image["orientation"] or "null")
    phases = project.store.rows(
        "SELECT id FROM images WHERE cine = ? ORDER BY phase", image["cine"]
    )
    recognised = [row["recognised"] for row in predicted.values()]
    return {
        "id": number,
        "content_hash": image["content_hash"],
        "width": image["width"],
        "height": image["height"],
        # DICOM's order is (y, x), and so it is here.
        "spacing": [image["spacing_y"], image["spacing_x"]],
        "letters": side_letters(tuple(orientation) if orientation else None),
        "low": image["low"],
        "high": image["high"],
        "locked": image["changed"] is not None,
        "subject": image["subject"],
        "phase": image["phase"],
        "phases": [row["id"] for row in phases],
        "model": project.model_named(),
        "recognised": bool(recognised[0]) if recognised else None,
        "image": own.get(""),
        "points": [
            _point(name, predicted.get(name), own.get(name), others.get(name, []))
            | {"beside": [found.get(name) for found in beside]}
            for name in project.landmarks
        ],
    }


def _point(
    name: str,
    predicted: sqlite3.Row | None,
    own: dict[str, Any] | None,
    others: list[dict[str, Any]],
) -> dict[str, Any]:
    model = {key: predicted[key] for key in PREDICTION} if predicted else None
    proposed = None
    if others:
        # Between the readers; where one says absent there is nothing between them.
        if all(each["x"] is not None for each in others):
            proposed = {
                axis: sum(each[axis] for each in others) / len(others) for axis in "xy"
            }
    elif model:
        proposed = {"x": model["x"], "y": model["y"]}
    return {
        "name": name,
        "model": model,
        "proposed": proposed,
        "own": own,
        "others": others,
    }


def _predictions(project: Project, number: int) -> dict[str, sqlite3.Row]:
    rows = project.store.rows(
        "SELECT * FROM predictions WHERE model = ? AND image = ?",
        *(project.model, number),
    )
    return {row["landmark"]: row for row in rows}


def _others(project: Project, number: int) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in project.store.rows(
        "SELECT landmark, reader, status, x, y FROM state WHERE role = 'reader' "
        "AND image = ? AND landmark <> '' AND status NOT IN ('', 'unsure') "
        "ORDER BY reader",
        number,
    ):
        found.setdefault(row["landmark"], []).append(dict(row))
    return found


def _beside(
    project: Project, lane: Lane, image: sqlite3.Row
) -> list[dict[str, dict[str, Any]]]:
    """The points of the previous and of the next phase."""
    found = []
    for phase in (image["phase"] - 1, image["phase"] + 1):
        row = project.store.row(
            "SELECT id FROM images WHERE cine = ? AND phase = ?", image["cine"], phase
        )
        found.append(placed(project, lane, row["id"]) if row else {})
    return found


def placed(project: Project, lane: Lane, number: int) -> dict[str, dict[str, Any]]:
    """The points of an image: the reader's own, or else the model's.

    Returns:
        By landmark, "x" and "y" in pixels, and "status", which is "" for the model's.
    """
    points = {
        name: {"x": row["x"], "y": row["y"], "status": ""}
        for name, row in _predictions(project, number).items()
    }
    for name, line in states(project.store, lane, number).items():
        if line["status"] == "absent":
            points.pop(name, None)
        elif name and line["status"] in (*PLACED, "unsure") and line["x"] is not None:
            points[name] = {key: line[key] for key in ("x", "y", "status")}
    return points


def cine_view(project: Project, lane: Lane, number: int) -> list[dict[str, Any]]:
    """The phases of an image's cine: "id", "phase" and "points"."""
    rows = project.store.rows(
        "SELECT id, phase FROM images WHERE cine = "
        "(SELECT cine FROM images WHERE id = ?) ORDER BY phase",
        number,
    )
    return [
        {
            "id": row["id"],
            "phase": row["phase"],
            "points": placed(project, lane, row["id"]),
        }
        for row in rows
    ]
