"""Finds subjects that have two spellings of probably the same name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from phdnet_tf.datasets.folder.problems import Problem, error_at
from phdnet_tf.datasets.folder.table import Row, Table


def subject_problems(table: Table) -> Iterator[Problem]:
    """Subjects whose names differ only in their spelling.

    They would count as two, so that one person could be in the training and the test.
    """
    first: dict[str, Row] = {}
    told: set[str] = set()
    for row in table.rows:
        twin = first.setdefault(_essence(row.subject), row)
        if row.subject in (twin.subject, *told):
            continue
        told.add(row.subject)
        yield error_at(
            table.file,
            row.line,
            f"the subjects {twin.subject!r} (row {twin.line}) and {row.subject!r} "
            "differ only in capitals, spaces, leading zeros or the encoding of a "
            "letter. If they are one person, use one spelling. If not, give them names "
            "that differ more.",
        )


def _essence(name: str) -> str:
    """A name without the details that spreadsheets and keyboards change by accident."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    # Category Z is spaces, C is invisible characters.
    letters = [c for c in folded if unicodedata.category(c)[0] not in "ZC"]
    essence = "".join(letters)
    # A cell 007 becomes 7 in a program that reads it as a number.
    return str(int(essence)) if essence.isdecimal() else essence
