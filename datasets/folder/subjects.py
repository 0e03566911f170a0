"""Names of subjects that look like two and are probably one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from phdnet_tf.datasets.folder.problems import Problem, error_at
from phdnet_tf.datasets.folder.table import Row, Table


def subject_problems(table: Table) -> Iterator[Problem]:
    """Subjects that differ only in how their name is written.

    They would count as two, and one person could be trained on and tested.
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
            "letter. If they are one person, write the name in one way; if not, give "
            "them names that differ in more.",
        )


def _essence(name: str) -> str:
    """A name without what spreadsheets and keyboards change unasked."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    # Of the categories, Z is spaces and C what cannot be seen.
    letters = [c for c in folded if unicodedata.category(c)[0] not in "ZC"]
    essence = "".join(letters)
    # A cell 007 becomes 7 where it is taken for a number.
    return str(int(essence)) if essence.isdecimal() else essence
