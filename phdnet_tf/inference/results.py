"""What is found in an image, and what finds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.turning import turn_to_usual
from phdnet_tf.inference.errors import RefusedImageError
from phdnet_tf.trust.radii import RADIUS_NAMES


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
        reviewed: What a reader said of it, such as "accepted by Ada"; None where nobody
            has. A point that a reader has placed has no error radii.
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
    reviewed: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The landmark as JSON has it: what belongs to some only where there is any."""
        values = dict(vars(self))
        for name in ("jump_mm", "frame_confidence", "reviewed"):
            if values[name] is None:
                del values[name]
        return values


@dataclass(frozen=True)
class Prediction:
    """The landmarks of an image.

    Attributes:
        image: The file, as it was named.
        view: Name of its view.
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


class Locator(Protocol):
    """What locates landmarks: a model on disk (`Predictor`) or on a server (`Client`).

    Attributes:
        view: Name of its view.
        landmarks: Names of the L landmarks, in the order of every output.
        name: Name and version, for example "phdnet_4ch/3".
        usual_orientations: How images of its view usually lie; see `dicom.turning`.
        at_once: How many images `predict_many` should be given.
    """

    view: str
    landmarks: tuple[str, ...]
    name: str
    usual_orientations: Sequence[Sequence[float]]
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
        outputs: Of the image as `turn_to_usual` turns it: "landmarks" float32[L, 2],
            "confidence" float32[L], "high_confidence"
            bool[L], "error_radius_mm" float32[L, 3] and "recognised", bool.
        image: The image.
        name: What the prediction calls it.

    Returns:
        The prediction.
    """
    turn = turn_to_usual(image.orientation, locator.usual_orientations)
    in_image = turn.back(outputs["landmarks"], image.pixels.shape)
    places = image.patient_positions(in_image)
    points = zip(
        locator.landmarks,
        in_image,
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


def maps_of_image(
    locator: Locator, outputs: Mapping[str, np.ndarray], image: MRImage
) -> tuple[np.ndarray, np.ndarray]:
    """Candidate maps as they lie in an image, of those that the model gives for it.

    Args:
        locator: The model.
        outputs: Of the signature "explain", of the image as `turn_to_usual` turns it:
            "candidate_map" float32[L, h, w], "candidate_corners" float32[L, 2, 2].
        image: The image.

    Returns:
        What `Predictor.candidate_maps` says.
    """
    turn = turn_to_usual(image.orientation, locator.usual_orientations)
    maps = outputs["candidate_map"]
    # Where the axes run backwards, the corners tell it.
    return (
        maps.swapaxes(1, 2) if turn.transposed else maps,
        turn.back(outputs["candidate_corners"], image.pixels.shape),
    )
