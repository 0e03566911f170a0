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

from phdnet_tf import geometry, heatmaps, smoothing
from phdnet_tf.config import NETWORKS, Config

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

        network = NETWORKS[config.model.network]

        def heads(image: tf.Tensor, pixel_spacing: tf.Tensor) -> dict[str, tf.Tensor]:
            canvas = geometry.canvas_from_image(
                geometry.normalise(image), pixel_spacing, network.step
            )
            return model(canvas, training=False)

        def to_image(
            points: tf.Tensor, image: tf.Tensor, pixel_spacing: tf.Tensor
        ) -> tf.Tensor:
            shape = tf.shape(image)
            return geometry.canvas_to_image(points, shape[1], shape[2], pixel_spacing)

        def whole_heatmap(
            heatmap: tf.Tensor, image: tf.Tensor, pixel_spacing: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            points, _ = heatmaps.peak(heatmap, network.cell)
            edge = (network.cell - 1) / 2
            ends = tf.constant([[edge] * 2, [geometry.CANVAS_SIZE - 1 - edge] * 2])
            shape = tf.shape(points)
            corners = to_image(
                tf.tile(ends[None], [shape[0], 1, 1]), image, pixel_spacing
            )
            return {
                "peak": to_image(points, image, pixel_spacing),
                "candidate_map": tf.transpose(heatmap, [0, 3, 1, 2]),
                "candidate_corners": tf.tile(corners[:, None], [1, shape[1], 1, 1]),
            }

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
            elif config.model.strategy == "simple":
                points, confidence = smoothing.simple(**outputs)
            else:
                points, confidence = heatmaps.peak(outputs["heatmap"], network.cell)
            return {
                "landmarks": to_image(points, image, pixel_spacing),
                "confidence": confidence,
                "high_confidence": confidence >= tf.constant(thresholds, tf.float32),
            }

        @tf.function(input_signature=[image, spacing])
        def explain(image: tf.Tensor, pixel_spacing: tf.Tensor) -> dict[str, tf.Tensor]:
            """What each strategy finds and sees, for evaluation and for pictures.

            Args:
                image: As for `locate`.
                pixel_spacing: As for `locate`.

            Returns:
                For each strategy that the network allows, its landmarks, float32[B, L,
                2], (x, y), pixels of the image, under its name; "candidate_map",
                float32[B, L, h, w], the smoothed candidate map, 128 x 128, or the whole
                heatmap; "candidate_corners", float32[B, L, 2, 2], the image positions,
                (x, y), of the map's first and last pixel.
            """
            outputs = heads(image, pixel_spacing)
            if network.whole:
                return whole_heatmap(outputs["heatmap"], image, pixel_spacing)
            smoothed = smoothing.smooth(**outputs)
            simple, _ = smoothing.simple(**outputs)
            last = smoothed.corner + smoothing.SIDE - 1
            return {
                "smoothing": to_image(smoothed.landmarks, image, pixel_spacing),
                "simple": to_image(simple, image, pixel_spacing),
                "candidate_map": smoothed.candidate_map,
                "candidate_corners": tf.stack(
                    [
                        to_image(smoothed.corner, image, pixel_spacing),
                        to_image(last, image, pixel_spacing),
                    ],
                    axis=2,
                ),
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
