"""Reads and writes the cells of a table's file, whichever spreadsheet made it."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from dataclasses import dataclass, replace
from pathlib import Path

from phdnet_tf.files import whole_file

DELIMITERS = (",", ";", "\t")

# Excel's own first line, which says what separates the columns and is no row.
SEPARATOR_LINE = re.compile(r'"?sep=([^\w\s"]|\t)"?(\r\n|\r|\n)', re.IGNORECASE)


@dataclass(frozen=True)
class Cells:
    """The content of a table's file, and how the file is written.

    Attributes:
        records: For each record, the number of its last line, from 1, and its
            unchanged cells. Blank lines are records without cells.
        delimiter: Character between the columns.
        encoding: Name of the encoding, byte order mark included.
        start: The line above the header that names the delimiter, or "".
        line_end: Characters at the end of a line.
    """

    records: list[tuple[int, list[str]]]
    delimiter: str
    encoding: str
    start: str
    line_end: str


def read_cells(path: Path) -> Cells:
    """Reads a table as comma, semicolon or tab separated text.

    Args:
        path: The file: UTF-8 with or without a byte order mark, or UTF-16 with one.
            Lines may end with CR, LF or both.

    Raises:
        ValueError: If it is not such a text. The message does not name the file.
        OSError: If it cannot be opened.
    """
    data = path.read_bytes()
    encoding = "utf-8"
    if data.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"  # Excel's "Unicode Text"
    elif data.startswith(b"PK\x03\x04"):
        raise ValueError(
            'is a workbook, not a text. Save the table again as "CSV UTF-8".'
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected UTF-8 text. Byte {error.start} is not UTF-8. Save the table "
            'again as "CSV UTF-8".'
        ) from error
    named = SEPARATOR_LINE.match(text)
    start = named[0] if named else ""
    body = text[len(start) :]
    header = next(filter(str.strip, re.split(r"[\r\n]+", body)), "")
    plain = re.sub(r'"[^"]*"', "", header)
    delimiter = named[1] if named else max(DELIMITERS, key=plain.count)
    line_end = re.search(r"\r\n|\r|\n", text)
    # Without `newline` line ends in a quoted cell would be lost.
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    above = 1 if start else 0
    try:
        records = [(above + reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise ValueError(
            f"line {above + reader.line_num} is not valid CSV: {error}. Save the table "
            "again as CSV."
        ) from error
    return Cells(records, delimiter, encoding, start, line_end[0] if line_end else "\n")


def write_column(path: Path, name: str, values: dict[int, str]) -> None:
    """Writes a column into a table: over the column of that name, or as the last one.

    The table is replaced in one step. It keeps its delimiter, encoding, line ends,
    other columns and order of lines.

    Args:
        path: The file.
        name: Name of the column.
        values: The cell of each row, by the row's line number.

    Raises:
        ValueError: If the file is no longer a table.
        OSError: If it cannot be written.
    """
    cells = read_cells(path)
    records = [(line, list(row)) for line, row in cells.records]
    header = next(row for _, row in records if any(map(str.strip, row)))
    names = [cell.strip() for cell in header]
    while names and not names[-1]:  # spreadsheets leave empty columns behind
        names.pop()
    place = names.index(name) if name in names else len(names)
    for line, row in records:
        if row is header or line in values:
            row += [""] * (place + 1 - len(row))
            row[place] = name if row is header else values[line]
    _write(path, replace(cells, records=records))


def _write(path: Path, cells: Cells) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=cells.delimiter, lineterminator=cells.line_end)
    writer.writerows(row for _, row in cells.records)
    # Where the table is a link, the file it leads to is written.
    with whole_file(path.resolve()) as partial:
        partial.write_bytes((cells.start + text.getvalue()).encode(cells.encoding))


def absent_table(folder: Path, name: str) -> str:
    """The message for a folder without a table: what was expected, and what is close.

    Args:
        folder: The folder.
        name: Name of the expected file.
    """
    expected = (
        f"there is no such table. Expected {name}, with the columns subject, image, "
        "<landmark>_x, <landmark>_y."
    )
    below = sorted(folder.glob(f"*/{name}"))
    if below:
        return f"{expected} Found one in {below[0].parent}. Name that folder."
    stem = name.partition(".")[0]
    near = {
        path.name: difflib.SequenceMatcher(
            None, path.name.partition(".")[0].casefold(), stem
        ).ratio()
        for path in sorted(folder.glob("*"))
        if path.is_file() and not path.name.startswith((".", "~"))
    }
    best = max(near, key=near.__getitem__, default="")
    if not best or near[best] < 0.6:
        return expected
    if best.casefold().endswith((".csv", ".txt", ".tsv")):
        return f"{expected} Found {best}. If this is the table, rename it to {name}."
    return f'{expected} Found {best}. Save it as "CSV UTF-8", with the name {name}.'
