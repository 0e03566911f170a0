"""What a report tells of the parts, gathered part by part: memory stays flat."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from pyarrow import parquet

LEAST_CERTAIN = 50

RADIUS_BIN = 1.0
"""In mm."""

CONFIDENCE_BIN = 0.25

LAST_BIN = 60
"""It holds all that is larger."""


@dataclass
class Landmarks:
    """What was found of a landmark.

    Attributes:
        count: How many points.
        high: Of these, those of high confidence.
        radii: For each bin of `RADIUS_BIN` how many 90 % error radii are in it.
        confidence: For each bin of `CONFIDENCE_BIN` how many confidences.
    """

    count: int = 0
    high: int = 0
    radii: Counter[int] = field(default_factory=Counter)
    confidence: Counter[int] = field(default_factory=Counter)


@dataclass
class View:
    """What was found in the images of a view.

    Attributes:
        images: How many.
        recognised: Of these, those that look like the view.
        landmarks: By name.
    """

    images: int = 0
    recognised: int = 0
    landmarks: dict[str, Landmarks] = field(default_factory=dict)


@dataclass
class Findings:
    """What was found in all parts.

    Attributes:
        views: By name.
        least_certain: Rows of each of the `LEAST_CERTAIN` images whose largest 90 %
            error radius is the largest, the worst first.
    """

    views: dict[str, View] = field(default_factory=dict)
    least_certain: list[list[dict[str, Any]]] = field(default_factory=list)


def gather(parts: list[Path]) -> Findings:
    """What the parts tell.

    Args:
        parts: Their files.

    Raises:
        OSError: If one cannot be read.
    """
    found = Findings()
    worst: list[tuple[float, int, list[dict[str, Any]]]] = []
    for number, rows in enumerate(_images(parts)):
        view = found.views.setdefault(rows[0]["view"], View())
        view.images += 1
        view.recognised += rows[0]["recognised"]
        for row in rows:
            of = view.landmarks.setdefault(row["landmark"], Landmarks())
            of.count += 1
            of.high += row["high_confidence"]
            of.radii[_bin(row["radius_90_mm"], RADIUS_BIN)] += 1
            of.confidence[_bin(row["confidence"], CONFIDENCE_BIN)] += 1
        # Of those that are equally bad the first stays, as the number is negative.
        entry = max(row["radius_90_mm"] for row in rows), -number, rows
        if len(worst) < LEAST_CERTAIN:
            heapq.heappush(worst, entry)
        else:
            heapq.heappushpop(worst, entry)
    found.least_certain = [rows for _, _, rows in sorted(worst, reverse=True)]
    return found


def _images(parts: list[Path]) -> Iterator[list[dict[str, Any]]]:
    """The rows of one image after the other."""
    for part in parts:
        table = parquet.read_table(part).to_pylist()
        for _, rows in groupby(table, lambda row: (row["image"], row["frame"])):
            yield list(rows)


def _bin(value: float, width: float) -> int:
    return min(int(value / width), LAST_BIN)
