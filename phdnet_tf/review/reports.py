"""Exports reviewed points as reports for a PACS, and as markups for 3D Slicer."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path

from phdnet_tf.files import OutputFolder
from phdnet_tf.inference.results import Landmark, Prediction
from phdnet_tf.outputs.formats import write_markups
from phdnet_tf.review.export import Selection, place_of
from phdnet_tf.review.pictures import Pictures
from phdnet_tf.review.project import Project


def predictions(project: Project, selection: Selection) -> dict[int, Prediction]:
    """The reviewed points in the form of predictions, for the same writers.

    Absent points are left out, and images without any point.

    Returns:
        The predictions, by the number of the image. Points that a reader has placed
        have no radii.
    """
    found = {}
    for image, own in sorted(selection.images.items()):
        placed = [
            own[name]
            for name in project.landmarks
            if name in own and own[name]["status"] != "absent"
        ]
        if placed:
            first = placed[0]
            origin = {"frame": first["frame"]} if first["frames"] > 1 else {}
            found[image] = Prediction(
                image=f"image {image}",
                view=project.view,
                model=first["model"] or "no model",
                pixel_spacing=(first["spacing_y"], first["spacing_x"]),
                recognised=True,
                landmarks=tuple(map(_landmark, placed)),
                origin=origin,
            )
    return found


def _landmark(point: sqlite3.Row) -> Landmark:
    kept = point["status"] == "accepted" and point["px"] is not None
    said = "decided" if point["role"] == "judge" else point["status"]
    return Landmark(
        name=point["landmark"],
        x=point["x"],
        y=point["y"],
        confidence=point["confidence"] if kept else 0.0,
        high_confidence=bool(point["high"]) if kept else True,
        error_radius_mm={name: point[f"r{name}"] for name in ("50", "90", "95")}
        if kept
        else {},
        position_lps=place_of(point),
        reviewed=f"{said} by {point['reader']}",
    )


def write_slicer(
    project: Project, selection: Selection, output: OutputFolder
) -> tuple[int, list[str]]:
    """Writes a markup file for each image.

    Returns:
        Number of files, and a line for each image without a file.
    """
    count, lines = 0, []
    for image, prediction in predictions(project, selection).items():
        target = output.folder / f"image_{image:06d}.mrk.json"
        try:
            with output.whole_file(target) as path, path.open("w") as stream:
                write_markups(prediction, stream)
            count += 1
        except ValueError as error:
            target.unlink(missing_ok=True)
            lines.append(str(error))
    return count, lines


def write_reports(
    project: Project,
    selection: Selection,
    pictures: Pictures,
    output: OutputFolder,
    verified_as: tuple[str, str] | None,
    previous: Path | None,
) -> tuple[int, list[str]]:
    """Writes a report for each cine and still.

    Args:
        project: The project.
        selection: The points.
        pictures: Reads the identity of the images.
        output: The folder.
        verified_as: Name and organization of the person who has verified all points, or
            None.
        previous: Folder of the reports that these replace, with the same names.

    Returns:
        Number of reports, and a line for each image that is in no report.
    """
    # highdicom takes a second to import.
    from phdnet_tf.outputs.structured_report import Reported, Verification, save_report

    cines: dict[int, list[int]] = defaultdict(list)
    found = predictions(project, selection)
    for row in project.store.rows("SELECT id, cine FROM images ORDER BY cine, phase"):
        if row["id"] in found:
            cines[row["cine"]].append(row["id"])
    count, lines = 0, []
    for cine, images in cines.items():
        name = f"cine_{cine:06d}-sr.dcm"
        old = previous / name if previous else None
        verification = None
        if verified_as:
            replaced = old if old and old.is_file() else None
            verification = Verification(*verified_as, replaced)
        try:
            reported = [
                Reported(found[image], *pictures.reference(image)) for image in images
            ]
            with output.whole_file(output.folder / name) as path:
                save_report(path, reported, True, verification)
            count += 1
        except ValueError as error:
            lines.append(f"images {', '.join(map(str, images))}: {error}")
    return count, lines
