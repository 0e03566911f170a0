"""The served graph: raw image and spacing in, landmarks in the image's own pixels out.

TF Serving loads it as it is, and `inference.predictor` runs the same graph, so the
command line and a server agree by construction.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace

import keras
import tensorflow as tf

from phdnet_tf import geometry
from phdnet_tf.config import NETWORKS, Config
from phdnet_tf.decoding.reading import Reading, read
from phdnet_tf.decoding.test_time_augmentation import look_again
from phdnet_tf.export.folding import fold_normalisation
from phdnet_tf.export.input_checks import checked, checked_png, checked_spacing
from phdnet_tf.trust.radii import LEVELS, Radii

Outputs = dict[str, tf.Tensor]


class ServedGraph(tf.Module):
    """The served functions of a trained network, or of several.

    Args:
        models: The Keras models, member by member. The outputs of the members are
            averaged. A member is one network, or one for each landmark in their order.
        config: The settings that they were trained with.
        thresholds: One confidence threshold for each landmark.
        radii: Parameters of the error radii. None makes every radius the canvas's
            diagonal.
        recognition: Image confidence below which an image is not recognised.

    Raises:
        ValueError: If Keras has a backend other than TensorFlow.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        config: Config,
        thresholds: Sequence[float],
        radii: Radii | None = None,
        recognition: float = 0.0,
    ) -> None:
        """Traces nothing yet. Tracing happens on the first call, or on saving."""
        super().__init__()
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "export: expected Keras's backend tensorflow. Received: "
                f"{keras.backend.backend()}. Unset KERAS_BACKEND, and resume the run. "
                "The training is kept."
            )
        models = [fold_normalisation(model) for model in models]
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

        networks = len(config.model.landmarks) if config.model.one_each else 1
        members = [
            models[start : start + networks]
            for start in range(0, len(models), networks)
        ]

        def ask(member: Sequence[keras.Model], pictures: tf.Tensor) -> Outputs:
            outputs = [model(pictures, training=False) for model in member]
            # The landmarks are the axis after height and width.
            joined = {
                name: tf.concat([each[name] for each in outputs], axis=3)
                for name in outputs[0]
            }
            if config.model.mapping == "binary":
                joined["heatmap"] = tf.sigmoid(joined["heatmap"])
            return joined

        def look(pictures: tf.Tensor) -> Reading:
            outputs = [ask(member, pictures) for member in members]
            joined = {
                name: tf.concat([each[name] for each in outputs], axis=0)
                for name in outputs[0]
            }
            return read(joined, one_look, len(members))

        def on_canvas(canvas: tf.Tensor) -> Reading:
            first = look(canvas)
            return look_again(canvas, first, look) if augmented else first

        def answer(points: tf.Tensor, reading: Reading) -> dict[str, tf.Tensor]:
            # The geometric mean, as `recognition.image_confidence` has it.
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

        # No step of Python's depends on a tensor's value, here and in what is called;
        # AutoGraph would take seconds to find out.
        @tf.function(input_signature=[image, spacing], autograph=False)
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
                the image looks like those the model was trained on. If not, no landmark
                in it is high confidence.
            """
            image, pixel_spacing = checked(image, pixel_spacing)
            reading = on_canvas(_canvas(image, pixel_spacing, network.step))
            return answer(to_image(reading.points, image, pixel_spacing), reading)

        @tf.function(input_signature=[png, spacing], autograph=False)
        def locate_png(
            image_bytes: tf.Tensor, pixel_spacing: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            """The same as `locate`, for encoded images, which may differ in size.

            Args:
                image_bytes: string[B], PNG files, greyscale, of 16 or 8 bits.
                pixel_spacing: As for `locate`.

            Returns:
                As `locate`.
            """
            image_bytes = tf.ensure_shape(image_bytes, [None])
            pixel_spacing = checked_spacing(pixel_spacing, tf.size(image_bytes))
            image_bytes = checked_png(image_bytes)
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

        @tf.function(input_signature=[image, spacing], autograph=False)
        def explain(image: tf.Tensor, pixel_spacing: tf.Tensor) -> dict[str, tf.Tensor]:
            """The outputs of all strategies, for evaluation and for pictures.

            Args:
                image: As for `locate`.
                pixel_spacing: As for `locate`.

            Returns:
                The outputs of `locate`, and in addition:

                - the landmarks of each strategy of one look, and of "augmented" if that
                  is the strategy, float32[B, L, 2], under its name;
                - "evidence", float32[B, L, K], as in `reading.Reading`;
                - "mean", for several networks, the mean of their own points at the
                  first look, float32[B, L, 2];
                - "member_spread_mm", float32[B, L], the distance between these points;
                - "candidate_map", float32[B, L, h, w], the smoothed candidate map of
                  the first look, 128 x 128, or the whole heatmap;
                - "candidate_corners", float32[B, L, 2, 2], the positions (x, y) of the
                  map's first and last pixel, in pixels of the image.
            """
            image, pixel_spacing = checked(image, pixel_spacing)
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
    """The canvas of a PNG, as from `_canvas`, and its rows and columns, int32[2]."""
    image_bytes, pixel_spacing = inputs
    decoded = tf.io.decode_png(image_bytes, channels=1, dtype=tf.uint16)[..., 0]
    image = tf.cast(decoded, tf.float32)
    return _canvas(image[None], pixel_spacing[None], step)[0], tf.shape(image)


def error_radii(evidence: tf.Tensor, radii: Radii | None) -> tf.Tensor:
    """The formula of `radii.Radii`, at most the canvas's diagonal.

    Args:
        evidence: float32[B, L, K], as in `reading.Reading`.
        radii: Parameters of the radii. None makes every radius the canvas's diagonal.

    Returns:
        float32[B, L, 3], mm, for each of `radii.LEVELS`.
    """
    if radii is None:
        shape = tf.concat([tf.shape(evidence)[:2], [len(LEVELS)]], axis=0)
        return tf.fill(shape, geometry.CANVAS_DIAGONAL)
    slopes = tf.constant(radii.slopes, tf.float32)
    expected = radii.offset + tf.reduce_sum(slopes * evidence, axis=-1)
    # Infinity times a number that has become 0 would be no number.
    quantiles = tf.minimum(tf.constant(radii.quantiles, tf.float32), 1e9)
    return tf.minimum(tf.exp(expected)[..., None] * quantiles, geometry.CANVAS_DIAGONAL)
