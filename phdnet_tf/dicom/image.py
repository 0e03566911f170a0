"""An image, with what is needed to measure in it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MRImage:
    """One greyscale image, with what is needed to measure in it. It has no identity.

    Attributes:
        pixels: float32[H, W], values after the modality LUT, bright = signal.
        pixel_spacing: DICOM's order (between rows, between columns) = (y, x), in mm.
        position: Centre of the top-left pixel in patient space (LPS), in mm; None if
            the file does not give it.
        orientation: Six direction cosines in patient space: three of the direction in
            which x grows, then three of that in which y grows; or None.
        token: Hash that identifies the data set it was read from, and reveals nothing
            of it; see `Sandbox.identity`.
        header: Hash that identifies the file's attributes; see `read.header_token`.
    """

    pixels: np.ndarray
    pixel_spacing: tuple[float, float]
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    token: str = ""
    header: str = ""

    def content_hash(self) -> str:
        """A hash of the image's content. Re-saved and anonymised copies have the same.

        It is the SHA-256, in hexadecimal digits, of size (H, W) as int32, pixel spacing
        (y, x) as float64 and pixels as float32, all little endian.
        """
        digest = hashlib.sha256(np.array(self.pixels.shape, "<i4").tobytes())
        digest.update(np.array(self.pixel_spacing, "<f8").tobytes())
        # Adding zero makes -0, which a rescale may leave, a plain 0.
        digest.update((self.pixels + 0).astype("<f4").tobytes())
        return digest.hexdigest()

    def patient_positions(self, points: np.ndarray) -> np.ndarray | None:
        """Positions of the image's points in the patient; see `patient_positions`."""
        return patient_positions(
            points, self.pixel_spacing, self.position, self.orientation
        )


def patient_positions(
    points: np.ndarray,
    pixel_spacing: tuple[float, float],
    position: Sequence[float] | None,
    orientation: Sequence[float] | None,
) -> np.ndarray | None:
    """Positions of an image's points in the patient (PS3.3, C.7.6.2.1.1).

    Args:
        points: float[..., 2], (x, y), pixels of the image.
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        position: As of `MRImage`.
        orientation: Likewise.

    Returns:
        float64[..., 3] in patient space (LPS), in mm: x to the patient's left, y to the
        back, z to the head. None if there is no position, or no orientation, or its
        directions are not at right angles.
    """
    axes = None if orientation is None else right_angles(orientation)
    if position is None or axes is None:
        return None
    # (y, x), as DICOM has it; the points are (x, y).
    step = np.array(pixel_spacing[::-1])
    return np.array(position) + np.asarray(points, float) * step @ axes


def right_angles(orientation: Sequence[float] | np.ndarray) -> np.ndarray | None:
    """Directions of an image's x and y, if they are valid.

    Args:
        orientation: Six direction cosines, those of x first.

    Returns:
        float64[2, 3]. None if they do not have length 1, or are not at right angles.
    """
    axes = np.reshape(np.asarray(orientation, float), (2, 3))
    return axes if np.allclose(axes @ axes.T, np.eye(2), atol=0.01) else None
