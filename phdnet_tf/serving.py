"""The SavedModel: raw image and spacing in, landmarks in the image's own pixels out.

TF Serving loads the folder as it is, and `inference.Predictor` runs the very same
graph, so that the command line and a server agree by construction. Input that makes no
sense is refused by the graph itself, and so in the same words everywhere.
"""

import functools
import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from phdnet_tf import geometry
from phdnet_tf.augmentation import look_again
from phdnet_tf.confidence import LEVELS, Radii
from phdnet_tf.config import NETWORKS, Config
from phdnet_tf.dicom import SPACING_LIMITS
from phdnet_tf.reading import Reading, read

DESCRIPTION = "phdnet.json"
CHECKSUMS = "SHA256SUMS"
WARM_UP = (
    "assets.extra/tf_serving_warmup_requests"  # the name that TF Serving looks for
)

MIN_SIDE = 16
"""Fewest rows and columns of an image: two patches, below which nothing can be seen."""

MAX_PNG_PIXELS = 16 * 1024 * 1024
"""Most pixels of a PNG: a few kilobytes of it can unpack to gigabytes."""

MAX_BATCH = 32
"""Most images in a call. Each takes 34 MB in the network, whatever its own size."""

LARGEST_RADIUS = geometry.CANVAS_SIZE * geometry.CANVAS_SPACING * math.sqrt(2)
"""The canvas's diagonal, in mm: no landmark that the network can find is farther."""

# Beyond it the variance of the intensities overflows, and every image would look flat.
MAX_INTENSITY = 1e15


class Served(tf.Module):
    """The served functions of a trained network, or of several.

    Args:
        models: The Keras models; of several, the answers are averaged.
        config: The settings they were trained with.
        thresholds: One confidence threshold a landmark.
        radii: What makes error radii; without, every radius is the canvas's diagonal.
        recognition: Image confidence below which an image is not recognised.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        config: Config,
        thresholds: Sequence[float],
        radii: Radii | None = None,
        recognition: float = 0.0,
    ) -> None:
        """Traces nothing yet: that happens on the first call, or on saving."""
        super().__init__()
        # Only the raw variables are attributes. With the Keras model as an attribute,
        # the SavedModel loads in Python and fails in TF Serving's C++ runtime.
        self._variables = [v.value for model in models for v in model.variables]
        image = tf.TensorSpec([None, None, None], tf.float32, name="image")
        png = tf.TensorSpec([None], tf.string, name="image_bytes")
        spacing = tf.TensorSpec([None, 2], tf.float32, name="pixel_spacing")

        network = NETWORKS[config.model.network]
        augmented = config.model.strategy == "augmented"
        one_look = config.model
        if augmented:
            one_look = replace(one_look, strategy="weighted")

        def look(pictures: tf.Tensor) -> Reading:
            outputs = [model(pictures, training=False) for model in models]
            joined = {
                name: tf.concat([each[name] for each in outputs], axis=0)
                for name in outputs[0]
            }
            return read(joined, one_look, len(models))

        def on_canvas(canvas: tf.Tensor) -> Reading:
            first = look(canvas)
            return look_again(canvas, first, look) if augmented else first

        def answer(points: tf.Tensor, reading: Reading) -> dict[str, tf.Tensor]:
            # The geometric mean, as `confidence.image_confidence` has it.
            image_confidence = tf.exp(
                tf.reduce_mean(tf.math.log(tf.nn.relu(reading.confidence)), axis=1)
            )
            recognised = image_confidence >= recognition
            high = reading.confidence >= tf.constant(thresholds, tf.float32)
            return {
                "landmarks": points,
                "confidence": reading.confidence,
                "high_confidence": high & recognised[:, None],
                "error_radius_mm": error_radii(reading.evidence, radii),
                "recognised": recognised,
            }

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
                float32[B, L]; "high_confidence" bool[B, L]; "error_radius_mm"
                float32[B, L, 3], the radii, in mm, around each point that hold the true
                landmark with 50, 90 and 95 % probability; "recognised" bool[B], whether
                the image looks like those the model was trained for. If not, nothing in
                it is high confidence.
            """
            image, pixel_spacing = _checked(image, pixel_spacing)
            reading = on_canvas(_canvas(image, pixel_spacing, network.step))
            return answer(to_image(reading.points, image, pixel_spacing), reading)

        @tf.function(input_signature=[png, spacing])
        def locate_png(
            image_bytes: tf.Tensor, pixel_spacing: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            """As `locate`, of encoded images, which may differ in size.

            Args:
                image_bytes: string[B], PNG files, greyscale, of 16 or 8 bits.
                pixel_spacing: As for `locate`.

            Returns:
                As `locate`.
            """
            image_bytes = tf.ensure_shape(image_bytes, [None])
            pixel_spacing = _checked_spacing(pixel_spacing, tf.size(image_bytes))
            image_bytes = _checked_png(image_bytes)
            side = geometry.CANVAS_SIZE // network.step
            canvas, sizes = tf.map_fn(
                functools.partial(_canvas_of_png, step=network.step),
                (image_bytes, pixel_spacing),
                fn_output_signature=(
                    tf.TensorSpec([side, side, 1], tf.float32),
                    tf.TensorSpec([2], tf.int32),
                ),
                parallel_iterations=1,  # one decoded image at a time in memory
            )
            reading = on_canvas(canvas)
            height, width = sizes[:, 0, None], sizes[:, 1, None]
            points = geometry.canvas_to_image(
                reading.points, height, width, pixel_spacing
            )
            return answer(points, reading)

        @tf.function(input_signature=[image, spacing])
        def explain(image: tf.Tensor, pixel_spacing: tf.Tensor) -> dict[str, tf.Tensor]:
            """What each strategy finds and sees, for evaluation and for pictures.

            Args:
                image: As for `locate`.
                pixel_spacing: As for `locate`.

            Returns:
                What `locate` returns; for each way to read one look, and for
                "augmented" where that is the strategy, its landmarks, float32[B, L,
                2], under its name; "evidence" float32[B, L, K], as `reading.Reading`
                has it. Of the first look: of several networks the mean of their own
                points as "mean", float32[B, L, 2]; "member_spread_mm" float32[B, L],
                how far these are apart; "candidate_map", float32[B, L, h, w], the
                smoothed candidate map, 128 x 128, or the whole heatmap;
                "candidate_corners", float32[B, L, 2, 2], the image positions, (x, y),
                of the map's first and last pixel.
            """
            image, pixel_spacing = _checked(image, pixel_spacing)
            reading = on_canvas(_canvas(image, pixel_spacing, network.step))
            ends = tf.unstack(reading.corners, axis=2)
            return {
                **answer(to_image(reading.points, image, pixel_spacing), reading),
                **{
                    strategy: to_image(points, image, pixel_spacing)
                    for strategy, points in reading.by_strategy.items()
                },
                "evidence": reading.evidence,
                "member_spread_mm": reading.member_spread * geometry.CANVAS_SPACING,
                "candidate_map": reading.map,
                "candidate_corners": tf.stack(
                    [to_image(end, image, pixel_spacing) for end in ends], axis=2
                ),
            }

        self.locate = locate
        self.locate_png = locate_png
        self.explain = explain


def _canvas(image: tf.Tensor, pixel_spacing: tf.Tensor, step: int) -> tf.Tensor:
    return geometry.canvas_from_image(geometry.normalise(image), pixel_spacing, step)


def _canvas_of_png(
    inputs: tuple[tf.Tensor, tf.Tensor], step: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """A PNG's canvas, as `_canvas` has it, and its own rows and columns, int32[2]."""
    image_bytes, pixel_spacing = inputs
    decoded = tf.io.decode_png(image_bytes, channels=1, dtype=tf.uint16)[..., 0]
    image = tf.cast(decoded, tf.float32)
    return _canvas(image[None], pixel_spacing[None], step)[0], tf.shape(image)


def error_radii(evidence: tf.Tensor, radii: Radii | None) -> tf.Tensor:
    """The formula of `confidence.Radii`, at most the canvas's diagonal.

    Args:
        evidence: float32[B, L, K], as `reading.Reading` has it.
        radii: What was learnt; nothing makes every radius the canvas's diagonal.

    Returns:
        float32[B, L, 3], mm, for each of `confidence.LEVELS`.
    """
    if radii is None:
        shape = tf.concat([tf.shape(evidence)[:2], [len(LEVELS)]], axis=0)
        return tf.fill(shape, LARGEST_RADIUS)
    slopes = tf.constant(radii.slopes, tf.float32)
    expected = radii.offset + tf.reduce_sum(slopes * evidence, axis=-1)
    # Infinity times a number that has become 0 would be no number.
    quantiles = tf.minimum(tf.constant(radii.quantiles, tf.float32), 1e9)
    return tf.minimum(tf.exp(expected)[..., None] * quantiles, LARGEST_RADIUS)


def _checked(image: tf.Tensor, pixel_spacing: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The inputs of `Served.locate`, or an INVALID_ARGUMENT that says what is wrong."""
    # The C++ runtime does not hold inputs to the shapes of the signature.
    image = tf.ensure_shape(image, [None, None, None])
    pixel_spacing = _checked_spacing(pixel_spacing, tf.shape(image)[0])
    large_enough = _assert(
        tf.shape(image)[1:] >= MIN_SIDE,
        f"image: expected {MIN_SIDE} rows and columns or more. Received:",
        tf.shape(image)[1:],
    )
    # NaN is not smaller than anything, so this finds it, too.
    finite = _assert(
        tf.abs(image) < MAX_INTENSITY,
        f"image: expected finite intensities, below {MAX_INTENSITY:g}. Received an "
        "image that has others, of rows and columns:",
        tf.shape(image)[1:],
    )
    with tf.control_dependencies([large_enough, finite]):
        return tf.identity(image), pixel_spacing


def _checked_spacing(pixel_spacing: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """The spacings, if they make sense, are one an image, and are not too many."""
    pixel_spacing = tf.ensure_shape(pixel_spacing, [None, 2])
    lowest, highest = SPACING_LIMITS
    counted = [
        _assert(
            (images >= 1) & (images <= MAX_BATCH),
            f"image: expected 1 to {MAX_BATCH} images in a request. Received:",
            images,
        ),
        _assert(
            tf.shape(pixel_spacing)[0] == images,
            "pixel_spacing: expected one pair for each image. Received images and "
            "pairs:",
            tf.stack([images, tf.shape(pixel_spacing)[0]]),
        ),
        _assert(
            (pixel_spacing >= lowest) & (pixel_spacing <= highest),
            f"pixel_spacing: expected (between rows, between columns) in mm, from "
            f"{lowest:g} to {highest:g}. Received:",
            pixel_spacing,
        ),
    ]
    with tf.control_dependencies(counted):
        return tf.identity(pixel_spacing)


def _checked_png(image_bytes: tf.Tensor) -> tf.Tensor:
    """The PNG files, if their headers say that they can and should be decoded."""
    padded = tf.strings.join([image_bytes, 24 * "\0"])  # a header to read, if too short
    size = tf.io.decode_raw(
        tf.strings.substr(padded, 16, 8), tf.int32, little_endian=False
    )
    is_png = _assert(
        tf.strings.substr(padded, 0, 8) == b"\x89PNG\r\n\x1a\n",
        "image_bytes: expected PNG files. Received others, of these lengths in bytes:",
        tf.strings.length(image_bytes),
    )
    with tf.control_dependencies([is_png]):
        size = tf.cast(size, tf.int64)
    sized = _assert(
        tf.reduce_all(size >= MIN_SIDE, axis=1)
        & (tf.reduce_prod(size, axis=1) <= MAX_PNG_PIXELS),
        f"image_bytes: expected {MIN_SIDE} columns and rows or more, and "
        f"{MAX_PNG_PIXELS} pixels at most. Received columns and rows:",
        size,
    )
    with tf.control_dependencies([sized]):
        return tf.identity(image_bytes)


def _assert(condition: tf.Tensor, message: str, received: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(
        tf.reduce_all(condition), [message, received], summarize=4
    )


def what_is_wrong(error: tf.errors.OpError | str) -> str:
    """The sentence of an INVALID_ARGUMENT, without the names of graph nodes."""
    message = str(getattr(error, "message", error))
    # What the runtime adds comes after the reason, and Python's traceback before it.
    reason = re.split(r"\s*\[\[\{\{node|\s*\[Op:", message)[0].strip()
    found = re.search(r"assertion failed: \[(.*?)\] (\[.*\])", reason, re.DOTALL)
    if found:
        return f"{found[1]} {' '.join(found[2].split())}."
    return re.sub(r"\{\{.*?\}\}\s*", "", reason.splitlines()[-1] if reason else "")


def _describe(description: dict[str, Any]) -> tf.types.experimental.PolymorphicFunction:
    """A signature that tells a client what `phdnet.json` says."""
    texts = {key: json.dumps(value) for key, value in description.items()}
    texts["description"] = json.dumps(description)
    names = tf.constant(list(texts))

    # It has an input, because TF Serving cannot batch a signature without one.
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="field")])
    def describe(field: tf.Tensor) -> dict[str, tf.Tensor]:
        """A part of the model's description.

        Args:
            field: string[B], a key of `phdnet.json`, or "description" for all of it.

        Returns:
            "value" string[B], JSON.
        """
        matches = tf.ensure_shape(field, [None])[:, None] == names
        known = _assert(
            tf.reduce_any(matches, axis=1),
            f"field: expected one of {', '.join(texts)}. Received:",
            field,
        )
        few = _assert(
            tf.size(field) <= MAX_BATCH,
            f"field: expected {MAX_BATCH} at most in a request. Received:",
            tf.size(field),
        )
        with tf.control_dependencies([known, few]):
            index = tf.argmax(tf.cast(matches, tf.int32), axis=1)
        return {"value": tf.gather(tf.constant(list(texts.values())), index)}

    return describe


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
            signatures={
                "serving_default": served.locate,
                "png": served.locate_png,
                "explain": served.explain,
                "describe": _describe(description),
            },
        )
        (unfinished / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
        _write_warm_up(unfinished / WARM_UP)
        (unfinished / CHECKSUMS).write_text(_checksums(unfinished))
        version = max(versions(model_folder), default=0) + 1
        os.rename(unfinished, model_folder / str(version))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return model_folder / str(version)


def _write_warm_up(path: Path) -> None:
    """Writes requests that TF Serving runs before a version takes its place.

    The canvas has one size, so one small image reaches all that a large one does.
    """
    image = tf.random.stateless_uniform([1, 64, 64], seed=(0, 0)) * 1000
    encoded = tf.io.encode_png(tf.cast(image[0, ..., None], tf.uint16))
    spacing = tf.constant([[1.5, 1.5]])
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature, inputs in (
            ("serving_default", {"image": image, "pixel_spacing": spacing}),
            ("png", {"image_bytes": encoded[None], "pixel_spacing": spacing}),
        ):
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            records.write(record.SerializeToString())


def _checksums(version: Path) -> str:
    """What `sha256sum` prints for the files of a version."""
    return "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  "
        f"{file.relative_to(version)}\n"
        for file in sorted(version.rglob("*"))
        if file.is_file() and file.name != CHECKSUMS
    )


def require_complete(version: Path) -> None:
    """Refuses a version that was copied in part, or changed.

    Raises:
        ValueError: If a file is missing, differs from what was exported, or was not
            exported; the message names it.
        OSError: If a file cannot be read.
    """
    listed = version / CHECKSUMS
    if not listed.is_file():
        raise ValueError(
            f"{version}: expected {CHECKSUMS}, which is exported with every model. "
            "Received none: wait until the copy is complete, or export the model again."
        )
    found = set(_checksums(version).splitlines())
    lines = listed.read_text(errors="replace").splitlines()
    for line in lines:
        if line not in found:
            raise ValueError(
                f"{version}: expected the files that {CHECKSUMS} lists. Received a "
                f"missing or different {line[66:]!r}: wait until the copy is complete, "
                "or copy it again."
            )
    # The list itself may have been copied in part.
    others = sorted(line[66:] for line in found.difference(lines))
    if others:
        raise ValueError(
            f"{version}: expected the files that {CHECKSUMS} lists. Received another "
            f"one, {others[0]!r}: wait until the copy is complete, or take it away."
        )


def versions(model_folder: Path) -> list[int]:
    """Numbers of the versions in a model folder, in rising order."""
    return sorted(
        int(entry.name)
        for entry in model_folder.glob("*")
        # TF Serving ignores greater numbers, too, which its messages cannot hold.
        if entry.name.isdecimal() and int(entry.name) < 2**63 and entry.is_dir()
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


def load_signatures(
    version: Path,
) -> dict[str, tf.types.experimental.ConcreteFunction]:
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


def require_recognition(
    signatures: dict[str, tf.types.experimental.ConcreteFunction], version: Path
) -> None:
    """Refuses a model that was exported before models told what they recognise.

    Raises:
        ValueError: If it is one; the message names the version.
    """
    if "recognised" not in signatures["serving_default"].structured_outputs:
        raise ValueError(
            f"{version}: expected a model that tells which images it recognises. "
            "Received one of an older phdnet-tf: train it again."
        )
