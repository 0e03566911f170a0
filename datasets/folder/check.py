"""Every problem of an ASPIRE-style folder, found in one pass."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.folds import assign_folds
from phdnet_tf.datasets.folder.problems import Problem, error_at, warning_at
from phdnet_tf.datasets.folder.table import Row, Table, parse_table, points_in_pixels
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.read import read_image
from phdnet_tf.presets import VIEWS

# Cardiac MR has pixels of about 0.6 to 2.5 mm.
USUAL_SPACING = (0.4, 3.0)


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


def check(folder: Path, view: str | None = None) -> list[Problem]:
    """Every problem of a folder, found in one pass; see `inspect`."""
    return inspect(folder, view).problems


def inspect(folder: Path, view: str | None = None) -> Inspection:
    """Reads the table and every image it names, and lists every problem.

    Args:
        folder: An ASPIRE-style folder.
        view: Name of a view; the landmarks of a built-in one are expected.
    """
    table, problems = parse_table(folder)
    images: dict[str, ImageFacts] = {}
    first_row: dict[str, Row] = {}
    for row in table.rows:
        if row.image in first_row:
            problems.append(
                error_at(
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
            problems.append(error_at(row.image, row.line, message))
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


def _content_hash(image: MRImage) -> str:
    digest = hashlib.sha256(repr(image.pixels.shape).encode())
    digest.update(image.pixels.tobytes())
    return digest.hexdigest()


def _image_problems(row: Row, image: MRImage) -> Iterator[Problem]:
    low, high = USUAL_SPACING
    if not all(low <= spacing <= high for spacing in image.pixel_spacing):
        y, x = image.pixel_spacing
        yield warning_at(
            row.image,
            row.line,
            f"expected a pixel spacing of {low:g} to {high:g} mm, as cardiac MR has. "
            f"Received: {y:g} x {x:g} mm. Every distance depends on it: compare it "
            "with the scanner's.",
        )
    if image.pixels.min() == image.pixels.max():
        yield warning_at(row.image, row.line, "all pixels are equal. Is it an image?")


def _point_problems(
    table: Table, row: Row, height: int, width: int
) -> Iterator[Problem]:
    points = points_in_pixels(table, row, height, width)
    for name, (x, y) in zip(table.landmarks, points, strict=True):
        # An absent landmark is NaN, and neither less nor more than anything.
        if x < -0.5 or y < -0.5 or x > width - 0.5 or y > height - 0.5:
            yield error_at(
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
        yield warning_at(other.image, other.line, f"{example}: {consequence}")


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
            yield warning_at(
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
        yield warning_at(
            table.file,
            None,
            f"expected at least {FOLDS} subjects that share no image, one for each "
            f"fold. Received: {filled}, so some folds are empty. Add subjects before "
            "you cross-validate.",
        )


def _view_problems(table: Table, view: str) -> Iterator[Problem]:
    expected = VIEWS.get(view, ())  # a view of the user's own has any landmarks
    absent = [name for name in expected if name not in table.landmarks]
    if not absent or not table.landmarks:
        return
    for other, names in VIEWS.items():
        if other != view and len(absent) == len(expected):
            if set(names) & set(table.landmarks):
                yield error_at(
                    table.file,
                    1,
                    f"the landmarks are those of the view {other}: "
                    f"{', '.join(table.landmarks)}. Use `--view {other}`.",
                )
                return
    yield warning_at(
        table.file,
        1,
        f"lacks the columns of {', '.join(absent)}, which belong to the view {view}. "
        "Only the landmarks that are there are learnt.",
    )
