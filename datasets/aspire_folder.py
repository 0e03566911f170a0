"""An ASPIRE-style folder: a table of landmarks beside the DICOM files that it names.

    mydata/
      landmarks.csv      subject,image,<landmark>_x,<landmark>_y,...
      DICOM/...          whatever the column `image` names, relative to the folder

A coordinate is in pixels of the image file, (0, 0) the centre of the top-left pixel. An
empty cell says that the landmark is not annotated. Further columns may hold text, such
as `group`. The subject comes from the table and never from the DICOM header.

The public ShefPAH-179 folder is read as it is distributed (github.com/pykale/data,
images/ShefPAH-179): `landmarks_64x64.csv` has one row a subject, and its points are
those of `DICOM/Subject_<n>/Phase_1.dcm`, the phase on which pykale draws them; in the
other phases the heart has moved on. The points are pixels of a 64 x 64 image. pykale
plots and registers them with whole numbers at pixel centres, and so do we. The data set
does not say how they were brought down from 512 x 512; if they were just divided by
eight, they are 0.44 of its large pixels too far right and down.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from phdnet_tf.config import FOLDS, VIEWS
from phdnet_tf.dicom import DicomError, MRImage, read_image

TABLE = "landmarks.csv"
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

# Cardiac MR has pixels of about 0.6 to 2.5 mm.
USUAL_SPACING = (0.4, 3.0)


@dataclass(frozen=True)
class Row:
    """One annotated image.

    Attributes:
        subject: As in the table.
        image: Path relative to the folder, with forward slashes. Also the image's id.
        points: float64[L, 2], the (x, y) of each landmark of the table, NaN = absent,
            as in the table; see `points_in_pixels`.
        line: Line of the row in the table's file, from 1.
    """

    subject: str
    image: str
    points: np.ndarray
    line: int


@dataclass(frozen=True)
class Table:
    """The table of a folder.

    Attributes:
        file: Its name in the folder.
        landmarks: Names of the L landmarks, in the order of the columns.
        rows: The annotated images, in the order of the file.
        grid: Side, in pixels, of the square image that the points belong to whatever
            the size of the image file; None where they are pixels of the file itself.
    """

    file: str
    landmarks: tuple[str, ...]
    rows: tuple[Row, ...]
    grid: int | None = None


@dataclass(frozen=True)
class Problem:
    """What is wrong in a folder, and where.

    Attributes:
        severity: "error": the folder cannot be used as it is. "warning": it can.
        file: File or folder concerned, relative to the folder.
        row: Line of the table, from 1, or None.
        message: What was expected, what came, and the remedy.
    """

    severity: str
    file: str
    row: int | None
    message: str

    def __str__(self) -> str:
        """The problem as one line."""
        row = "" if self.row is None else f" (row {self.row})"
        return f"{self.file}{row}: {self.message}"


@dataclass(frozen=True)
class ImageFacts:
    """What a look at an image leaves behind.

    Attributes:
        height: H, rows of pixels.
        width: W, columns of pixels.
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        content_hash: The same for two images with the same pixels, and only for them.
    """

    height: int
    width: int
    pixel_spacing: tuple[float, float]
    content_hash: str


@dataclass(frozen=True)
class Inspection:
    """All that one pass over a folder finds.

    Attributes:
        table: The rows that could be understood.
        images: By path relative to the folder; those that could be read.
        problems: In the order of the table, what concerns the whole folder last.
    """

    table: Table
    images: dict[str, ImageFacts]
    problems: list[Problem]


def read_table(folder: Path) -> Table:
    """Reads the table of a folder, and no image.

    A table with semicolons, as spreadsheets write it where the comma is the decimal
    point, is read too; its numbers may have either.

    Raises:
        ValueError: For the first thing that is wrong, with file, row, what was expected
            and the remedy. `inspect` lists everything.
    """
    table, problems = _parse_table(folder)
    for problem in problems:
        if problem.severity == "error":
            raise ValueError(f"{folder}: {problem}")
    return table


def points_in_pixels(table: Table, row: Row, height: int, width: int) -> np.ndarray:
    """Landmarks of a row in pixels of its image.

    Args:
        table: The table of the row.
        row: One of its rows.
        height: Rows of pixels in the image, H.
        width: Columns of pixels in the image, W.

    Returns:
        float64[L, 2], (x, y), (0, 0) the centre of the top-left pixel, NaN = absent.
    """
    if table.grid is None:
        return row.points
    # Pixel edges, not centres, coincide: both images cover the same field of view.
    return (row.points + 0.5) * (width / table.grid, height / table.grid) - 0.5


def check(folder: Path, view: str | None = None) -> list[Problem]:
    """Every problem of a folder, found in one pass; see `inspect`."""
    return inspect(folder, view).problems


def inspect(folder: Path, view: str | None = None) -> Inspection:
    """Reads the table and every image it names, and lists every problem.

    Args:
        folder: An ASPIRE-style folder.
        view: "sa" or "4ch", to also compare the landmarks with those of the view.
    """
    table, problems = _parse_table(folder)
    images: dict[str, ImageFacts] = {}
    first_row: dict[str, Row] = {}
    for row in table.rows:
        if row.image in first_row:
            problems.append(
                _error(
                    table.file,
                    row.line,
                    f"expected each image once. {row.image} is already in row "
                    f"{first_row[row.image].line}; remove one of the rows.",
                )
            )
            continue
        first_row[row.image] = row
        try:
            image = read_image(folder / row.image)
        except DicomError as error:
            message = str(error).removeprefix(f"{folder / row.image}: ")
            problems.append(_error(row.image, row.line, message))
            continue
        height, width = image.pixels.shape
        images[row.image] = ImageFacts(
            height, width, image.pixel_spacing, _content_hash(image)
        )
        problems.extend(_image_problems(row, image))
        problems.extend(_point_problems(table, row, height, width))
    problems.sort(key=lambda problem: problem.row or 0)
    problems.extend(_twin_problems(first_row, images))
    problems.extend(_unnamed_folders(folder, table))
    problems.extend(_fold_problems(table, images))
    if view is not None:
        problems.extend(_view_problems(table, view))
    return Inspection(table, images, problems)


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


def fingerprint(folder: Path) -> str:
    """A short text that changes when the table, or an image file it names, changes.

    Raises:
        ValueError: If the table cannot be read.
    """
    table = read_table(folder)
    digest = hashlib.sha256((folder / table.file).read_bytes())
    for row in table.rows:
        # Size and time of change, not content: this runs before every training, and a
        # look at 10,000 files takes about a second where reading them would take from
        # half a minute to many. Only a change that keeps both is missed, which takes
        # intent; a copy that renews the time just costs a rebuild.
        try:
            status = (folder / row.image).stat()
            digest.update(
                f"{row.image}\0{status.st_size}\0{status.st_mtime_ns}".encode()
            )
        except OSError:
            digest.update(f"{row.image}\0missing".encode())
    return digest.hexdigest()


def content(folder: Path, inspection: Inspection) -> str:
    """A short text that copies of a folder have in common, and that changes with it.

    Unlike `fingerprint` it tells nothing of when a file was written.

    Args:
        folder: The folder.
        inspection: What `inspect` found in it.
    """
    digest = hashlib.sha256((folder / inspection.table.file).read_bytes())
    for name, facts in sorted(inspection.images.items()):
        digest.update(f"{name}\0{facts.content_hash}\0{facts.pixel_spacing}".encode())
    return digest.hexdigest()


def _error(file: str, row: int | None, message: str) -> Problem:
    return Problem("error", file, row, message)


def _warning(file: str, row: int | None, message: str) -> Problem:
    return Problem("warning", file, row, message)


def _parse_table(folder: Path) -> tuple[Table, list[Problem]]:
    """The rows that can be understood, and what is wrong with the others."""
    file = TABLE
    if not (folder / TABLE).is_file() and (folder / SHEFPAH_TABLE).is_file():
        file = SHEFPAH_TABLE
    grid = SHEFPAH_SIZE if file == SHEFPAH_TABLE else None
    empty = Table(file, (), (), grid)
    try:
        records, decimal_comma = _records(folder, file)
    except ValueError as error:
        return empty, [_error(file, None, str(error))]

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
        for name in header
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
            _error(file, None, "has no rows. Expected one row an annotated image.")
        )
    return Table(file, tuple(names), tuple(rows), grid), problems


def _records(folder: Path, file: str) -> tuple[list[tuple[int, list[str]]], bool]:
    """Line number and cells of each row that is not blank, the header first.

    Also whether the decimal point is a comma. Raises ValueError, without the file name.
    """
    path = folder / file
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}. Check the path.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ValueError(
            f"there is no such table. Expected {TABLE}, with the columns subject, "
            "image, <landmark>_x, <landmark>_y."
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected UTF-8 text; byte {error.start} is not. Save the table again as "
            '"CSV UTF-8".'
        ) from error
    except OSError as error:
        raise ValueError(f"cannot be opened: {error.strerror}.") from error

    first = text.lstrip().split("\n", 1)[0]
    semicolons = ";" in first and "," not in first
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if semicolons else ",", strict=True
    )
    records = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                records.append((reader.line_num, cells))
    except csv.Error as error:
        raise ValueError(
            f"line {reader.line_num} is not CSV: {error}. Save the table again as CSV."
        ) from error
    if not records:
        raise ValueError(
            "is empty. Expected the columns subject, image, <landmark>_x, <landmark>_y."
        )
    return records, semicolons


def _header_problems(file: str, header: list[str]) -> Iterator[Problem]:
    """Columns that are missing, twice there or halves of a landmark."""
    for name in ("subject", "image"):
        if name not in header:
            yield _error(
                file,
                1,
                f"expected a column {name}. Received: {', '.join(header)}. The header "
                "is subject, image, <landmark>_x, <landmark>_y, …",
            )
    for name in sorted({name for name in header if header.count(name) > 1}):
        yield _error(
            file, 1, f"the column {name!r} is there twice. Remove or rename one."
        )
    for name in header:
        partner = name[:-1] + {"x": "y", "y": "x"}.get(name[-1:], "")
        if name.endswith(("_x", "_y")) and partner not in header:
            yield _error(
                file,
                1,
                f"the column {name} has no partner {partner}. Add it, or rename {name} "
                "if it is no coordinate.",
            )
    if not any(name.endswith(("_x", "_y")) for name in header):
        yield _error(
            file,
            1,
            "has no landmark. Expected two columns a landmark, <landmark>_x and "
            "<landmark>_y.",
        )


def _ignored_columns(
    file: str, header: list[str], records: list[tuple[int, list[str]]]
) -> Iterator[Problem]:
    """Columns of numbers that are not read, perhaps because they are misspelt."""
    read = {"subject", "image", "group"}
    read |= {name for name in header if name.endswith(("_x", "_y"))}
    for position, name in enumerate(header):
        cells = [row[position] for _, row in records if position < len(row)]
        if name not in read and any(_number(cell, True) is not None for cell in cells):
            yield _warning(
                file,
                1,
                f"the column {name!r} holds numbers, but is neither <landmark>_x nor "
                "<landmark>_y, and is ignored. Rename it if it is a landmark.",
            )


def _parse_row(
    file: str,
    line: int,
    header: list[str],
    cells: list[str],
    columns: Mapping[str, tuple[int, int]],
    decimal_comma: bool,
) -> tuple[Row | None, list[Problem]]:
    """A row, unless its subject or image is missing, and all that is wrong with it."""
    if len(cells) < len(header) or any(cells[len(header) :]):
        message = (
            f"expected {len(header)} cells. Received: {len(cells)}. Correct the row."
        )
        return None, [_error(file, line, message)]

    problems = []
    subject = cells[header.index("subject")]
    if not subject:
        problems.append(_error(file, line, "the cell subject is empty. Fill it in."))
    # A table made on Windows may have backslashes.
    image = cells[header.index("image")].replace("\\", "/")
    path = PurePosixPath(image)
    inside = image and not path.is_absolute() and ".." not in path.parts
    if not image:
        problems.append(_error(file, line, "the cell image is empty. Fill it in."))
    elif not inside or image[1:2] == ":":
        inside = False
        message = (
            f"expected a path inside the folder. Received: {image}. Move it there."
        )
        problems.append(_error(file, line, message))

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
                problems.append(_error(file, line, message))
        if sum(cells[position] == "" for position in positions) == 1:
            message = (
                f"{name} has one coordinate of two. Fill in both cells or neither."
            )
            problems.append(_error(file, line, message))
    row = Row(subject, str(path), points, line) if subject and inside else None
    return row, problems


def _number(cell: str, decimal_comma: bool) -> float | None:
    """The finite number in a cell, if it holds one."""
    try:
        number = float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _content_hash(image: MRImage) -> str:
    digest = hashlib.sha256(repr(image.pixels.shape).encode())
    digest.update(image.pixels.tobytes())
    return digest.hexdigest()


def _image_problems(row: Row, image: MRImage) -> Iterator[Problem]:
    low, high = USUAL_SPACING
    if not all(low <= spacing <= high for spacing in image.pixel_spacing):
        y, x = image.pixel_spacing
        yield _warning(
            row.image,
            row.line,
            f"expected a pixel spacing of {low:g} to {high:g} mm, as cardiac MR has. "
            f"Received: {y:g} x {x:g} mm. Every distance depends on it: compare it "
            "with the scanner's.",
        )
    if image.pixels.min() == image.pixels.max():
        yield _warning(row.image, row.line, "all pixels are equal. Is it an image?")


def _point_problems(
    table: Table, row: Row, height: int, width: int
) -> Iterator[Problem]:
    points = points_in_pixels(table, row, height, width)
    for name, (x, y) in zip(table.landmarks, points, strict=True):
        # An absent landmark is NaN, and neither less nor more than anything.
        if x < -0.5 or y < -0.5 or x > width - 0.5 or y > height - 0.5:
            yield _error(
                table.file,
                row.line,
                f"{name} at ({x:g}, {y:g}) lies outside {row.image}, which has {width} "
                f"columns and {height} rows. Correct it; (x, y) are pixels, from 0.",
            )


def _twin_problems(
    rows: Mapping[str, Row], images: Mapping[str, ImageFacts]
) -> Iterator[Problem]:
    """Images with the same pixels, one warning a pair of subjects."""
    twins: dict[str, list[Row]] = {}
    for name, facts in images.items():
        twins.setdefault(facts.content_hash, []).append(rows[name])
    pairs: dict[tuple[str, str], list[tuple[Row, Row]]] = {}
    for first, *others in twins.values():
        for other in others:
            subjects = (first.subject, other.subject)
            pairs.setdefault(subjects, []).append((first, other))
    for (subject, other_subject), found in pairs.items():
        first, other = found[0]
        example = f"is pixel for pixel {first.image} (row {first.line})"
        if len(found) > 1:
            example += f", and {len(found) - 1} more of their images are twins"
        if subject == other_subject:
            consequence = f"subject {subject} has an image twice. Keep one of the two."
        else:
            consequence = (
                f"subjects {subject} and {other_subject} share a scan. They are kept "
                "in one fold; if they are one person, give them one name."
            )
        yield _warning(other.image, other.line, f"{example}: {consequence}")


def _unnamed_folders(folder: Path, table: Table) -> Iterator[Problem]:
    """Folders of images beside those of the subjects, but with no row in the table."""
    paths = [PurePosixPath(row.image) for row in table.rows]
    if not paths:
        return
    named = {parent for path in paths for parent in path.parents}
    suffixes = {path.suffix.lower() for path in paths}
    # Where the paths of all images part, subjects (or their images) begin.
    common = PurePosixPath(os.path.commonpath([path.parent for path in paths]))
    try:
        children = sorted(path for path in (folder / common).iterdir() if path.is_dir())
    except OSError:
        return  # the missing images have been reported one by one
    for child in children:
        relative = common / child.name
        if relative in named or child.name.startswith("."):
            continue
        if any(f.suffix.lower() in suffixes for f in child.rglob("*") if f.is_file()):
            yield _warning(
                str(relative),
                None,
                f"holds images of a subject in no row of {table.file}; they are not "
                "used. Add rows, or move the folder away.",
            )


def _fold_problems(table: Table, images: Mapping[str, ImageFacts]) -> Iterator[Problem]:
    hashes = {name: facts.content_hash for name, facts in images.items()}
    folds = assign_folds(table, hashes)
    filled = len(set(folds.values()))
    if table.rows and filled < FOLDS:
        yield _warning(
            table.file,
            None,
            f"expected at least {FOLDS} subjects that share no image, one for each "
            f"fold. Received: {filled}, so some folds are empty. Add subjects before "
            "you cross-validate.",
        )


def _view_problems(table: Table, view: str) -> Iterator[Problem]:
    expected = VIEWS[view]
    absent = [name for name in expected if name not in table.landmarks]
    if not absent or not table.landmarks:
        return
    for other, names in VIEWS.items():
        if other != view and len(absent) == len(expected):
            if set(names) & set(table.landmarks):
                yield _error(
                    table.file,
                    1,
                    f"the landmarks are those of the view {other}: "
                    f"{', '.join(table.landmarks)}. Use `--view {other}`.",
                )
                return
    yield _warning(
        table.file,
        1,
        f"lacks the columns of {', '.join(absent)}, which belong to the view {view}. "
        "Only the landmarks that are there are learnt.",
    )
