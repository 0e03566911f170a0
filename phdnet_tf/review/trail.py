"""The trail: who changed which point, when, from what to what; with undo and redo.

Each line names the previous line of the same reader, image and landmark. If that is no
longer the last line, the sender has not seen the last one. The change is a conflict and
is not stored. Nothing is therefore overwritten in silence.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from phdnet_tf.review.changes import Change
from phdnet_tf.review.store import Store

UNDO, REDO = "undo", "redo"


@dataclass(frozen=True)
class Lane:
    """A person in a role. The changes of a lane follow one another.

    Attributes:
        role: "reader", or "judge", who decides between readers.
        reader: Name of the person.
    """

    role: str
    reader: str


def append(store: Store, lane: Lane, changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Stores changes step by step. Of a step, all changes are stored or none.

    Args:
        store: The database.
        lane: The reader or judge who made them.
        changes: The changes, in the order in which they were made.

    Returns:
        For each change its "uuid" and its "result": "stored", now or earlier;
        "conflict", with the unseen line as "current"; "locked", if the image on disk
        has changed; or "refused", with the "reason".
    """
    results = []
    # One transaction: what waited for a server that was away is stored in one go.
    with store.writing() as connection:
        for _, step in groupby(changes, key=lambda change: change.step):
            results += _append_step(connection, lane, list(step))
    return results


def _append_step(
    connection: sqlite3.Connection, lane: Lane, step: list[Change]
) -> list[dict[str, Any]]:
    known = [
        connection.execute(
            "SELECT 1 FROM trail WHERE uuid = ? AND role = ? AND reader = ?",
            (change.uuid, lane.role, lane.reader),
        ).fetchone()
        for change in step
    ]
    if all(known):
        return [{"uuid": change.uuid, "result": "stored"} for change in step]
    problems = [_problem(connection, lane, change) for change in step]
    if any(problems):
        # The others of the step have nothing wrong, and are not stored all the same.
        first = next(filter(None, problems))
        return [
            {"uuid": change.uuid, **(problem or {"result": first["result"]})}
            for change, problem in zip(step, problems, strict=True)
        ]
    for change in step:
        _insert(connection, lane, change)
    return [{"uuid": change.uuid, "result": "stored"} for change in step]


def _problem(
    connection: sqlite3.Connection, lane: Lane, change: Change
) -> dict[str, Any] | None:
    image = connection.execute(
        "SELECT content_hash, changed, width, height FROM images WHERE id = ?",
        (change.image,),
    ).fetchone()
    if image is None or image["content_hash"] is None:
        return {"result": "refused", "reason": f"there is no image {change.image}."}
    if image["changed"] or image["content_hash"] != change.content_hash:
        return {"result": "locked"}
    if change.x is not None and change.y is not None:
        right, bottom = image["width"] - 0.5, image["height"] - 0.5
        if not (-0.5 <= change.x <= right and -0.5 <= change.y <= bottom):
            return {"result": "refused", "reason": "the point is not in the image."}
    tail = _tail(connection, lane, change.image, change.landmark)
    if (tail["uuid"] if tail else "") != change.previous:
        return {"result": "conflict", "current": dict(tail) if tail else None}
    return None


def _tail(
    connection: sqlite3.Connection, lane: Lane, image: int, landmark: str
) -> sqlite3.Row | None:
    return connection.execute(
        "SELECT * FROM state WHERE role = ? AND reader = ? AND image = ? "
        "AND landmark = ?",
        (lane.role, lane.reader, image, landmark),
    ).fetchone()


def _insert(
    connection: sqlite3.Connection, lane: Lane, change: Change, undoes: str = ""
) -> None:
    before: Any = connection.execute(
        "SELECT status, x, y FROM trail WHERE uuid = ?", (change.previous,)
    ).fetchone()
    if before is None or not before["status"]:
        # Nobody had touched it: it was where the model has put it.
        place = connection.execute(
            "SELECT '' AS status, x, y FROM predictions JOIN models "
            "ON models.id = predictions.model "
            "WHERE image = ? AND landmark = ? AND name = ?",
            (change.image, change.landmark, change.model),
        ).fetchone()
        before = place or {"status": "", "x": None, "y": None}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    values = vars(change) | vars(lane) | {"time": now, "undoes": undoes}
    values |= {f"from_{name}": before[name] for name in ("status", "x", "y")}
    names = ", ".join(values)
    connection.execute(
        f"INSERT INTO trail ({names}) VALUES ({', '.join('?' * len(values))})",
        list(values.values()),
    )


def undo(store: Store, lane: Lane, uuid: str) -> int | None:
    """Undoes the last step that is not undone yet.

    Args:
        store: The database.
        lane: The reader or judge whose step it is.
        uuid: Identifies the request. If it is sent twice, it is done once.

    Returns:
        Number of the step's image; None if there is no step.

    Raises:
        ValueError: If the image is locked.
    """
    return _reverse(store, lane, uuid, UNDO, _LAST_DONE, (lane.role, lane.reader))


def redo(store: Store, lane: Lane, uuid: str) -> int | None:
    """Redoes the step that was undone last, unless other steps came after it.

    Arguments, result and errors are those of `undo`.
    """
    return _reverse(store, lane, uuid, REDO, _LAST_UNDONE, (lane.role, lane.reader) * 2)


_LAST_DONE = """
SELECT step FROM trail AS line
WHERE role = ? AND reader = ? AND action NOT IN ('undo', 'redo') AND COALESCE((
  SELECT action FROM trail WHERE undoes = line.step AND undoes <> ''
  ORDER BY seq DESC LIMIT 1), 'redo') = 'redo'
ORDER BY seq DESC LIMIT 1
"""
_LAST_UNDONE = """
SELECT undoes AS step FROM trail AS line
WHERE role = ? AND reader = ? AND action = 'undo'
  AND seq = (SELECT MAX(seq) FROM trail WHERE undoes = line.undoes AND undoes <> '')
  AND seq > COALESCE((SELECT seq FROM trail WHERE role = ? AND reader = ?
    AND action NOT IN ('undo', 'redo') ORDER BY seq DESC LIMIT 1), 0)
ORDER BY seq DESC LIMIT 1
"""


def _reverse(
    store: Store, lane: Lane, uuid: str, action: str, query: str, values: tuple
) -> int | None:
    with store.writing() as connection:
        done = connection.execute(
            "SELECT image FROM trail WHERE step = ?", (uuid,)
        ).fetchone()
        if done:
            return done["image"]
        found = connection.execute(query, values).fetchone()
        if found is None:
            return None
        image = -1
        for number, line in enumerate(_lines(connection, found["step"])):
            image = line["image"]
            after: Any = line
            if action == UNDO:
                after = connection.execute(
                    "SELECT status, x, y, note, model FROM trail WHERE uuid = ?",
                    (line["previous"],),
                ).fetchone() or {
                    **{"status": "", "x": None, "y": None, "note": ""},
                    "model": line["model"],
                }
            tail = _tail(connection, lane, image, line["landmark"])
            change = Change(
                uuid=f"{uuid}.{number}",
                step=uuid,
                image=image,
                content_hash=line["content_hash"],
                # That which was shown then: a later one may have come between.
                model=after["model"],
                landmark=line["landmark"],
                action=action,
                previous=tail["uuid"] if tail else "",
                status=after["status"],
                x=after["x"],
                y=after["y"],
                note=after["note"],
                seconds=0.0,
            )
            problem = _problem(connection, lane, change)
            if problem:
                raise ValueError(
                    f"image {image} has changed on disk, so its points cannot be "
                    "changed. Restore the file."
                )
            _insert(connection, lane, change, undoes=found["step"])
        return image


def _lines(connection: sqlite3.Connection, step: str) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT * FROM trail WHERE step = ? ORDER BY seq", (step,)
    ).fetchall()


def states(store: Store, lane: Lane, image: int) -> dict[str, dict[str, Any]]:
    """The last line of a reader for each landmark of an image, by its name.

    The line of the image as a whole is under "". Untouched points have no line.
    """
    lines = store.rows(
        "SELECT uuid, seq, landmark, status, x, y, note FROM state "
        "WHERE role = ? AND reader = ? AND image = ?",
        *(lane.role, lane.reader, image),
    )
    return {line["landmark"]: dict(line) for line in lines}


def points(
    store: Store, where: str = "", values: Sequence[object] = ()
) -> list[sqlite3.Row]:
    """The present points of all readers, with the predictions that the readers saw.

    Args:
        store: The database.
        where: A condition on the columns of `state` and `images`, such as "reader = ?".
        values: Values for the question marks of the condition.

    Returns:
        Columns of `state` and `images`, and of the prediction: "px" and "py", pixels,
        "r50", "r90" and "r95", mm, "high", "recognised" and "confidence", or None.
    """
    return store.rows(
        "SELECT images.*, state.*, p.x AS px, p.y AS py, p.r50, p.r90, p.r95, "
        "p.confidence, p.high, p.recognised FROM state "
        "JOIN images ON images.id = state.image "
        "LEFT JOIN models AS m ON m.name = state.model "
        "LEFT JOIN predictions AS p ON p.image = state.image AND p.model = m.id "
        "AND p.landmark = state.landmark "
        "WHERE state.landmark <> '' AND status <> '' "
        + (f"AND ({where}) " if where else "")
        + "ORDER BY state.image, state.landmark",
        *values,
    )
