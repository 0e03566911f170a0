"""Predictions as the rows of a part file, and errors as those of `errors.parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from phdnet_tf.batch.index import sync
from phdnet_tf.inference.many_images import Done
from phdnet_tf.trust.radii import RADIUS_NAMES

PIXEL_DECIMALS = 3
"""Positions in pixels, and lengths in mm, are written to a thousandth."""

CONFIDENCE_DECIMALS = 4

SCHEMA = pa.schema(
    [
        ("study", pa.string()),
        ("image", pa.string()),
        ("frame", pa.int32()),
        ("content_hash", pa.string()),
        ("cine", pa.int32()),
        ("phase", pa.int32()),
        ("view", pa.string()),
        ("landmark", pa.string()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        *((f"position_{axis}", pa.float64()) for axis in "xyz"),
        ("confidence", pa.float64()),
        ("high_confidence", pa.bool_()),
        *((f"radius_{name}_mm", pa.float64()) for name in RADIUS_NAMES),
        ("recognised", pa.bool_()),
        ("model", pa.string()),
    ]
)

ERRORS = pa.schema([(n, pa.string()) for n in ("study", "file", "reason")])


def rows(study: str, done: Done) -> Iterator[dict[str, Any]]:
    """One row a landmark of a cine.

    What two machines compute, or one image and several at once, differs behind the
    digits that are written: 0.001 pixels, 0.001 mm and 0.0001 of the confidence.

    Args:
        study: Key of the study.
        done: The cine.

    Yields:
        Values by the names of `SCHEMA`: x and y in pixels of the image, (0, 0) the
        centre of the top-left one; position_x, _y and _z in patient space (LPS), in
        mm, None where the file tells no place; radii in mm.
    """
    for frame, prediction in zip(done.frames, done.predictions, strict=True):
        for landmark in prediction.landmarks:
            place: Sequence[float | None] = landmark.position_lps or (None,) * 3
            radii = landmark.error_radius_mm
            yield {
                "study": study,
                "image": str(frame.file.source),
                "frame": frame.number,
                "content_hash": frame.content,
                "cine": done.job.number,
                "phase": frame.phase,
                "view": prediction.view,
                "landmark": landmark.name,
                "x": _rounded(landmark.x),
                "y": _rounded(landmark.y),
                **{
                    f"position_{axis}": _rounded(value)
                    for axis, value in zip("xyz", place, strict=True)
                },
                "confidence": round(landmark.confidence, CONFIDENCE_DECIMALS),
                "high_confidence": landmark.high_confidence,
                **{f"radius_{n}_mm": _rounded(radii[n]) for n in RADIUS_NAMES},
                "recognised": prediction.recognised,
                "model": prediction.model,
            }


def write(path: Path, schema: pa.Schema, values: Sequence[dict[str, Any]]) -> None:
    """Writes rows to a Parquet file, and has them on the disk.

    Raises:
        OSError: If it cannot be written.
    """
    table = pa.Table.from_pylist(list(values), schema)
    parquet.write_table(table, path, compression="zstd")
    sync(path)


def error_rows(errors: Iterable[Sequence[str | None]]) -> list[dict[str, Any]]:
    """Study key, file and reason of each error as rows."""
    return [dict(zip(ERRORS.names, each, strict=True)) for each in errors]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, PIXEL_DECIMALS)
