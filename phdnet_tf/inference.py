"""Landmarks of DICOM files, by an exported model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phdnet_tf.dicom import DicomError, MRImage, read_image
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
    """

    name: str
    x: float
    y: float
    confidence: float
    high_confidence: bool


@dataclass(frozen=True)
class Prediction:
    """The landmarks of an image.

    Attributes:
        image: The file, as it was named.
        view: "sa" or "4ch".
        model: Name and version, for example "phdnet_4ch/3".
        pixel_spacing: (between rows, between columns), which is (y, x), in mm.
        landmarks: One for each that the model knows, in its order.
    """

    image: str
    view: str
    model: str
    pixel_spacing: tuple[float, float]
    landmarks: tuple[Landmark, ...]

    def to_dict(self) -> dict[str, Any]:
        """The prediction as `phdnet-tf predict --format json` prints it."""
        return {
            "image": self.image,
            "view": self.view,
            "model": self.model,
            "pixel_spacing_mm": list(self.pixel_spacing),
            "landmarks": [vars(landmark) for landmark in self.landmarks],
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
        points = zip(
            self.landmarks,
            found["landmarks"],
            found["confidence"],
            found["high_confidence"],
            strict=True,
        )
        return Prediction(
            image=name,
            view=self.view,
            model=self.name,
            pixel_spacing=image.pixel_spacing,
            landmarks=tuple(
                Landmark(landmark, float(x), float(y), float(confidence), bool(high))
                for landmark, (x, y), confidence, high in points
            ),
        )

    def candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        """Where the network sees each landmark.

        Args:
            image: The image, as `dicom.read_image` returns it.

        Returns:
            float32[L, h, w], the smoothed candidate maps (equation 3), 128 x 128, or
            the heatmaps of a network without candidates, and float32[L, 2, 2], the
            (x, y) of each map's first and last pixel, in pixels of the image.
        """
        found = self._run("explain", image)
        return found["candidate_map"], found["candidate_corners"]

    def _run(self, signature: str, image: MRImage) -> dict[str, np.ndarray]:
        outputs = self._signatures[signature](
            image=image.pixels[None].astype(np.float32),
            pixel_spacing=np.array([image.pixel_spacing], np.float32),
        )
        return {name: value.numpy()[0] for name, value in outputs.items()}


def find_images(paths: list[Path]) -> Iterator[tuple[Path, Path]]:
    """The files to predict: files as they are, and the DICOM files below folders.

    Args:
        paths: Files and folders.

    Yields:
        Each file, and a relative name for it: its file name, below a folder with the
        path from there that begins with the folder's own name. In a folder, in order.
    """
    for path in paths:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and _is_dicom(file):
                yield file, Path(path.resolve().name) / file.relative_to(path)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def predict_file(
    predictor: Predictor, path: Path, pixel_spacing: tuple[float, float] | None = None
) -> tuple[Prediction, MRImage] | DicomError:
    """Reads a file and locates its landmarks.

    Args:
        predictor: The model.
        path: A single-frame DICOM file.
        pixel_spacing: (y, x), mm, for a file that has none.

    Returns:
        The prediction and the image, or the error that kept the file from being read,
        so that one bad file does not end a batch.
    """
    try:
        image = read_image(path, pixel_spacing)
    except DicomError as error:
        return error
    return predictor.predict(image, str(path)), image
