"""Assigns subjects to the folds of the cross-validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.cells import write_column
from phdnet_tf.datasets.folder.problems import Problem, error_at
from phdnet_tf.datasets.folder.table import Row, Table, read_table


def assign_folds(table: Table, content_hashes: Mapping[str, str]) -> dict[str, int]:
    """Puts each subject into one of the eight folds of the cross-validation.

    The column `fold` has priority. The other subjects are assigned in the order in
    which they first appear in the table. A subject that shares an identical image with
    a subject that has a fold joins that fold. Any other goes to the fold with the
    fewest groups so far. A group is one subject, or several that share images. Without
    the column, the sizes of the folds thus differ by at most one group, and a subject
    appended to the table moves no other.

    Args:
        table: The table.
        content_hashes: For each image, by its id, a string that is equal for identical
            images.

    Returns:
        The fold, 0 to 7, of each subject, in the order in which they first appear.
        `fold_problems` lists what is wrong with them.
    """
    images: dict[str, dict[str, None]] = {}  # their keys: sets that keep their order
    owners: dict[str, dict[str, None]] = {}
    recorded: dict[str, int] = {}
    for row in table.rows:
        own = images.setdefault(row.subject, {})
        if row.id in content_hashes:
            own[content_hashes[row.id]] = None
            owners.setdefault(content_hashes[row.id], {})[row.subject] = None
        if row.fold is not None:
            recorded.setdefault(row.subject, row.fold)

    folds: dict[str, int] = {}
    groups = [0] * FOLDS
    for subject, own in images.items():
        sharing = [name for image in own for name in owners[image] if name != subject]
        joined = [folds[name] for name in sharing if name in folds]
        # Others may have a fold although they come later.
        known = [recorded[name] for name in (subject, *sharing) if name in recorded]
        fold = [*known, *joined, groups.index(min(groups))][0]
        folds[subject] = fold
        groups[fold] += not joined
    return folds


def fold_problems(
    table: Table, content_hashes: Mapping[str, str], folds: Mapping[str, int]
) -> Iterator[Problem]:
    """Subjects and images that are in two folds, so that a test would not be held-out.

    Args:
        table: The table.
        content_hashes: As for `assign_folds`.
        folds: The result of `assign_folds`.
    """
    for row in table.rows:
        if row.fold not in (None, folds[row.subject]):
            yield error_at(
                table.file,
                row.line,
                f"subject {row.subject} is in fold {row.fold} here, and in fold "
                f"{folds[row.subject]} above. Expected one fold per subject. Correct "
                "the column fold.",
            )
    first: dict[str, Row] = {}
    told: set[tuple[str, str]] = set()
    for row in table.rows:
        if row.id not in content_hashes:
            continue
        twin = first.setdefault(content_hashes[row.id], row)
        pair = (twin.subject, row.subject)
        if folds[twin.subject] == folds[row.subject] or pair in told:
            continue
        told.add(pair)
        yield error_at(
            table.file,
            row.line,
            f"subjects {twin.subject} (fold {folds[twin.subject]}) and {row.subject} "
            f"(fold {folds[row.subject]}) share the image {row.id}. A model would be "
            "tested on an image that it was trained on. If they are one person, give "
            "them one name. If not, give all subjects that share images the same "
            "number in the column fold.",
        )


def write_folds(folder: Path, table: Table, folds: Mapping[str, int]) -> None:
    """Writes the column `fold` into the table, so that the folds stay as they are.

    Args:
        folder: The folder.
        table: The folder's table.
        folds: The fold, 0 to 7, of each subject.

    Raises:
        ValueError: If the rows of the file are no longer those of `table`.
        OSError: If it cannot be written.
    """
    # Since it was read, every image was: time enough for a row to be added.
    if _places(read_table(folder)) != _places(table):
        raise ValueError(
            f"{folder / table.file}: it changed while it was checked, so that no folds "
            "were written. Try again."
        )
    values = {row.line: str(folds[row.subject]) for row in table.rows}
    write_column(folder / table.file, "fold", values)


def _places(table: Table) -> list[tuple[int, str, str]]:
    return [(row.line, row.subject, row.id) for row in table.rows]
