"""Finds points at positions where no landmark can be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np

from phdnet_tf.datasets.folder.images import ImageFacts
from phdnet_tf.datasets.folder.problems import Problem, error_at, warning_at
from phdnet_tf.datasets.folder.table import Row, Table, points_in_pixels


def point_problems(table: Table, images: Mapping[str, ImageFacts]) -> Iterator[Problem]:
    """Points outside their image, at its corner (0, 0), or on another landmark.

    Args:
        table: The table.
        images: The images, by the id of their row. Rows without an image are left out.
    """
    for row in table.rows:
        if row.id in images:
            yield from _outside(table, row, images[row.id])
    yield from _in_the_corner(table)
    yield from _on_another(table)


def _outside(table: Table, row: Row, facts: ImageFacts) -> Iterator[Problem]:
    def inside(x: float, y: float) -> bool:
        return -0.5 <= x <= facts.width - 0.5 and -0.5 <= y <= facts.height - 0.5

    points = points_in_pixels(table, row, facts.height, facts.width)
    for name, (x, y) in zip(table.landmarks, points.tolist(), strict=True):
        # An absent landmark is NaN.
        if np.isnan([x, y]).any() or inside(x, y):
            continue
        remedy = "Correct it. (x, y) are in pixels, from 0."
        if x == y:
            remedy = "If it means that there is no landmark, leave both cells empty."
        elif inside(y, x):
            remedy = (
                "It would lie inside if x and y were exchanged. x is the column of a "
                "pixel and y its row, from 0. Correct it."
            )
        yield error_at(
            table.file,
            row.line,
            f"{name} at ({x:g}, {y:g}) lies outside {row.id}, which has {facts.width} "
            f"columns and {facts.height} rows. {remedy}",
        )


def _in_the_corner(table: Table) -> Iterator[Problem]:
    """Points at (0, 0), which many programs write for "none". One warning per name."""
    for index, name in enumerate(table.landmarks):
        rows = [row for row in table.rows if not row.points[index].any()]
        if rows:
            yield warning_at(
                table.file,
                rows[0].line,
                f"{name} is at (0, 0), the corner of the image{_and_more(rows)}. If it "
                "means that there is no landmark, leave both cells empty. Otherwise "
                "the model learns the corner, and its errors are measured to it.",
            )


def _on_another(table: Table) -> Iterator[Problem]:
    """Two landmarks at the same point. One warning per pair of landmarks."""
    for (i, name), (j, other) in combinations(enumerate(table.landmarks), 2):
        # Points in the corner have their own warning. A NaN is equal to nothing.
        rows = [
            row
            for row in table.rows
            if (row.points[i] == row.points[j]).all() and row.points[i].any()
        ]
        if rows:
            yield warning_at(
                table.file,
                rows[0].line,
                f"{name} and {other} are at the same point{_and_more(rows)}. Correct "
                "one. If the point means that there is no landmark, leave the cells "
                "empty.",
            )


def _and_more(rows: list[Row]) -> str:
    return f", here and in {len(rows) - 1} more rows" if len(rows) > 1 else ""
