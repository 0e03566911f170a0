"""Turns images with an unusual orientation to the usual one, and points back.

A network learns positions *in a picture*: if it has seen only short axes with the right
ventricle at the left, it finds it nowhere else. An image may be turned by right angles
or mirrored. If its header says so, the image is turned to the orientation, of eight,
that is nearest to that of the training images.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from phdnet_tf.dicom.image import MRImage, right_angles

AXIAL_DEGREES = 1.0
"""How far a plane may lie from the axial one and count as axial, in degrees."""


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to turn an image by right angles, or mirror it.

    First the image's axes are exchanged, then their directions are reversed.

    Attributes:
        transposed: Whether x and y are exchanged.
        reversed_x: Whether columns then come in the opposite order.
        reversed_y: Whether rows then come in the opposite order.
    """

    transposed: bool = False
    reversed_x: bool = False
    reversed_y: bool = False

    def pixels(self, own: np.ndarray) -> np.ndarray:
        """The turned picture, [H, W], or [W, H] if it is transposed.

        Args:
            own: [H, W], pixels of the original image.
        """
        turned = own.T if self.transposed else own
        turned = turned[
            :: -1 if self.reversed_y else 1, :: -1 if self.reversed_x else 1
        ]
        return np.ascontiguousarray(turned)

    def spacing(self, own: Sequence[float] | np.ndarray) -> tuple[float, float]:
        """The turned picture's pixel spacing, (y, x), from the image's own, (y, x)."""
        y, x = own
        return (x, y) if self.transposed else (y, x)

    def points(self, own: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Converts points of the original image to points of the turned picture.

        Args:
            own: float[..., 2], (x, y), pixels of the original image.
            shape: (H, W) of the original image.

        Returns:
            float[..., 2], (x, y), pixels of the turned picture.
        """
        return self._reversed(own[..., ::-1] if self.transposed else own, shape)

    def back(self, turned: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Converts points of the turned picture to points of the original image.

        Args:
            turned: float[..., 2], (x, y), pixels of the turned picture.
            shape: (H, W) of the original image.

        Returns:
            float[..., 2], (x, y), pixels of the original image.
        """
        points = self._reversed(turned, shape)
        return points[..., ::-1] if self.transposed else points

    def _reversed(self, points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        height, width = shape[::-1] if self.transposed else shape
        if self.reversed_x:
            points = points * [-1, 1] + [width - 1, 0]
        if self.reversed_y:
            points = points * [1, -1] + [0, height - 1]
        return points.astype(np.float32)

    def axes(self, own: np.ndarray) -> np.ndarray:
        """Directions of the turned picture's x and y, float[2, 3], from the image's."""
        signs = [-1 if reverse else 1 for reverse in (self.reversed_x, self.reversed_y)]
        return (own[::-1] if self.transposed else own) * np.array(signs)[:, None]

    def image(self, own: MRImage) -> MRImage:
        """The turned image. Its points keep their positions in the patient."""
        position = orientation = None
        if own.orientation is not None:
            axes = self.axes(np.reshape(own.orientation, (2, 3)))
            orientation = tuple(axes.ravel().tolist())
        corner = own.patient_positions(self.back(np.zeros(2), own.pixels.shape))
        if corner is not None:
            position = tuple(corner.tolist())
        return replace(
            own,
            pixels=self.pixels(own.pixels),
            pixel_spacing=self.spacing(own.pixel_spacing),
            position=position,
            orientation=orientation,
        )


TURNS = tuple(
    Turn(*which)
    for which in itertools.product((False, True), (False, True), (False, True))
)
"""All eight turns. The first does not change an image."""


def turn_to_usual(
    orientation: Sequence[float] | np.ndarray | None, usual: Sequence[Sequence[float]]
) -> Turn:
    """The turn that brings an image nearest to the usual orientation of its view.

    Args:
        orientation: Six direction cosines in patient space, those of x first; or None.
        usual: Usual orientations, in the same form. If there are several, the one whose
            plane is nearest to the image's is used. One that is axial is what a
            converter writes that knows no better, and is only used for such an image.

    Returns:
        The turn. An image does not change if its header has no orientation, or
        directions that are not at right angles, or if its view has no usual one.
    """
    axes = None if orientation is None else right_angles(orientation)
    if axes is None or not len(usual):
        return TURNS[0]
    normal = np.cross(*axes)
    planes = [np.reshape(each, (2, 3)) for each in usual]
    if not _is_axial(axes):
        planes = [plane for plane in planes if not _is_axial(plane)] or planes
    nearest = max(planes, key=lambda plane: abs(np.cross(*plane) @ normal))
    return max(TURNS, key=lambda turn: (turn.axes(axes) * nearest).sum())


def _is_axial(axes: np.ndarray) -> bool:
    across = np.linalg.norm(np.cross(*axes)[:2])
    return bool(across < np.sin(np.radians(AXIAL_DEGREES)))
