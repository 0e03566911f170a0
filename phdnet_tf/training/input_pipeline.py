"""From the examples of a TFDS split to batches: random crops, or whole canvases.

Everything random is drawn from the seed and the crop's number, so that the same seed
gives the same crops, whatever runs in parallel and wherever a run is taken up again.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from phdnet_tf import geometry
from phdnet_tf.config import NETWORKS, CropConfig, ModelConfig
from phdnet_tf.devices import whole_canvases_at_once
from phdnet_tf.dicom.turning import turn_to_usual
from phdnet_tf.training.appearance import recoloured
from phdnet_tf.training.crops import Example, random_crop, random_whole
from phdnet_tf.training.kept import Kept
from phdnet_tf.training.labels import labels_of


def normalised(
    examples: tf.data.Dataset, usual: Sequence[Sequence[float]]
) -> tf.data.Dataset:
    """The examples of a TFDS split, the usual way round and normalised.

    Args:
        examples: Dictionaries with "image" float32[H, W], "pixel_spacing" float32[2],
            (y, x), mm, "landmarks" float32[L, 2], (x, y), image pixels, NaN where not
            annotated, and "orientation" float32[6], direction cosines in patient space,
            NaN where not told. Every image may have its own size and spacing.
        usual: How images of the view usually lie; see `dicom.turning`.

    Returns:
        A data set of the same dictionaries, without the orientation.
    """

    def turned(
        image: np.ndarray, spacing: np.ndarray, points: np.ndarray, lies: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        turn = turn_to_usual(lies, usual)
        y_x = np.array(turn.spacing(spacing), np.float32)
        return turn.pixels(image), y_x, turn.points(points, image.shape)

    def normalise(example: Example) -> Example:
        lies = example["image"], example["pixel_spacing"], example["landmarks"]
        image, spacing, points = tf.numpy_function(
            turned, (*lies, example["orientation"]), (tf.float32,) * 3
        )
        return {
            "image": geometry.normalise(tf.ensure_shape(image, [None, None])),
            "pixel_spacing": tf.ensure_shape(spacing, [2]),
            "landmarks": tf.ensure_shape(points, lies[2].shape),
        }

    return examples.map(normalise, num_parallel_calls=tf.data.AUTOTUNE)


def training_batches(
    examples: Kept,
    model: ModelConfig,
    crops: CropConfig,
    batch_size: int,
    seed: int,
    first_batch: int = 0,
) -> tf.data.Dataset:
    """Endless batches of random crops with their labels.

    Args:
        examples: What `normalised` returns, kept.
        model: What is located, and how it is labelled.
        crops: How crops are drawn.
        batch_size: Crops in a batch, B.
        seed: Of the order of the images and of the crops.
        first_batch: Number of batches to leave out, to go on where a run stopped.

    Returns:
        A data set of (images, labels, weights): float32[B, size, size, 1] and what
        `labels.labels_of` returns.
    """
    network = NETWORKS[model.network]

    def crop(number: tf.Tensor, place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = examples.read(place)
        own = tf.stack([seed, number])
        if network.whole_images:
            return random_whole(example, crops, network.step, own)
        return random_crop(example, crops, own)

    def finish(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple:
        images, landmarks = batch
        images = recoloured(images, crops, tf.stack([seed, number]))
        return images, *labels_of(landmarks, images.shape[1], model)

    count = len(examples)
    return (
        tf.data.Dataset.range(count)
        .shuffle(count, seed=seed, reshuffle_each_iteration=True)
        .repeat()
        .enumerate()
        # Examples are skipped before anything is read or computed.
        .skip(first_batch * batch_size)
        .map(crop, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .enumerate(first_batch)
        .map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def canvases(examples: tf.data.Dataset, model: ModelConfig) -> tf.data.Dataset:
    """Whole canvases with their landmarks, to be kept for `validation_batches`.

    Args:
        examples: What `normalised` returns.
        model: What is located.

    Returns:
        A data set of (canvas, landmarks): float32[size, size, 1], where size is 512, or
        256 for networks that see half the resolution, and float32[L, 2], (x, y) in
        pixels of that size, NaN where not annotated.
    """
    step = NETWORKS[model.network].step

    def draw(example: Example) -> tuple[tf.Tensor, tf.Tensor]:
        image, spacing = example["image"], example["pixel_spacing"][None]
        canvas = geometry.canvas_from_image(image[None], spacing, step)
        landmarks = geometry.image_to_canvas(
            example["landmarks"][None], tf.shape(image)[0], tf.shape(image)[1], spacing
        )
        # Pixel i of a coarser drawing covers the canvas from i * step - 0.5 on.
        return canvas[0], (landmarks[0] - (step - 1) / 2) / step

    return examples.map(draw, num_parallel_calls=tf.data.AUTOTUNE)


def validation_batches(drawn: Kept, model: ModelConfig) -> tf.data.Dataset:
    """Batches of whole canvases with their labels, once through.

    Args:
        drawn: What `canvases` returns, kept.
        model: What is located, and how it is labelled.

    Returns:
        A data set of (images, labels, weights): float32[B, size, size, 1], and what
        `labels.labels_of` returns.
    """

    def label(images: tf.Tensor, landmarks: tf.Tensor) -> tuple:
        return images, *labels_of(landmarks, images.shape[1], model)

    return (
        drawn.in_order()
        .batch(whole_canvases_at_once())
        .map(label)
        .prefetch(tf.data.AUTOTUNE)
    )
