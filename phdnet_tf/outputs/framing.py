"""Chooses the part of an image to show, and names its sides in the patient."""

import numpy as np

from phdnet_tf.dicom.image import right_angles

CLOSE_UP_MM = 125.0
"""Smallest side of a close-up, in mm: a heart and its surroundings."""

MARGIN_MM = 20.0
"""Smallest distance from a point to the side of a close-up, in mm."""

SMALLEST_COMPONENT = 0.35
"""Smallest cosine for which a direction gets an axis's letter: 70 degrees off it."""

LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))
"""The ends of the axes of patient space (LPS), as DICOM names them (C.7.6.1.1.1)."""


def close_up(
    points: np.ndarray, pixel_spacing: tuple[float, float], shape: tuple[int, int]
) -> tuple[float, float, float, float]:
    """A square around points, limited to the image.

    Args:
        points: float[N, 2], (x, y), pixels.
        pixel_spacing: (y, x), mm.
        shape: (H, W) of the image.

    Returns:
        Left, top, right and bottom edge, in pixels; -0.5 is the image's edge. The
        square is moved into the image, and cut if the image is smaller.
    """
    spacing = np.array(pixel_spacing[::-1])
    low, high = points.min(axis=0), points.max(axis=0)
    reach = ((high - low) * spacing).max() + 2 * MARGIN_MM
    side = max(CLOSE_UP_MM, reach) / spacing
    first, last = np.array([-0.5, -0.5]), np.array(shape[::-1]) - 0.5
    start = np.clip((low + high - side) / 2, first, np.maximum(last - side, first))
    left, top = start
    right, bottom = np.minimum(start + side, last)
    return float(left), float(top), float(right), float(bottom)


def side_letters(
    orientation: tuple[float, ...] | None,
) -> tuple[str, str, str, str] | None:
    """The directions of an image's sides: R, L, A, P, F (feet), H (head).

    Args:
        orientation: Six direction cosines, those of x first; None if not known.

    Returns:
        Letters of the left, top, right and bottom side, the main direction first. None
        if they are not known, as where the directions are not at right angles.
    """
    axes = None if orientation is None else right_angles(orientation)
    if axes is None:
        return None
    x, y = axes
    return _letters(-x), _letters(-y), _letters(x), _letters(y)


def _letters(direction: np.ndarray) -> str:
    order = np.argsort(-np.abs(direction))
    return "".join(
        LETTERS[axis][int(direction[axis] > 0)]
        for axis in order
        if abs(direction[axis]) >= SMALLEST_COMPONENT
    )
