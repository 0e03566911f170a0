"""What is kept of each image, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from phdnet_tf.datasets.folder.problems import Problem, warning_at
from phdnet_tf.datasets.folder.table import Row
from phdnet_tf.dicom.image import MRImage

# Cardiac MR has pixels of about 0.6 to 2.5 mm.
USUAL_SPACING = (0.4, 3.0)


@dataclass(frozen=True)
class ImageFacts:
    """What a look at an image leaves behind.

    Attributes:
        height: H, rows of pixels.
        width: W, columns of pixels.
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        orientation: Six direction cosines in patient space, those of x first; or None.
        content_hash: What `MRImage.content_hash` says.
    """

    height: int
    width: int
    pixel_spacing: tuple[float, float]
    orientation: tuple[float, ...] | None
    content_hash: str


def image_problems(row: Row, image: MRImage) -> Iterator[Problem]:
    """An unusual pixel spacing, or pixels that are all equal."""
    low, high = USUAL_SPACING
    if not all(low <= spacing <= high for spacing in image.pixel_spacing):
        y, x = image.pixel_spacing
        yield warning_at(
            row.id,
            row.line,
            f"expected a pixel spacing of {low:g} to {high:g} mm, as cardiac MR has. "
            f"Received: {y:g} x {x:g} mm. Every distance depends on it: compare it "
            "with the scanner's.",
        )
    if image.pixels.min() == image.pixels.max():
        yield warning_at(row.id, row.line, "all pixels are equal. Is it an image?")


def twin_problems(
    rows: Mapping[str, Row], images: Mapping[str, ImageFacts]
) -> Iterator[Problem]:
    """Images that show the same, one warning a pair of subjects.

    Args:
        rows: By their id.
        images: By the id of their row.
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
        example = f"is pixel for pixel {first.id} (row {first.line})"
        if len(found) > 1:
            example += f", and {len(found) - 1} more of their images are twins"
        if subject == other_subject:
            consequence = f"subject {subject} has an image twice. Keep one of the two."
        else:
            consequence = (
                f"subjects {subject} and {other_subject} share a scan. They are kept "
                "in one fold; if they are one person, give them one name."
            )
        yield warning_at(other.id, other.line, f"{example}: {consequence}")
