"""Loads a published model, and predicts images with it."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from phdnet_tf.devices import images_a_call
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.turning import turn_to_usual
from phdnet_tf.export.description import (
    load_description,
    model_name,
    usual_orientations,
)
from phdnet_tf.export.refusals import what_is_wrong
from phdnet_tf.export.saved_model import load_signatures
from phdnet_tf.export.versions import resolve_version
from phdnet_tf.inference.calls import inputs_of, locate_in_calls
from phdnet_tf.inference.errors import RefusedImageError
from phdnet_tf.inference.results import (
    Prediction,
    make_prediction,
    maps_of_image,
    other_version,
)


class Predictor:
    """An exported model, ready to locate landmarks.

    Args:
        path: A model folder, such as `models/phdnet_sa`, for its newest version; or the
            folder of a version.

    Attributes:
        version: Folder of the loaded version.
        description: Content of its `phdnet.json`.
        view: Name of its view.
        landmarks: Names of the L landmarks, in the order of every output.
        name: Name and version, for example "phdnet_4ch/3"; see `model_name`.
        usual_orientations: How images of its view usually lie; see `dicom.turning`.
        at_once: Images per call of its graph; see `devices.images_a_call`.
        signatures: Its graphs, by name.

    Raises:
        ValueError: If there is no usable model, or it is of another version of
            phdnet-tf that answered otherwise.
    """

    def __init__(self, path: Path) -> None:
        """Loads the model; see the class."""
        self.version = resolve_version(Path(path))
        self.description = load_description(self.version)
        self.view: str = self.description["view"]
        self.landmarks: tuple[str, ...] = tuple(self.description["landmarks"])
        self.usual_orientations = usual_orientations(self.description)
        folder = self.version.resolve()
        self.name = model_name(folder.parent.name, folder.name, self.description)
        self.signatures = load_signatures(self.version)
        for name in ("serving_default", "explain"):
            graph = self.signatures.get(name)
            outputs = graph.structured_outputs if graph else ()
            if told := other_version(self.version, self.name, name, outputs):
                raise ValueError(told)
        self.at_once = images_a_call()

    def predict(self, image: MRImage, name: str = "") -> Prediction:
        """Locates the landmarks of one image.

        Args:
            image: The image, as `read_image` returns it.
            name: Name of the image in the prediction.

        Returns:
            The prediction.

        Raises:
            RefusedImageError: If the model refuses the image.
        """
        [outputs] = self._run("serving_default", [self._turned(image)])
        return make_prediction(self, outputs, image, name)

    def predict_many(
        self, images: Sequence[MRImage], names: Sequence[str]
    ) -> list[Prediction | RefusedImageError]:
        """Locates the landmarks of several images, in as few calls as possible.

        Args:
            images: The images.
            names: Names of the images in the predictions.

        Returns:
            For each image its prediction, or the error with which the model refuses it.
        """
        turned = [self._turned(image) for image in images]
        run = functools.partial(self._run, "serving_default")
        answers = locate_in_calls(run, turned, self.at_once)
        return [
            answer
            if isinstance(answer, RefusedImageError)
            else make_prediction(self, answer, image, name)
            for answer, image, name in zip(answers, images, names, strict=True)
        ]

    def candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        """The candidate map of each landmark, at the first look.

        Args:
            image: The image, as `read_image` returns it.

        Returns:
            float32[L, h, w], the smoothed candidate maps (equation 3), 128 x 128, or
            the heatmaps of a network without candidates; and float32[L, 2, 2], the
            (x, y) of each map's first and last pixel, in pixels of the image. If the
            image was turned, the last may come before the first.
        """
        [outputs] = self._run("explain", [self._turned(image)])
        return maps_of_image(self, outputs, image)

    def _turned(self, image: MRImage) -> MRImage:
        """The image as the graph expects it."""
        return turn_to_usual(image.orientation, self.usual_orientations).image(image)

    def _run(
        self, signature: str, images: Sequence[MRImage]
    ) -> list[dict[str, np.ndarray]]:
        try:
            outputs = self.signatures[signature](**inputs_of(images))
        except tf.errors.InvalidArgumentError as error:
            raise RefusedImageError(what_is_wrong(error)) from error
        values = {name: value.numpy() for name, value in outputs.items()}
        return [
            {name: value[index] for name, value in values.items()}
            for index in range(len(images))
        ]
