"""Finds every problem of an ASPIRE-style folder in one pass."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.arrangement import arrangement_problems
from phdnet_tf.datasets.folder.folds import assign_folds, fold_problems
from phdnet_tf.datasets.folder.images import ImageFacts, image_problems, twin_problems
from phdnet_tf.datasets.folder.points import point_problems
from phdnet_tf.datasets.folder.problems import Problem, error_at, warning_at
from phdnet_tf.datasets.folder.subjects import subject_problems
from phdnet_tf.datasets.folder.table import Row, Table, parse_table
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox
from phdnet_tf.presets import USUAL_ORIENTATIONS, VIEWS


@dataclass(frozen=True)
class Inspection:
    """Everything that one pass over a folder finds.

    Attributes:
        table: The rows that could be understood.
        images: The images that could be read, by the id of their row.
        folds: The fold, 0 to 7, of each subject.
        problems: The problems, in the order of the table. Those of the whole folder
            come last.
    """

    table: Table
    images: dict[str, ImageFacts]
    folds: dict[str, int]
    problems: list[Problem]


def check(folder: Path, view: str | None = None) -> list[Problem]:
    """The problems that `inspect` finds in a folder."""
    return inspect(folder, view).problems


def inspect(
    folder: Path,
    view: str | None = None,
    *,
    on_image: Callable[[Row, MRImage], None] = lambda row, image: None,
) -> Inspection:
    """Reads the table and every image it names, once, and lists every problem.

    Args:
        folder: An ASPIRE-style folder.
        view: Name of a view. The landmarks of a built-in view are expected.
        on_image: Called with the row and the image, for each image that can be read.
            It is the only access to the pixels, because no image is kept.
    """
    table, problems = parse_table(folder)
    images: dict[str, ImageFacts] = {}
    first_row: dict[str, Row] = {}
    for row in table.rows:
        if row.id in first_row:
            problems.append(
                error_at(
                    table.file,
                    row.line,
                    f"expected each image once. {row.id} is already in row "
                    f"{first_row[row.id].line}; remove one of the rows.",
                )
            )
        first_row.setdefault(row.id, row)
    wanted = (
        (row, FileLocation(folder / row.image), row.frame) for row in first_row.values()
    )
    # Files that come from elsewhere are not opened in this process.
    with Sandbox() as sandbox:
        for row, image in sandbox.images(wanted):
            if isinstance(image, DicomError):
                location = FileLocation(folder / row.image)
                message = str(image).removeprefix(f"{location}: ")
                if "multi-frame" in message:
                    message += (
                        " Write the number of the frame, from 1, in a column frame."
                    )
                problems.append(error_at(row.id, row.line, message))
                continue
            on_image(row, image)
            height, width = image.pixels.shape
            images[row.id] = ImageFacts(
                *(height, width, image.pixel_spacing),
                *(image.orientation, image.content_hash()),
            )
            problems.extend(image_problems(row, image))
    hashes = {name: facts.content_hash for name, facts in images.items()}
    folds = assign_folds(table, hashes)
    problems.extend(subject_problems(table))
    problems.extend(point_problems(table, images))
    usual = USUAL_ORIENTATIONS.get(view or "", ())
    problems.extend(arrangement_problems(table, images, usual))
    problems.extend(fold_problems(table, hashes, folds))
    problems.sort(key=lambda problem: problem.row or 0)
    problems.extend(twin_problems(first_row, images))
    problems.extend(_unnamed_folders(folder, table))
    problems.extend(_empty_folds(table, folds))
    if view is not None:
        problems.extend(_view_problems(table, view))
    return Inspection(table, images, folds, problems)


def _unnamed_folders(folder: Path, table: Table) -> Iterator[Problem]:
    """Folders of images beside those of the subjects that no row of the table names."""
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
                f"holds images that no row of {table.file} names. They are not used. "
                "Add rows, or move the folder away.",
            )


def _empty_folds(table: Table, folds: Mapping[str, int]) -> Iterator[Problem]:
    filled = len(set(folds.values()))
    if table.rows and filled < FOLDS:
        yield warning_at(
            table.file,
            None,
            f"expected at least {FOLDS} subjects that share no image, one for each "
            f"fold. Received: {filled}, so some folds are empty. Add subjects before "
            "a cross-validation.",
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
        "Only the landmarks in the table are learnt.",
    )
