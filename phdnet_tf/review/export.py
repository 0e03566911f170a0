"""The reviewed points as an ASPIRE-style folder, for `train --data`, and as a table."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

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
        images: By the number of the image, by landmark, the points, those that are
            absent too; those that are unsure are in none.
        unsure: How many points were left out because their reader is unsure.
    """

    images: dict[int, dict[str, sqlite3.Row]]
    unsure: int


def select(project: Project, reader: str | None) -> Selection:
    """The points as they were decided.

    Args:
        project: The project.
        reader: Whose points are taken where several have looked and nobody decided.

    Raises:
        ValueError: If that is needed and not said, or nobody of that name has reviewed.
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
            f"{project.folder}: has no points of {reader}. Received points of "
            f"{', '.join(sorted(names))}: name one of them with --reader."
        )
    images: dict[int, dict[str, sqlite3.Row]] = defaultdict(dict)
    undecided = unsure = 0
    for (image, landmark), some in looked.items():
        decided = [point for point in some if point["role"] == "judge"]
        own = [point for point in some if reader in (None, point["reader"])]
        if decided:
            chosen = max(decided, key=lambda point: point["seq"])
        elif len(own) > 1:
            undecided += 1
            continue
        elif own:
            chosen = own[0]
        else:
            continue
        if chosen["status"] == "unsure":
            unsure += 1
        else:
            images[image][landmark] = chosen
    if undecided:
        raise ValueError(
            f"{project.folder}: of {undecided} points several readers have said where "
            "they are, and nobody decided. Decide with 'phdnet-tf review open "
            f"--project {project.folder} --decide', or choose whose to take with "
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
        accepted: Whether points that a reader accepted are written, or only those that
            a human has placed.

    Returns:
        How many images it has, and a line for each that it should have and has not.
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
    """The same values as `write_image` takes them: whole ones as uint16."""
    whole = np.array_equal(pixels, np.round(pixels))
    fits = whole and pixels.min() >= 0 and pixels.max() < 2**16
    return pixels.astype(np.uint16) if fits else pixels.astype(np.float32)


COLUMNS = (
    "image path frame subject landmark status x y reader decided model model_x model_y "
    "moved_mm position_lps_x position_lps_y position_lps_z"
).split()


def write_points(selection: Selection, output: OutputFolder) -> int:
    """Writes all points as a table, a row for each; it has the paths of the images.

    Returns:
        How many there are.
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
    """Where a point lies in the patient (LPS), in mm; None where nothing tells it."""
    position, orientation = (
        json.loads(point[name]) for name in ("position", "orientation")
    )
    if position is None or orientation is None or point["x"] is None:
        return None
    step = np.array([point["spacing_x"], point["spacing_y"]])
    at = np.array([point["x"], point["y"]]) * step
    place = np.array(position) + at @ np.reshape(orientation, (2, 3))
    return tuple(place.tolist())
