"""Writes predictions as JSON, CSV and 3D Slicer's markups."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from phdnet_tf.inference.many_images import Done
    from phdnet_tf.inference.results import Prediction


PRINTED = ("table", "json", "csv")
"""Formats that can be printed. All others are files."""

FORMATS = (*PRINTED, "png", "gif", "tracks", "sr", "slicer")
DEFAULTS = {"json", "csv", "png", "gif", "tracks"}
"""Formats that are written by default."""

SLICER_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)

COLUMNS = (
    "image view model landmark x y confidence high_confidence recognised "
    "error_radius_50_mm error_radius_90_mm error_radius_95_mm position_lps_x "
    "position_lps_y position_lps_z frame cine phase time_ms jump_mm"
).split()
UID_COLUMNS = ("study", "series", "instance")


def write_json(results: Sequence[Prediction | dict[str, str]], stream: TextIO) -> None:
    """Writes predictions as a list of objects.

    Args:
        results: Predictions, and the error objects of images that could not be read.
        stream: Text file.
    """
    plain: list[Any] = [r if isinstance(r, dict) else r.to_dict() for r in results]
    json.dump(plain, stream, indent=2)
    stream.write("\n")


def write_csv(results: Sequence[Prediction | dict[str, str]], stream: TextIO) -> None:
    """Writes predictions as a table with one row per landmark.

    Args:
        results: As for `write_json`. Images that could not be read have no row.
        stream: Text file, opened with `newline=""`.
    """
    predictions = [r for r in results if not isinstance(r, dict)]
    with_uids = any("uids" in prediction.origin for prediction in predictions)
    writer = csv.writer(stream)
    writer.writerow([*COLUMNS, *(f"{name}_uid" for name in UID_COLUMNS if with_uids)])
    for prediction in predictions:
        origin = prediction.origin
        for landmark in prediction.landmarks:
            row: list[Any] = [prediction.image, prediction.view, prediction.model]
            row += [landmark.name, landmark.x, landmark.y, landmark.confidence]
            row += [int(landmark.high_confidence), int(prediction.recognised)]
            row += landmark.error_radius_mm.values()
            row += landmark.position_lps or ("", "", "")
            row += [origin.get(name, "") for name in ("frame", "cine", "phase")]
            row += [origin.get("time_ms", "")]
            row += ["" if landmark.jump_mm is None else landmark.jump_mm]
            if with_uids:
                row += [origin.get("uids", {}).get(name, "") for name in UID_COLUMNS]
            writer.writerow(row)


def write_cines(done: Sequence[Done], stream: TextIO) -> None:
    """Writes the tracks of cines as a list of objects.

    Args:
        done: The jobs. Those without tracks are left out.
        stream: Text file.
    """
    cines = [
        {
            "cine": each.job.number,
            "image": str(each.job.cine.frames[0].file.source),
            "view": each.job.view,
            "phases": len(each.job.cine.frames),
            "heart_beat_ms": each.job.cine.heart_beat,
            "not_recognised_phases": [
                frame.phase
                for frame, found in zip(each.frames, each.predictions, strict=True)
                if not found.recognised
            ],
            "landmarks": [track.summary() for track in each.tracks],
        }
        for each in done
        if each.tracks
    ]
    json.dump(cines, stream, indent=2)
    stream.write("\n")


def write_markups(prediction: Prediction, stream: TextIO) -> None:
    """Writes the landmarks of an image as a list of points for 3D Slicer.

    Args:
        prediction: The prediction. All its landmarks need a position in the patient.
        stream: Text file.

    Raises:
        ValueError: If a position is missing.
    """
    points = []
    for number, landmark in enumerate(prediction.landmarks, 1):
        if landmark.position_lps is None:
            raise ValueError(
                f"{prediction.image}: has no position in the patient, so nothing can "
                "be written for 3D Slicer. Use --format json, in pixels."
            )
        level = "high confidence" if landmark.high_confidence else "LOW: check by hand"
        if not prediction.recognised:
            level = f"NOT RECOGNISED as {prediction.view}"
        description = landmark.reviewed or (
            f"confidence {landmark.confidence:.3g}, {level}; 90 % within "
            f"{landmark.error_radius_mm['90']:.1f} mm"
        )
        points.append(
            {
                "id": str(number),
                "label": landmark.name,
                "description": description,
                "associatedNodeID": "",
                "position": list(landmark.position_lps),
                "orientation": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                # Slicer draws what is not selected in another colour.
                "selected": landmark.high_confidence,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined",
            }
        )
    # Slicer lists them by name, those of all phases together.
    places = [
        f"{key} {prediction.origin[key]}"
        for key in ("cine", "phase", "frame")
        if key in prediction.origin
    ]
    markup = {
        "type": "Fiducial",
        "name": " ".join([prediction.model, prediction.view, *places]),
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "controlPoints": points,
    }
    json.dump({"@schema": SLICER_SCHEMA, "markups": [markup]}, stream, indent=2)
    stream.write("\n")
