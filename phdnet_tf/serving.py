"""The SavedModel: raw image and spacing in, landmarks in the image's own pixels out.

TF Serving loads the folder as it is, and `inference.Predictor` runs the very same
graph, so that the command line and a server agree by construction.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from phdnet_tf import geometry, smoothing
from phdnet_tf.config import Config

DESCRIPTION = "phdnet.json"


class Served(tf.Module):
    """The served functions of a trained network.

    Args:
        model: The Keras model.
        config: The settings it was trained with.
        thresholds: One confidence threshold a landmark.
    """

    def __init__(
        self, model: keras.Model, config: Config, thresholds: list[float]
    ) -> None:
        """Traces nothing yet: that happens on the first call, or on saving."""
        super().__init__()
        # Only the raw variables are attributes. With the Keras model as an attribute,
        # the SavedModel loads in Python and fails in TF Serving's C++ runtime.
        self._variables = [variable.value for variable in model.variables]
        image = tf.TensorSpec([None, None, None], tf.float32, name="image")
        spacing = tf.TensorSpec([None, 2], tf.float32, name="pixel_spacing")

        def heads(image: tf.Tensor, pixel_spacing: tf.Tensor) -> dict[str, tf.Tensor]:
            canvas = geometry.canvas_from_image(
                geometry.normalise(image), pixel_spacing
            )
            return model(canvas, training=False)

        def to_image(
            points: tf.Tensor, image: tf.Tensor, pixel_spacing: tf.Tensor
        ) -> tf.Tensor:
            shape = tf.shape(image)
            return geometry.canvas_to_image(points, shape[1], shape[2], pixel_spacing)

        @tf.function(input_signature=[image, spacing])
        def locate(image: tf.Tensor, pixel_spacing: tf.Tensor) -> dict[str, tf.Tensor]:
            """Landmarks and confidence, by the strategy of the settings.

            Args:
                image: float32[B, H, W], stored values after the modality LUT, bright =
                    signal.
                pixel_spacing: float32[B, 2], (y, x), mm.

            Returns:
                "landmarks" float32[B, L, 2], (x, y), pixels of the image; "confidence"
                float32[B, L]; "high_confidence" bool[B, L].
            """
            outputs = heads(image, pixel_spacing)
            if config.model.strategy == "smoothing":
                points, confidence, *_ = smoothing.smooth(**outputs)
            else:
                points, confidence = smoothing.simple(**outputs)
            return {
                "landmarks": to_image(points, image, pixel_spacing),
                "confidence": confidence,
                "high_confidence": confidence >= tf.constant(thresholds, tf.float32),
            }

        @tf.function(input_signature=[image, spacing])
        def explain(image: tf.Tensor, pixel_spacing: tf.Tensor) -> dict[str, tf.Tensor]:
            """What both strategies see, for evaluation and for pictures.

            Args:
                image: As for `locate`.
                pixel_spacing: As for `locate`.

            Returns:
                "smoothing" and "simple", float32[B, L, 2], each strategy's landmarks,
                (x, y), pixels of the image; "candidate_map" float32[B, L, 128, 128] and
                "candidate_corner" float32[B, L, 2], the image position, (x, y), of the
                map's top-left pixel. A pixel of the map is 0.9375 mm.
            """
            outputs = heads(image, pixel_spacing)
            smoothed = smoothing.smooth(**outputs)
            simple, _ = smoothing.simple(**outputs)
            return {
                "smoothing": to_image(smoothed.landmarks, image, pixel_spacing),
                "simple": to_image(simple, image, pixel_spacing),
                "candidate_map": smoothed.candidate_map,
                "candidate_corner": to_image(smoothed.corner, image, pixel_spacing),
            }

        self.locate = locate
        self.explain = explain


def export(served: Served, description: dict[str, Any], model_folder: Path) -> Path:
    """Publishes a model as the next version, in one step.

    Args:
        served: What to save.
        description: What `phdnet.json` says of it.
        model_folder: For example `models/phdnet_sa`; made where it does not exist.

    Returns:
        The folder of the new version, for example `models/phdnet_sa/1`.

    Raises:
        OSError: If it cannot be written; then no version appears.
    """
    model_folder.mkdir(parents=True, exist_ok=True)
    # A server that polls the folder takes names that are numbers for versions, and may
    # look at any moment: the version gets its number when it is complete.
    unfinished = model_folder / f".unfinished-{uuid.uuid4().hex}"
    try:
        tf.saved_model.save(
            served,
            str(unfinished),
            signatures={"serving_default": served.locate, "explain": served.explain},
        )
        (unfinished / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
        version = max(versions(model_folder), default=0) + 1
        os.rename(unfinished, model_folder / str(version))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return model_folder / str(version)


def versions(model_folder: Path) -> list[int]:
    """Numbers of the versions in a model folder, in rising order."""
    return sorted(
        int(entry.name)
        for entry in model_folder.glob("*")
        if entry.name.isdecimal() and entry.is_dir()
    )


def resolve_version(path: Path) -> Path:
    """The folder of a version: the path itself, or the newest version in it.

    Raises:
        ValueError: If there is neither.
    """
    if (path / "saved_model.pb").is_file():
        return path
    numbers = versions(path)
    if not numbers:
        raise ValueError(
            f"{path}: expected a model, or a folder of its versions. Received neither: "
            "train one with 'phdnet-tf train', or give --model another folder."
        )
    return path / str(numbers[-1])


def load_description(version: Path) -> dict[str, Any]:
    """Reads `phdnet.json`.

    Raises:
        ValueError: If it is missing or unreadable.
    """
    try:
        return json.loads((version / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{version}: expected a model that phdnet-tf exported, with {DESCRIPTION}. "
            f"Received: {error}."
        ) from error


def load_signatures(version: Path) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
    """The signatures of a SavedModel, by name.

    Raises:
        ValueError: If TensorFlow cannot load it.
    """
    try:
        return tf.saved_model.load(str(version)).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(
            f"{version}: expected a complete SavedModel. Received: {first}. Export it "
            "again, or use another version."
        ) from error
