"""Facts that are kept of each image, and problems of single images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from phdnet_tf.datasets.folder.problems import Problem, error_at, warning_at
from phdnet_tf.datasets.folder.table import Row
from phdnet_tf.dicom.guards import MAX_INTENSITY, MIN_SIDE
from phdnet_tf.dicom.image import MRImage

# Cardiac MR has pixels of about 0.6 to 2.5 mm.
USUAL_SPACING = (0.4, 3.0)


@dataclass(frozen=True)
class ImageFacts:
    """Facts of an image that are kept when its pixels are not.

    Attributes:
        height: H, rows of pixels.
        width: W, columns of pixels.
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        orientation: Six direction cosines in patient space: three of x, then three of
            y. None if the file has none.
        content_hash: The result of `MRImage.content_hash`.
    """

    height: int
    width: int
    pixel_spacing: tuple[float, float]
    orientation: tuple[float, ...] | None
    content_hash: str


def image_problems(row: Row, image: MRImage) -> Iterator[Problem]:
    """Errors of images that no model takes, and warnings of unusual ones."""
    height, width = image.pixels.shape
    if min(height, width) < MIN_SIDE:
        yield error_at(
            row.id,
            row.line,
            f"expected {MIN_SIDE} rows and columns or more. Received: {height} x "
            f"{width}. Remove the row.",
        )
    largest = np.abs(image.pixels).max()
    if largest >= MAX_INTENSITY:
        yield error_at(
            row.id,
            row.line,
            f"expected intensities below {MAX_INTENSITY:g}. Received: {largest:g}. "
            "Correct RescaleSlope and RescaleIntercept in the file, or remove the row.",
        )
    low, high = USUAL_SPACING
    if not all(low <= spacing <= high for spacing in image.pixel_spacing):
        y, x = image.pixel_spacing
        yield warning_at(
            row.id,
            row.line,
            f"expected a pixel spacing of {low:g} to {high:g} mm, as cardiac MR has. "
            f"Received: {y:g} x {x:g} mm. Every distance depends on it. Compare it "
            "with the scanner's value.",
        )
    if image.pixels.min() == image.pixels.max():
        yield warning_at(
            row.id, row.line, "all pixels are equal. Check whether it is an image."
        )


def twin_problems(
    rows: Mapping[str, Row], images: Mapping[str, ImageFacts]
) -> Iterator[Problem]:
    """Warns of identical images, once for each pair of subjects.

    Args:
        rows: The rows, by their id.
        images: The images, by the id of their row.
    """
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
        example = f"has the same pixels as {first.id} (row {first.line})"
        if len(found) > 1:
            example += f", and {len(found) - 1} more of their images are identical"
        if subject == other_subject:
            consequence = f"subject {subject} has an image twice. Keep only one."
        else:
            consequence = (
                f"subjects {subject} and {other_subject} share a scan. They are kept "
                "in one fold. If they are one person, give them one name."
            )
        yield warning_at(other.id, other.line, f"{example}: {consequence}")
