"""Predictions, and the protocol of the models that make them."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.turning import turn_to_usual
from phdnet_tf.inference.errors import RefusedImageError
from phdnet_tf.trust.radii import RADIUS_NAMES

POINTS = (
    *("landmarks", "confidence", "high_confidence", "error_radius_mm"),
    "recognised",
)
USED = {
    "serving_default": POINTS,
    "png": POINTS,
    "explain": ("candidate_map", "candidate_corners"),
}
"""For each signature of a model, the outputs that `make_prediction` and `maps_of_image`
use."""


@dataclass(frozen=True)
class Landmark:
    """A located landmark.

    Attributes:
        name: Name of the landmark, for example "lv_apex".
        x: Column, in pixels of the image; 0 is the centre of the first column.
        y: Row, in pixels of the image; 0 is the centre of the first row.
        confidence: Height of the smoothed map's peak, or its mean over the looks of
            test-time augmentation; 0 or more, no unit.
        high_confidence: Whether it reaches the model's threshold for this landmark.
        error_radius_mm: Radii around the point, in mm, by the probability with which
            they hold the true landmark, in per cent: "50", "90" and "95".
        position_lps: (x, y, z) in patient space, in mm; None if the file gives no
            position.
        jump_mm: In a cine, the distance to the point expected from the phases before
            and after, in mm; otherwise None.
        frame_confidence: In a cine, the confidence before a jump lowered it.
        reviewed: Result of the review, such as "accepted by Ada"; None without review.
            A point that a reader has placed has no error radii.
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
        """The landmark as JSON values.

        "position_lps" is None if the file gives no position. The values of cines and of
        a review are left out where there are none.
        """
        values = dict(vars(self))
        for name in ("jump_mm", "frame_confidence", "reviewed"):
            if values[name] is None:
                del values[name]
        return values


@dataclass(frozen=True)
class Prediction:
    """The landmarks of an image.

    Attributes:
        image: Name of the file, as it was given.
        view: Name of its view.
        model: Name and version, for example "phdnet_4ch/3".
        pixel_spacing: (between rows, between columns), which is (y, x), in mm.
        recognised: Whether the image looks like those the model was trained on. If not,
            no landmark is high confidence.
        landmarks: One for each landmark of the model, in the model's order.
        origin: Where the image comes from: "frame", its number in a multi-frame file;
            "cine", "phase" and "time_ms", its place in a cine; "uids" only on request.
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
    """A model that locates landmarks: on disk (`Predictor`) or on a server (`Client`).

    Attributes:
        view: Name of its view.
        landmarks: Names of the L landmarks, in the order of every output.
        name: Name and version, for example "phdnet_4ch/3".
        usual_orientations: Usual orientations of its view; see `dicom.turning`.
        at_once: Best number of images for a call of `predict_many`.
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
        """Locates the landmarks of several images; see `Predictor.predict_many`."""

    def candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        """The smoothed candidate maps; see `Predictor.candidate_maps`."""


def other_version(
    place: object, model: str, signature: str, outputs: Container[str]
) -> str:
    """The message for a model of another version of phdnet-tf.

    Args:
        place: Where the model is: its folder, or its server.
        model: Its name and version.
        signature: One of `USED`.
        outputs: Names of its outputs; none if the model lacks the signature.

    Returns:
        The message; empty if no output is missing.
    """
    for output in USED[signature]:
        if output not in outputs:
            return (
                f"{place}: expected {model} to answer as models of this version of "
                f"phdnet-tf do. Received no {output!r}. Use a model of this version, "
                "or the version of phdnet-tf that exported this one."
            )
    return ""


def make_prediction(
    locator: Locator, outputs: Mapping[str, np.ndarray], image: MRImage, name: str
) -> Prediction:
    """Makes a prediction from the model's outputs for one image.

    Args:
        locator: The model, for its view, name and landmarks.
        outputs: Outputs for the image as `turn_to_usual` turns it: "landmarks"
            float32[L, 2], "confidence" float32[L], "high_confidence" bool[L],
            "error_radius_mm" float32[L, 3] and "recognised", bool.
        image: The image, before turning.
        name: Name of the image in the prediction.

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
    """Turns the candidate maps of a turned image back to the original image.

    Args:
        locator: The model.
        outputs: Outputs of the signature "explain" for the image as `turn_to_usual`
            turns it: "candidate_map" float32[L, h, w], "candidate_corners"
            float32[L, 2, 2].
        image: The image, before turning.

    Returns:
        As `Predictor.candidate_maps`.
    """
    turn = turn_to_usual(image.orientation, locator.usual_orientations)
    maps = outputs["candidate_map"]
    # Where the axes run backwards, the corners tell it.
    return (
        maps.swapaxes(1, 2) if turn.transposed else maps,
        turn.back(outputs["candidate_corners"], image.pixels.shape),
    )
