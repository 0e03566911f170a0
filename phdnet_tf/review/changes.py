"""A change that somebody wants to make, and what of JSON is one."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

POINT_STATUSES = ("", "accepted", "corrected", "absent", "unsure")
"""Of a point; '' is not looked at yet: it stands where the model has put it."""

IMAGE_STATUSES = ("", "done", "skipped")
"""Of an image as a whole, which the trail has as a landmark without a name."""

ACTIONS = tuple("accept move place copy absent unsure reset skip done note".split())
LONGEST = 2000
"""Characters of a note."""


@dataclass(frozen=True)
class Change:
    """A change that somebody wants to make.

    Attributes:
        uuid: Names the change; sent twice it is stored once.
        step: Changes of one step are stored, and undone, together.
        image: Number of the image.
        content_hash: Of the pixels that were looked at.
        model: Name of the model whose points were shown, or "".
        landmark: Its name, or "" for the image as a whole.
        action: One of `ACTIONS`.
        previous: Uuid of the line that it follows, or "".
        status: What the point, or the image, is from now on.
        x: Column, pixels; None for no place.
        y: Row, pixels.
        note: Of the image.
        seconds: That the image was before the reader's eyes.
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
    """A change from JSON.

    Raises:
        ValueError: If it is none.
    """
    names = [field.name for field in fields(Change)]
    if not isinstance(values, dict) or set(values) != set(names):
        raise ValueError(f"expected a change with {', '.join(names)}.")
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
            f"expected an action of {', '.join(ACTIONS)}, to one of {statuses}. "
            f"Received: {change.action!r}, {change.status!r}."
        )
    has_place = _finite(change.x) and _finite(change.y)
    if not has_place and (change.x is not None or change.y is not None):
        raise ValueError("x, y: expected two finite numbers, or two nulls.")
    needed = change.status in ("accepted", "corrected")
    if has_place < needed or (has_place and not needed and change.status != "unsure"):
        raise ValueError(
            f"{change.status!r}: expected a place only where there is one."
        )
    return change


def _finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
