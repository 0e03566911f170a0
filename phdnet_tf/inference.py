"""Landmarks of images, by an exported model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from phdnet_tf.confidence import LEVELS
from phdnet_tf.dicom import MRImage
from phdnet_tf.serving import (
    load_description,
    load_signatures,
    require_recognition,
    resolve_version,
    what_is_wrong,
)

RADIUS_NAMES = tuple(f"{100 * level:.0f}" for level in LEVELS)
"""What the error radii are called: their probability in per cent."""


@dataclass(frozen=True)
class Landmark:
    """A located landmark.

    Attributes:
        name: Of the landmark, for example "lv_apex".
        x: Column, in pixels of the image; 0 is the centre of the first.
        y: Row, in pixels of the image; 0 is the centre of the first.
        confidence: Height of the smoothed map's peak, of test-time augmentation the
            mean of several; 0 or more, no unit.
        high_confidence: Whether it reaches the model's threshold for this landmark.
        error_radius_mm: Radii around the point, in mm, that hold the true landmark with
            the probability, in per cent, that is their name: "50", "90" and "95".
        position_lps: (x, y, z) in patient space, in mm; None if the file tells no
            place.
        jump_mm: In a cine, the distance to where the phases before and after make it
            expected, in mm; None elsewhere.
        frame_confidence: In a cine, the confidence before a jump lowered it.
    """

    name: str
    x: float
    y: float
    confidence: float
    high_confidence: bool
    error_radius_mm: dict[str, float]
    position_lps: tuple[float, ...] | None = None
    jump_mm: float | None = None
    frame_confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The landmark as JSON has it: what belongs to cines only where it has some."""
        values = dict(vars(self))
        for name in ("jump_mm", "frame_confidence"):
            if values[name] is None:
                del values[name]
        return values


@dataclass(frozen=True)
class Prediction:
    """The landmarks of an image.

    Attributes:
        image: The file, as it was named.
        view: "sa" or "4ch".
        model: Name and version, for example "phdnet_4ch/3".
        pixel_spacing: (between rows, between columns), which is (y, x), in mm.
        recognised: Whether the image looks like those the model was trained for; if
            not, no landmark is high confidence.
        landmarks: One for each that the model knows, in its order.
        origin: What is known of where the image comes from: "frame", its number in a
            multi-frame file; "cine", "phase" and "time_ms", its place in a cine; "uids"
            only if asked for.
    """

    image: str
    view: str
    model: str
    pixel_spacing: tuple[float, float]
    recognised: bool
    landmarks: tuple[Landmark, ...]
    origin: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The prediction as `phdnet-tf predict --format json` prints it."""
        return {
            "image": self.image,
            **self.origin,
            "view": self.view,
            "model": self.model,
            "pixel_spacing_mm": list(self.pixel_spacing),
            "recognised": self.recognised,
            "landmarks": [landmark.to_dict() for landmark in self.landmarks],
        }


class RefusedImageError(ValueError):
    """An image that the model refuses: what is wrong with it."""


class ServerDownError(ValueError):
    """A server that does not answer: where, and what to do."""


class NotServedError(ValueError):
    """A model, a version or a label that the server does not have."""


class Locator(Protocol):
    """What locates landmarks: a model on disk (`Predictor`) or on a server (`Client`).

    Attributes:
        view: "sa" or "4ch".
        landmarks: Names of the L landmarks, in the order of every output.
        name: Name and version, for example "phdnet_4ch/3".
        at_once: How many images `predict_many` should be given.
    """

    view: str
    landmarks: tuple[str, ...]
    name: str
    at_once: int

    def predict(self, image: MRImage, name: str = "") -> Prediction:
        """Locates the landmarks of one image; see `Predictor.predict`."""

    def predict_many(
        self, images: Sequence[MRImage], names: Sequence[str]
    ) -> list[Prediction | RefusedImageError]:
        """Locates the landmarks of images; one that is refused is an answer, too."""

    def candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        """The smoothed candidate maps; see `Predictor.candidate_maps`."""


def make_prediction(
    locator: Locator, outputs: Mapping[str, np.ndarray], image: MRImage, name: str
) -> Prediction:
    """A prediction from what the model gives for one image.

    Args:
        locator: Whose view, name and landmarks are told.
        outputs: "landmarks" float32[L, 2], "confidence" float32[L], "high_confidence"
            bool[L], "error_radius_mm" float32[L, 3] and "recognised", bool.
        image: The image.
        name: What the prediction calls it.

    Returns:
        The prediction.
    """
    places = image.patient_positions(outputs["landmarks"])
    points = zip(
        locator.landmarks,
        outputs["landmarks"],
        outputs["confidence"],
        outputs["high_confidence"],
        outputs["error_radius_mm"].tolist(),
        [None] * len(locator.landmarks) if places is None else places.tolist(),
        strict=True,
    )
    return Prediction(
        image=name,
        view=locator.view,
        model=locator.name,
        pixel_spacing=image.pixel_spacing,
        recognised=bool(outputs["recognised"]),
        landmarks=tuple(
            Landmark(
                name=landmark,
                x=float(x),
                y=float(y),
                confidence=float(confidence),
                high_confidence=bool(high),
                error_radius_mm=dict(zip(RADIUS_NAMES, radii, strict=True)),
                position_lps=None if place is None else tuple(place),
            )
            for landmark, (x, y), confidence, high, radii, place in points
        ),
    )


class Predictor:
    """An exported model, ready to locate landmarks.

    Args:
        path: A model folder, such as `models/phdnet_sa`, whose newest version is taken,
            or the folder of a version.

    Attributes:
        version: Folder of the version that was loaded.
        description: What its `phdnet.json` says.
        view: "sa" or "4ch".
        landmarks: Names of the L landmarks, in the order of every output.
        name: Name and version, for example "phdnet_4ch/3".

    Raises:
        ValueError: If there is no usable model.
    """

    at_once = 1  # More use more memory, and on a CPU take no less time.

    def __init__(self, path: Path) -> None:
        """Loads the model; see the class."""
        self.version = resolve_version(Path(path))
        self.description = load_description(self.version)
        self.view: str = self.description["view"]
        self.landmarks: tuple[str, ...] = tuple(self.description["landmarks"])
        folder = self.version.resolve()
        self.name = f"{folder.parent.name}/{folder.name}"
        self._signatures = load_signatures(self.version)
        require_recognition(self._signatures, self.version)

    def predict(self, image: MRImage, name: str = "") -> Prediction:
        """Locates the landmarks of one image.

        Args:
            image: The image, as `dicom.read_image` returns it.
            name: What the prediction calls the image.

        Returns:
            The prediction.

        Raises:
            RefusedImageError: If the model refuses the image.
        """
        return make_prediction(self, self._run("serving_default", image), image, name)

    def predict_many(
        self, images: Sequence[MRImage], names: Sequence[str]
    ) -> list[Prediction | RefusedImageError]:
        """Locates the landmarks of images, one after the other.

        Args:
            images: The images.
            names: What the predictions call them.

        Returns:
            For each image its prediction, or why the model refuses it.
        """
        found: list[Prediction | RefusedImageError] = []
        for image, name in zip(images, names, strict=True):
            try:
                found.append(self.predict(image, name))
            except RefusedImageError as error:
                found.append(error)
        return found

    def candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        """Where the network sees each landmark.

        Args:
            image: The image, as `dicom.read_image` returns it.

        Returns:
            float32[L, h, w], the smoothed candidate maps (equation 3), 128 x 128, or
            the heatmaps of a network without candidates, of the first look, and
            float32[L, 2, 2], the (x, y) of each map's first and last pixel, in pixels
            of the image.
        """
        found = self._run("explain", image)
        return found["candidate_map"], found["candidate_corners"]

    def _run(self, signature: str, image: MRImage) -> dict[str, np.ndarray]:
        try:
            outputs = self._signatures[signature](
                image=image.pixels[None].astype(np.float32),
                pixel_spacing=np.array([image.pixel_spacing], np.float32),
            )
        except tf.errors.InvalidArgumentError as error:
            raise RefusedImageError(what_is_wrong(error)) from error
        return {name: value.numpy()[0] for name, value in outputs.items()}
