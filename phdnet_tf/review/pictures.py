"""Reads the pixels of a project's images for the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.inference.results import Locator
from phdnet_tf.review.project import Project


class ChangedImageError(ValueError):
    """The image on disk has changed since it was reviewed."""


@dataclass(frozen=True)
class Raw:
    """Pixels in full depth.

    Attributes:
        kind: Type of the pixels: "int16", "uint16" or "float32".
        data: The pixels, little endian, row after row.
    """

    kind: str
    data: bytes


class Pictures:
    """Reads images, and checks that they have not changed.

    Args:
        project: The project.
        sandbox: Reads the files.
        pixel_spacing: (y, x), mm, for files that have none.
        load: Returns the model, for its candidate maps; None without a model.
    """

    def __init__(
        self,
        project: Project,
        sandbox: Sandbox,
        pixel_spacing: tuple[float, float] | None,
        load: Callable[[], Locator] | None = None,
    ) -> None:
        """Reads nothing yet."""
        self._project, self._sandbox = project, sandbox
        self._spacing, self._load = pixel_spacing, load

    def image(self, number: int) -> MRImage:
        """Reads an image.

        Raises:
            KeyError: If there is no such image.
            ChangedImageError: If the image has changed.
            DicomError: If it cannot be read.
        """
        source, frame = self._project.location(number)
        image = self._sandbox.image(source, frame, self._spacing)
        if self._project.describe(number, image) is None:
            raise ChangedImageError(
                f"image {number} has changed on disk, so it is locked and keeps its "
                "old points. Restore the file."
            )
        return image

    def raw(self, number: int) -> Raw:
        """The pixels of an image. Raises the errors of `image`."""
        return encode(self.image(number).pixels)

    def identity(self, number: int) -> dict[str, str]:
        """The patient's identity, for display on request.

        Raises:
            KeyError: If there is no such image.
            DicomError: If it cannot be read.
        """
        source, frame = self._project.location(number)
        whose = self._sandbox.identity(source)
        return {
            "file": f"{source} frame {frame}",
            "name": whose["PatientName"],
            "id": whose["PatientID"],
            "study_date": whose["StudyDate"],
        }

    def reference(self, number: int) -> tuple[dict[str, str], int | None]:
        """What a report needs of an image: the identity, and the frame in the file.

        Raises the errors of `image`.
        """
        source, frame = self._project.location(number)
        row = self._project.store.row("SELECT frames FROM images WHERE id = ?", number)
        # The pixels are compared with what was noted, and so belong to the points.
        whose = self._sandbox.identity(source, self.image(number).token)
        return whose, frame if row and row["frames"] > 1 else None

    def candidate_map(self, number: int, landmark: str) -> tuple[np.ndarray, list]:
        """The candidate map of a landmark: where the model's votes lie.

        Returns:
            uint8[h, w], 255 at the peak, and the (x, y) of the map's first and last
            pixel, in pixels of the image.

        Raises:
            KeyError: If there is no such image or landmark, or no model.
            ValueError: If the model cannot be loaded, or the image cannot be read.
        """
        if self._load is None:
            raise KeyError(landmark)
        locator = self._load()
        index = {name: at for at, name in enumerate(locator.landmarks)}[landmark]
        maps, corners = locator.candidate_maps(self.image(number))
        votes = np.clip(maps[index], 0, None)
        scaled = np.round(votes * (255 / max(float(votes.max()), 1e-9)))
        return scaled.astype(np.uint8), corners[index].tolist()


def encode(pixels: np.ndarray) -> Raw:
    """Pixels in the smallest type that holds every value exactly.

    Args:
        pixels: float32[H, W].
    """
    low, high = pixels.min(), pixels.max()
    if np.array_equal(pixels, np.round(pixels)):
        for kind in (np.int16, np.uint16):
            limits = np.iinfo(kind)
            if limits.min <= low and high <= limits.max:
                return Raw(
                    np.dtype(kind).name,
                    pixels.astype(f"<{kind().dtype.str[1:]}").tobytes(),
                )
    return Raw("float32", pixels.astype("<f4").tobytes())
