"""Landmarks of images, by an exported model."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from phdnet_tf.dicom import MRImage
from phdnet_tf.serving import load_description, load_signatures, resolve_version


@dataclass(frozen=True)
class Landmark:
    """A located landmark.

    Attributes:
        name: Of the landmark, for example "lv_apex".
        x: Column, in pixels of the image; 0 is the centre of the first.
        y: Row, in pixels of the image; 0 is the centre of the first.
        confidence: Height of the smoothed map's peak; 0 or more, no unit.
        high_confidence: Whether it reaches the model's threshold for this landmark.
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
        landmarks: One for each that the model knows, in its order.
        origin: What is known of where the image comes from: "frame", its number in a
            multi-frame file; "cine", "phase" and "time_ms", its place in a cine; "uids"
            only if asked for.
    """

    image: str
    view: str
    model: str
    pixel_spacing: tuple[float, float]
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
            "landmarks": [landmark.to_dict() for landmark in self.landmarks],
        }


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

    def __init__(self, path: Path) -> None:
        """Loads the model; see the class."""
        self.version = resolve_version(Path(path))
        self.description = load_description(self.version)
        self.view: str = self.description["view"]
        self.landmarks: tuple[str, ...] = tuple(self.description["landmarks"])
        folder = self.version.resolve()
        self.name = f"{folder.parent.name}/{folder.name}"
        self._signatures = load_signatures(self.version)

    def predict(self, image: MRImage, name: str = "") -> Prediction:
        """Locates the landmarks of one image.

        Args:
            image: The image, as `dicom.read_image` returns it.
            name: What the prediction calls the image.

        Returns:
            The prediction.
        """
        found = self._run("serving_default", image)
        places = image.patient_positions(found["landmarks"])
        points = zip(
            self.landmarks,
            found["landmarks"],
            found["confidence"],
            found["high_confidence"],
            [None] * len(self.landmarks) if places is None else places.tolist(),
            strict=True,
        )
        return Prediction(
            image=name,
            view=self.view,
            model=self.name,
            pixel_spacing=image.pixel_spacing,
            landmarks=tuple(
                Landmark(
                    name=landmark,
                    x=float(x),
                    y=float(y),
                    confidence=float(confidence),
                    high_confidence=bool(high),
                    position_lps=None if place is None else tuple(place),
                )
                for landmark, (x, y), confidence, high, place in points
            ),
        )

    def candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        """The smoothed candidate map of each landmark (equation 3).

        Args:
            image: The image, as `dicom.read_image` returns it.

        Returns:
            float32[L, 128, 128], whose pixels are 0.9375 mm, and float32[L, 2], the
            (x, y) of each map's top-left pixel, in pixels of the image.
        """
        found = self._run("explain", image)
        return found["candidate_map"], found["candidate_corner"]

    def _run(self, signature: str, image: MRImage) -> dict[str, np.ndarray]:
        outputs = self._signatures[signature](
            image=image.pixels[None].astype(np.float32),
            pixel_spacing=np.array([image.pixel_spacing], np.float32),
        )
        return {name: value.numpy()[0] for name, value in outputs.items()}
