"""The order in which images are reviewed: the least certain first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from phdnet_tf.review.project import Project
from phdnet_tf.review.trail import Lane

ORDERS = {
    "radius": "worst DESC",
    "confidence": "least ASC",
    "jump": "jump DESC",
    "read": "images.id",
}
"""Sort orders: largest 90 % radius, lowest confidence, largest jump, or as read."""

STATES = {
    "open": "COALESCE(own.status, '') = ''",
    "done": "own.status = 'done'",
    "skipped": "own.status = 'skipped'",
    "unsure": "EXISTS (SELECT 1 FROM state AS point WHERE point.role = own_role "
    "AND point.reader = own_reader AND point.image = images.id "
    "AND point.status = 'unsure')",
    "noted": "own.note <> ''",
    "all": "1",
}

GROUPS = {
    "recognised": "COALESCE(recognised, 1)",
    "unrecognised": "recognised = 0",
    "sampled": "COALESCE(recognised, 1) AND sampled",
    "unreadable": "error IS NOT NULL",
}
"""Groups of images. `sampled` is the tenth that was chosen at random."""


@dataclass(frozen=True)
class Wanted:
    """The requested part of the queue, and its order.

    Attributes:
        order: A key of `ORDERS`.
        state: A key of `STATES`.
        group: A key of `GROUPS`.
        landmark: Landmark to sort by; "" sorts by the worst landmark of each image.
        reader: Only images that this reader has finished; "" is all images.
    """

    order: str = "radius"
    state: str = "open"
    group: str = "recognised"
    landmark: str = ""
    reader: str = ""

    def __post_init__(self) -> None:
        """Refuses unknown keys."""
        for value, known in (
            (self.order, ORDERS),
            (self.state, STATES),
            (self.group, GROUPS),
        ):
            if value not in known:
                raise ValueError(
                    f"expected one of {', '.join(known)}. Received: {value!r}."
                )


def page(
    project: Project, lane: Lane, wanted: Wanted, offset: int, limit: int
) -> dict[str, Any]:
    """A part of the queue.

    Args:
        project: The project.
        lane: The reader or judge.
        wanted: The requested images, and their order.
        offset: Number of images to skip.
        limit: Largest number of images to return.

    Returns:
        "items", for each image its "id", "worst" 90 % radius in mm, "least" confidence
        and "jump" in mm, each None without a model, and its "status"; "left", the
        number of open images in the group; "total", the number of all its images.
    """
    values: list[Any] = [lane.role, lane.reader, project.model]
    by_landmark = ""
    if wanted.landmark:
        by_landmark = " AND landmark = ?"
        values.append(wanted.landmark)
    error = "" if wanted.group == "unreadable" else " AND error IS NULL"
    by_reader = ""
    if wanted.reader:
        by_reader = (
            " AND EXISTS (SELECT 1 FROM state AS theirs WHERE theirs.reader = ? AND "
            "theirs.image = images.id AND theirs.landmark = '' "
            "AND theirs.status = 'done')"
        )
        values.append(wanted.reader)
    source = (
        "WITH me AS (SELECT ? AS own_role, ? AS own_reader), "
        "worst AS (SELECT image, MAX(r90) AS worst, MIN(confidence) AS least, "
        "MAX(jump) AS jump, MIN(recognised) AS recognised FROM predictions "
        f"WHERE model = ?{by_landmark} GROUP BY image) "
        "SELECT {what} FROM me CROSS JOIN images "
        "LEFT JOIN worst ON worst.image = images.id "
        "LEFT JOIN state AS own ON own.role = own_role AND own.reader = own_reader "
        "AND own.image = images.id AND own.landmark = '' "
        f"WHERE queued AND {GROUPS[wanted.group]}{error}{by_reader}"
    )
    items = project.store.rows(
        source.format(
            what="images.id AS id, worst, least, jump, COALESCE(own.status, '') "
            "AS status"
        )
        + f" AND {STATES[wanted.state]} ORDER BY {ORDERS[wanted.order]} NULLS LAST, "
        "images.id LIMIT ? OFFSET ?",
        *(*values, limit, offset),
    )
    counts = project.store.row(
        source.format(
            what=f"COUNT(*) AS total, COALESCE(SUM({STATES['open']}), 0) AS left"
        ),
        *values,
    )
    assert counts is not None
    return {"items": [dict(item) for item in items], **dict(counts)}
