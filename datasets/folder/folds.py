"""The folds of the cross-validation, by subject."""

from __future__ import annotations

from collections.abc import Mapping

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.table import Table


def assign_folds(table: Table, content_hashes: Mapping[str, str]) -> dict[str, int]:
    """Puts each subject into one of the eight folds of the cross-validation.

    Subjects that share an identical image stay together, as one group. Groups are dealt
    out in the order of their names, so the sizes of the folds differ by at most one
    group, and neighbours in the alphabet, who often share a scanner or a diagnosis, are
    spread. The order of the rows does not matter.

    Args:
        table: The table.
        content_hashes: For each image, by its path in the table, a string that is equal
            for identical images.

    Returns:
        The fold, 0 to 7, of each subject.
    """
    group = {row.subject: row.subject for row in table.rows}

    def representative(subject: str) -> str:
        while group[subject] != subject:
            subject = group[subject]
        return subject

    first_owner: dict[str, str] = {}
    for row in table.rows:
        if row.image in content_hashes:
            owner = first_owner.setdefault(content_hashes[row.image], row.subject)
            one, other = sorted((representative(owner), representative(row.subject)))
            group[other] = one  # the first name of the alphabet stands for the group

    names = sorted({representative(subject) for subject in group})
    fold = {name: position % FOLDS for position, name in enumerate(names)}
    return {subject: fold[representative(subject)] for subject in sorted(group)}
