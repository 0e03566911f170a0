"""Exports reviewed points as an ASPIRE-style folder for `train --data`, or a table."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from phdnet_tf.dicom.image import patient_positions
from phdnet_tf.dicom.write import write_image
from phdnet_tf.files import OutputFolder
from phdnet_tf.review.pictures import Pictures
from phdnet_tf.review.project import Project
from phdnet_tf.review.readers import PLACED, moved_mm
from phdnet_tf.review.trail import points

TABLE = "landmarks.csv"
POINTS = "points.csv"


@dataclass(frozen=True)
class Selection:
    """The points to export.

    Attributes:
        images: The points of each image, by the image's number and the landmark. Absent
            points are included, unsure ones are not.
        unsure: Number of points left out because their reader is unsure.
    """

    images: dict[int, dict[str, sqlite3.Row]]
    unsure: int


def select(project: Project, reader: str | None) -> Selection:
    """Selects the final points: the judge's, or else a reader's.

    Args:
        project: The project.
        reader: Reader whose points are used if several have reviewed a point and nobody
            has decided.

    Raises:
        ValueError: If a reader is needed and not given, or has not reviewed a point.
    """
    looked: dict[tuple[int, str], list[sqlite3.Row]] = defaultdict(list)
    names = set()
    for point in points(project.store):
        names.add(point["reader"])
        looked[point["image"], point["landmark"]].append(point)
    if not names:
        raise ValueError(
            f"{project.folder}: nobody has reviewed a point yet. Start with 'phdnet-tf "
            f"review open --project {project.folder}'."
        )
    if reader is not None and reader not in names:
        raise ValueError(
            f"{project.folder}: has no points of {reader}, only points of "
            f"{', '.join(sorted(names))}. Give one of them with --reader."
        )
    images: dict[int, dict[str, sqlite3.Row]] = defaultdict(dict)
    undecided = unsure = 0
    for (image, landmark), some in looked.items():
        decided = [point for point in some if point["role"] == "judge"]
        own = [point for point in some if reader in (None, point["reader"])]
        alike = {point["status"] for point in some}
        if decided:
            chosen = max(decided, key=lambda point: point["seq"])
        elif len(some) == 1 or alike in ({"absent"}, {"unsure"}):
            chosen = some[0]
        elif len(own) == 1:
            chosen = own[0]
        else:
            undecided += 1
            continue
        if chosen["status"] == "unsure":
            unsure += 1
        else:
            images[image][landmark] = chosen
    if undecided:
        raise ValueError(
            f"{project.folder}: several readers have reviewed {undecided} points, and "
            "nobody has decided between them. Decide with 'phdnet-tf review open "
            f"--project {project.folder} --decide', or choose one reader's points with "
            f"--reader {' or --reader '.join(sorted(names))}."
        )
    return Selection(dict(images), unsure)


def write_folder(
    project: Project,
    selection: Selection,
    pictures: Pictures,
    output: OutputFolder,
    accepted: bool,
) -> tuple[int, list[str]]:
    """Writes an ASPIRE-style folder: a table, and the images without any identity.

    Args:
        project: The project.
        selection: The points.
        pictures: Reads the images.
        output: The folder.
        accepted: Whether to write accepted points as well, rather than only those that
            a human has placed.

    Returns:
        Number of images, and a line for each image that could not be written.
    """
    wanted = PLACED if accepted else ("corrected",)
    names = project.landmarks
    lines: list[str] = []
    rows: list[list[object]] = []
    for image, own in sorted(selection.images.items()):
        if not any(point["status"] in wanted for point in own.values()):
            continue
        try:
            picture = pictures.image(image)
        except ValueError as error:
            lines.append(str(error))
            continue
        [first, *_] = own.values()
        subject = f"subject_{first['subject']:04d}"
        name = f"DICOM/{subject}/image_{image:06d}.dcm"
        with output.whole_file(output.folder / name) as path:
            write_image(
                path,
                _storable(picture.pixels),
                picture.pixel_spacing,
                uid_seed="review",
                series_description=f"reviewed {project.view}"[:64],
                patient_id=subject,
                position=picture.position,
                orientation=picture.orientation,
            )
        row: list[object] = [subject, name, 1]
        row.append("+".join(sorted({point["reader"] for point in own.values()})))
        for landmark in names:
            found = own.get(landmark)
            given = found is not None and found["status"] in wanted
            row += [found["x"], found["y"]] if found is not None and given else ["", ""]
        rows.append(row)
    columns = [f"{landmark}_{axis}" for landmark in names for axis in "xy"]
    with (
        output.whole_file(output.folder / TABLE) as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["subject", "image", "frame", "reader", *columns])
        table.writerows(rows)
    return len(rows), lines


def _storable(pixels: np.ndarray) -> np.ndarray:
    """The same values in a type for `write_image`: uint16 if they are whole numbers."""
    whole = np.array_equal(pixels, np.round(pixels))
    fits = whole and pixels.min() >= 0 and pixels.max() < 2**16
    return pixels.astype(np.uint16) if fits else pixels.astype(np.float32)


COLUMNS = (
    "image path frame subject landmark status x y reader decided model model_x model_y "
    "moved_mm position_lps_x position_lps_y position_lps_z"
).split()


def write_points(selection: Selection, output: OutputFolder) -> int:
    """Writes all points as a table with one row per point, and the images' paths.

    Returns:
        Number of points.
    """
    count = 0
    with (
        output.whole_file(output.folder / POINTS) as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for image, own in sorted(selection.images.items()):
            for landmark, point in own.items():
                moved = moved_mm(point)
                name = point["path"] + f"/{point['member']}" * bool(point["member"])
                row = [image, name, point["frame"], point["subject"], landmark]
                row += [point["status"], point["x"], point["y"], point["reader"]]
                row += [int(point["role"] == "judge"), point["model"]]
                row += [point["px"], point["py"], moved, *(place_of(point) or ())]
                table.writerow(["" if cell is None else cell for cell in row])
                count += 1
    return count


def place_of(point: sqlite3.Row) -> tuple[float, ...] | None:
    """Position of a point in the patient (LPS), in mm; None if it is not known."""
    if point["x"] is None:
        return None
    place = patient_positions(
        np.array([point["x"], point["y"]]),
        (point["spacing_y"], point["spacing_x"]),
        *(json.loads(point[name]) for name in ("position", "orientation")),
    )
    return None if place is None else tuple(place.tolist())
