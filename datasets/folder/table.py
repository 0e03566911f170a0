"""Reads the table of an ASPIRE-style folder: landmarks, and the DICOM files it names.

    mydata/
      landmarks.csv      subject,image,<landmark>_x,<landmark>_y,...
      DICOM/...          whatever the column `image` names, relative to the folder

A coordinate is in pixels of the image file. (0, 0) is the centre of the top-left pixel.
An empty cell means that the landmark is not annotated. The subject comes from the table
and never from the DICOM header. Two columns are optional, and their cells may be empty:

    frame              number, from 1, of the frame of a file that has several
    fold               0 to 7, the subject's fold of the cross-validation; see `folds`

The id of an image is its path, or `<path>#<frame>` if the row names a frame. Each id is
in one row only.

Further columns may hold text, such as `group`. Columns are separated by commas, or by
semicolons or tabs, which spreadsheets use where the comma is the decimal point.

The public ShefPAH-179 folder is read as it is distributed (github.com/pykale/data,
images/ShefPAH-179). Its `landmarks_64x64.csv` has one row per subject. The points are
those of `DICOM/Subject_<n>/Phase_1.dcm`, the phase on which pykale draws them; in the
other phases the heart has moved. The points are pixels of a 64 x 64 image. pykale plots
and registers them with whole numbers at pixel centres, and so do we. The data set does
not say how the points were scaled down from 512 x 512. If they were just divided by
eight, they are 0.44 of its large pixels too far right and down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path, PurePosixPath

import numpy as np

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.cells import absent_table, read_cells
from phdnet_tf.datasets.folder.problems import Problem, error_at, warning_at
from phdnet_tf.dicom.guards import MAX_FRAMES

TABLE = "landmarks.csv"
WHOLE_NUMBERS = {"frame": (1, MAX_FRAMES), "fold": (0, FOLDS - 1)}
SHEFPAH_TABLE = "landmarks_64x64.csv"
SHEFPAH_SIZE = 64
SHEFPAH_COLUMNS = {
    "Subject": "subject",
    "sup insertion point X": "superior_rv_insertion_x",
    "sup insertion point Y": "superior_rv_insertion_y",
    "inf insertion point X": "inferior_rv_insertion_x",
    "inf insertion point Y": "inferior_rv_insertion_y",
    "RV inf X": "inferior_rv_lateral_reflection_x",
    "RV inf Y": "inferior_rv_lateral_reflection_y",
    "Group": "group",
}


@dataclass(frozen=True)
class Row:
    """One annotated image.

    Attributes:
        subject: Name of the subject, as in the table.
        image: Path of the file relative to the folder, with forward slashes.
        points: float64[L, 2], the (x, y) of each landmark, as the table has it, NaN =
            absent. `points_in_pixels` converts them to pixels of the image.
        line: Line of the row in the table's file, from 1.
        frame: Number of the frame in its file, from 1; None for the only frame.
        fold: The subject's fold in this row, 0 to 7, or None.
    """

    subject: str
    image: str
    points: np.ndarray
    line: int
    frame: int | None = None
    fold: int | None = None

    @property
    def id(self) -> str:
        """The id of the image: its path, or `<path>#<frame>` if a frame is named."""
        return self.image if self.frame is None else f"{self.image}#{self.frame}"


@dataclass(frozen=True)
class Table:
    """The table of a folder.

    Attributes:
        file: Name of the table's file in the folder.
        landmarks: Names of the L landmarks, in the order of the columns.
        rows: The annotated images, in the order of the file.
        grid: Side, in pixels, of the square image to which the points belong, whatever
            the size of the image file. None if they are pixels of the file itself.
    """

    file: str
    landmarks: tuple[str, ...]
    rows: tuple[Row, ...]
    grid: int | None = None


def read_table(folder: Path) -> Table:
    """Reads the table of a folder, and no image.

    Raises:
        ValueError: For the first error in the table, with file, row, what was expected
            and the remedy. `inspect` lists all errors.
    """
    table, problems = parse_table(folder)
    for problem in problems:
        if problem.severity == "error":
            raise ValueError(f"{folder}: {problem}")
    return table


def points_in_pixels(table: Table, row: Row, height: int, width: int) -> np.ndarray:
    """Landmarks of a row in pixels of its image.

    Args:
        table: The table of the row.
        row: One of the table's rows.
        height: Rows of pixels in the image, H.
        width: Columns of pixels in the image, W.

    Returns:
        float64[L, 2], (x, y), (0, 0) the centre of the top-left pixel, NaN = absent.
    """
    if table.grid is None:
        return row.points
    # Pixel edges, not centres, coincide: both images cover the same field of view.
    return (row.points + 0.5) * (width / table.grid, height / table.grid) - 0.5


def parse_table(folder: Path) -> tuple[Table, list[Problem]]:
    """The rows that can be understood, and the problems of the others."""
    file = TABLE
    # Unlike pathlib's, os.path's answer is no error where the folder cannot be opened.
    if not isfile(folder / TABLE) and isfile(folder / SHEFPAH_TABLE):
        file = SHEFPAH_TABLE
    grid = SHEFPAH_SIZE if file == SHEFPAH_TABLE else None
    empty = Table(file, (), (), grid)
    try:
        records, decimal_comma = _records(folder, file)
    except ValueError as error:
        return empty, [error_at(file, None, str(error))]

    _, header = records.pop(0)
    while not header[-1]:  # spreadsheets leave empty columns behind
        header.pop()
    if grid is not None:
        header = [SHEFPAH_COLUMNS.get(name, name) for name in header]
        subject = header.index("subject") if "subject" in header else 0
        for _, cells in records:
            if subject < len(cells):
                cells[len(header) :] = [f"DICOM/Subject_{cells[subject]}/Phase_1.dcm"]
        header.append("image")

    problems = list(_header_problems(file, header))
    names = [
        name.removesuffix("_x")
        for name in dict.fromkeys(header)  # a column may be there twice
        if name.endswith("_x") and name[:-1] + "y" in header
    ]
    if {"subject", "image"} - set(header):
        return empty, problems
    columns = {
        name: (header.index(f"{name}_x"), header.index(f"{name}_y")) for name in names
    }
    problems.extend(_ignored_columns(file, header, records))

    rows = []
    for line, cells in records:
        row, found = _parse_row(file, line, header, cells, columns, decimal_comma)
        problems.extend(found)
        if row is not None:
            rows.append(row)
    if not records:
        problems.append(
            error_at(
                file, None, "has no rows. Expected one row for each annotated image."
            )
        )
    return Table(file, tuple(names), tuple(rows), grid), problems


def _records(folder: Path, file: str) -> tuple[list[tuple[int, list[str]]], bool]:
    """Line number and cells of each row that is not blank, the header first.

    Also returns whether the decimal point may be a comma. Raises ValueError, without
    the name of the file.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}. Check the path.")
    try:
        table = read_cells(folder / file)
    except FileNotFoundError:
        raise ValueError(absent_table(folder, TABLE)) from None
    except OSError as error:
        raise ValueError(f"cannot be opened: {error.strerror}.") from error
    stripped = [(line, [cell.strip() for cell in row]) for line, row in table.records]
    records = [(line, row) for line, row in stripped if any(row)]
    if not records:
        raise ValueError(
            "is empty. Expected the columns subject, image, <landmark>_x, <landmark>_y."
        )
    return records, table.delimiter != ","


def _header_problems(file: str, header: list[str]) -> Iterator[Problem]:
    """Columns that are missing, repeated, or lack their partner of the landmark."""
    for name in ("subject", "image"):
        if name not in header:
            yield error_at(
                file,
                1,
                f"expected a column {name}. Received: {', '.join(header)}. The header "
                "is subject, image, <landmark>_x, <landmark>_y, …",
            )
    for name in sorted({name for name in header if header.count(name) > 1}):
        yield error_at(
            file, 1, f"there are two columns {name!r}. Remove or rename one."
        )
    for name in header:
        partner = name[:-1] + {"x": "y", "y": "x"}.get(name[-1:], "")
        if name.endswith(("_x", "_y")) and partner not in header:
            yield error_at(
                file,
                1,
                f"the column {name} has no partner {partner}. Add it, or rename {name} "
                "if it is not a coordinate.",
            )
    if not any(name.endswith(("_x", "_y")) for name in header):
        yield error_at(
            file,
            1,
            "has no landmark. Expected two columns for each landmark, <landmark>_x and "
            "<landmark>_y.",
        )


def _ignored_columns(
    file: str, header: list[str], records: list[tuple[int, list[str]]]
) -> Iterator[Problem]:
    """Columns of numbers that are not read, perhaps because they are misspelt."""
    read = {"subject", "image", "group", "frame", "fold"}
    read |= {name for name in header if name.endswith(("_x", "_y"))}
    for position, name in enumerate(header):
        cells = [row[position] for _, row in records if position < len(row)]
        if name not in read and any(_number(cell, True) is not None for cell in cells):
            yield warning_at(
                file,
                1,
                f"the column {name!r} is ignored. It holds numbers, but its name is "
                "none of <landmark>_x, <landmark>_y, frame and fold. Rename it if it "
                "is one of them.",
            )


def _parse_row(
    file: str,
    line: int,
    header: list[str],
    cells: list[str],
    columns: Mapping[str, tuple[int, int]],
    decimal_comma: bool,
) -> tuple[Row | None, list[Problem]]:
    """A row, unless its subject or image is missing, and the row's problems."""
    if len(cells) < len(header) or any(cells[len(header) :]):
        message = (
            f"expected {len(header)} cells. Received: {len(cells)}. Correct the row."
        )
        return None, [error_at(file, line, message)]

    problems = []
    subject = cells[header.index("subject")]
    if not subject:
        problems.append(error_at(file, line, "the cell subject is empty. Fill it in."))
    # A table made on Windows may have backslashes.
    image = cells[header.index("image")].replace("\\", "/")
    path = PurePosixPath(image)
    inside = image and not path.is_absolute() and ".." not in path.parts
    if not image:
        problems.append(error_at(file, line, "the cell image is empty. Fill it in."))
    elif not inside or image[1:2] == ":":
        inside = False
        message = (
            f"expected a path inside the folder. Received: {image}. Move the file into "
            "the folder."
        )
        problems.append(error_at(file, line, message))

    numbers: dict[str, int | None] = {}
    for name, (low, high) in WHOLE_NUMBERS.items():
        cell = cells[header.index(name)] if name in header else ""
        number = _number(cell, decimal_comma)
        numbers[name] = None
        if number is not None and number.is_integer() and low <= number <= high:
            numbers[name] = int(number)
        elif cell:
            message = (
                f"expected a whole number from {low} to {high} in {name}. Received: "
                f"{cell!r}. Correct it, or leave the cell empty."
            )
            problems.append(error_at(file, line, message))

    points = np.full((len(columns), 2), np.nan)
    for index, (name, positions) in enumerate(columns.items()):
        for axis, position in enumerate(positions):
            number = _number(cells[position], decimal_comma)
            if number is not None:
                points[index, axis] = number
            elif cells[position]:
                message = (
                    f"expected a number in {header[position]}. Received: "
                    f"{cells[position]!r}. Leave the cell empty if the landmark is not "
                    "annotated."
                )
                problems.append(error_at(file, line, message))
        if sum(cells[position] == "" for position in positions) == 1:
            message = f"{name} has only one coordinate. Fill in both cells or neither."
            problems.append(error_at(file, line, message))
    if not subject or not inside:
        return None, problems
    return Row(subject, str(path), points, line, **numbers), problems


def _number(cell: str, decimal_comma: bool) -> float | None:
    """The finite number in a cell, if it holds one."""
    if "_" in cell:
        return None  # to Python 12_5 is 125, to whoever mistyped it 12.5
    try:
        number = float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
