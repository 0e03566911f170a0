"""A requested change, and its checks when it is read from JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

POINT_STATUSES = ("", "accepted", "corrected", "absent", "unsure")
"""Statuses of a point. '' is not reviewed yet: the point is the model's."""

IMAGE_STATUSES = ("", "done", "skipped")
"""Statuses of an image as a whole. In the trail it is a landmark without a name."""

ACTIONS = tuple("accept move place copy absent unsure reset skip done note".split())
LONGEST = 2000
"""Largest number of characters of a note."""


@dataclass(frozen=True)
class Change:
    """A requested change of a point, or of an image as a whole.

    Attributes:
        uuid: Identifies the change. If it is sent twice, it is stored once.
        step: Identifies a step, whose changes are stored, and undone, together.
        image: Number of the image.
        content_hash: Content hash of the image that the reader saw.
        model: Name of the model whose points were shown, or "".
        landmark: Name of the landmark, or "" for the image as a whole.
        action: One of `ACTIONS`.
        previous: Uuid of the change before it, or "".
        status: New status of the point, or of the image.
        x: Column, in pixels; None without a position.
        y: Row, in pixels; None without a position.
        note: Note on the image.
        seconds: How long the reader saw the image, in seconds.
    """

    uuid: str
    step: str
    image: int
    content_hash: str
    model: str
    landmark: str
    action: str
    previous: str
    status: str
    x: float | None
    y: float | None
    note: str
    seconds: float


def parse(values: Any) -> Change:
    """Reads a change from JSON values.

    Raises:
        ValueError: If the values are not a valid change.
    """
    names = [field.name for field in fields(Change)]
    if not isinstance(values, dict) or set(values) != set(names):
        raise ValueError(f"expected a change with the keys {', '.join(names)}.")
    change = Change(**values)
    for name in set(names) - {"image", "x", "y", "seconds"}:
        if not isinstance(values[name], str) or len(values[name]) > LONGEST:
            raise ValueError(f"{name}: expected at most {LONGEST} characters.")
    if not isinstance(change.image, int) or not change.uuid or not change.step:
        raise ValueError("expected the number of an image, a uuid and a step.")
    if not _finite(change.seconds) or change.seconds < 0:
        raise ValueError("seconds: expected a number of 0 or more.")
    statuses = POINT_STATUSES if change.landmark else IMAGE_STATUSES
    if change.action not in ACTIONS or change.status not in statuses:
        raise ValueError(
            f"expected an action of {', '.join(ACTIONS)}, and a status of {statuses}. "
            f"Received: {change.action!r}, {change.status!r}."
        )
    has_place = _finite(change.x) and _finite(change.y)
    if not has_place and (change.x is not None or change.y is not None):
        raise ValueError("x, y: expected two finite numbers, or two nulls.")
    needed = change.status in ("accepted", "corrected")
    if has_place < needed or (has_place and not needed and change.status != "unsure"):
        raise ValueError(
            f"{change.status!r}: expected x and y for accepted and corrected points "
            "only."
        )
    return change


def _finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
