"""Samples random crops straight from the image.

All random numbers come from the seed and the crop's number. The same seed therefore
gives the same crops, whatever runs in parallel and wherever a run is resumed.
"""

import math

import tensorflow as tf

from phdnet_tf import geometry
from phdnet_tf.config import CropConfig

MARGINS = (15.0, 100.0)
"""Smallest and largest distance of a cut field of view's sides from the landmarks, in
mm."""

Example = dict[str, tf.Tensor]


def random_crop(
    example: Example, crops: CropConfig, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A square crop at canvas resolution, sampled straight from the image.

    Spacing, position, rotation and scale form one affine map, so every pixel of the
    crop is interpolated only once. There are no flips, because they would exchange
    landmarks.

    Args:
        example: A normalised example with one image.
        crops: How crops are drawn.
        seed: int64[2], seed of this crop.

    Returns:
        float32[size, size, 1], and float32[L, 2], the landmarks' (x, y) in the crop's
        pixels, which may lie outside; NaN where not annotated.
    """
    if crops.cut:
        example = _cut(example, crops.cut, seed)
    image, landmarks = example["image"], example["landmarks"]
    extent = tf.cast(tf.reverse(tf.shape(image), [0]), tf.float32)  # (x, y)
    # All of a crop's numbers, between 0 and 1, in one draw: it costs as much as each.
    draw = tf.random.stateless_uniform([10], seed)
    annotated = _annotated(landmarks)
    anywhere = draw[4:6] * extent - 0.5
    if draw[6] < crops.near_landmark and tf.size(annotated) > 0:
        chosen = tf.cast(
            draw[7] * tf.cast(tf.shape(annotated)[0], tf.float32), tf.int32
        )
        image_per_canvas = geometry.canvas_scale(example["pixel_spacing"])
        shift = (draw[8:10] - 0.5) * crops.size * image_per_canvas
        centre = annotated[chosen] + shift
    else:
        centre = anywhere
    return _augmented(example, crops, draw[:4], centre, crops.size, seed)


def random_whole(
    example: Example, crops: CropConfig, step: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The whole canvas at a lower resolution, augmented like crops, and shifted.

    Args:
        example: A normalised example with one image.
        crops: How images are changed.
        step: Side of a pixel of the result, in canvas pixels.
        seed: int64[2], seed of this image.

    Returns:
        float32[512 / step, 512 / step, 1], and float32[L, 2], the landmarks' (x, y) in
        its pixels, which may lie outside; NaN where not annotated.
    """
    if crops.cut:
        example = _cut(example, crops.cut, seed)
    extent = tf.cast(tf.reverse(tf.shape(example["image"]), [0]), tf.float32)
    draw = tf.random.stateless_uniform([6], seed)
    image_per_canvas = geometry.canvas_scale(example["pixel_spacing"])
    shift = (2 * draw[4:6] - 1) * crops.shift * image_per_canvas
    centre = (extent - 1) / 2 + shift
    view, landmarks = _augmented(
        example, crops, draw[:4], centre, geometry.CANVAS_SIZE, seed
    )
    # Pixel i of a coarser view covers the view from i * step - 0.5 on.
    return geometry.coarser(view[None], step)[0], (landmarks - (step - 1) / 2) / step


def _annotated(landmarks: tf.Tensor) -> tf.Tensor:
    """The annotated landmarks, float32[K, 2]."""
    known = tf.reduce_all(tf.math.is_finite(landmarks), axis=-1)
    return tf.boolean_mask(landmarks, known)


def _cut(example: Example, share: float, seed: tf.Tensor) -> Example:
    """Cuts off a share of the images not far from the landmarks.

    The intensities keep the normalisation of the whole image. That of the smaller image
    would differ by up to a quarter, which `CropConfig.exposure` covers.
    """
    image, landmarks = example["image"], example["landmarks"]
    extent = tf.cast(tf.reverse(tf.shape(image), [0]), tf.float32)
    draw = tf.random.stateless_uniform([5], tf.random.fold_in(seed, 4))
    size = tf.reverse(example["pixel_spacing"], [0])  # of (x, y)
    least, most = MARGINS
    margins = (least + (most - least) * draw[:4]) / tf.tile(size, [2])
    annotated = _annotated(landmarks)
    first = tf.reduce_min(annotated, axis=0) - margins[:2]
    last = tf.reduce_max(annotated, axis=0) + margins[2:]
    whole = (draw[4] >= share) | (tf.size(annotated) == 0)
    # A landmark may lie outside the image, of which at least a pixel is left.
    first = tf.where(whole, 0.0, tf.clip_by_value(first, 0.0, extent - 1))
    last = tf.where(whole, extent - 1, tf.clip_by_value(last, first, extent - 1))
    start, stop = tf.cast(tf.round(first), tf.int32), tf.cast(tf.round(last), tf.int32)
    return {
        **example,
        "image": image[start[1] : stop[1] + 1, start[0] : stop[0] + 1],
        "landmarks": landmarks - tf.cast(start, tf.float32),
    }


def _augmented(
    example: Example,
    crops: CropConfig,
    draw: tf.Tensor,
    centre: tf.Tensor,
    size: int,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """A square picture of an image: rotated, scaled, stretched, with other intensities.

    Args:
        example: A normalised example with one image.
        crops: The largest changes.
        draw: float32[4], random numbers between 0 and 1 for rotation, scale, gain and
            gamma.
        centre: float32[2], the picture's centre, (x, y), in pixels of the image.
        size: Side of the picture, in its pixels.
        seed: int64[2], seed of the picture.

    Returns:
        float32[size, size, 1], and float32[L, 2], the landmarks' (x, y) in its pixels.
    """
    angle = (2 * draw[0] - 1) * math.radians(crops.rotation)
    scale = tf.exp((2 * draw[1] - 1) * math.log1p(crops.scale))
    gain = 1 + (2 * draw[2] - 1) * crops.gain
    gamma = tf.exp((2 * draw[3] - 1) * math.log1p(crops.gamma))

    image_per_view = geometry.canvas_scale(example["pixel_spacing"])
    cosine, sine = tf.cos(angle), tf.sin(angle)
    rotation = tf.stack([tf.stack([cosine, -sine]), tf.stack([sine, cosine])])
    linear = image_per_view[:, None] * scale * rotation
    inverse = tf.transpose(rotation) / (image_per_view * scale)
    if crops.stretch:
        # A draw of its own leaves those of other settings what they are.
        own = tf.random.fold_in(seed, 1)
        along, amount = tf.unstack(tf.random.stateless_uniform([2], own))
        stretch = _stretch(along * math.pi, (2 * amount - 1) * crops.stretch)
        linear, inverse = linear @ stretch, tf.linalg.inv(stretch) @ inverse
    middle = tf.fill([2], (size - 1) / 2)
    # So few numbers are sooner multiplied one by one than by a kernel for matrices.
    corner = centre - tf.reduce_sum(linear * middle, axis=-1)
    matrix = tf.concat([linear, corner[:, None]], axis=1)

    pixels = geometry.sample(example["image"][None], matrix[None], size)[0]
    places = (example["landmarks"] - corner)[:, None]
    return gain * pixels**gamma, tf.reduce_sum(inverse * places, axis=-1)


def _stretch(angle: tf.Tensor, amount: tf.Tensor) -> tf.Tensor:
    """A stretch by `1 + amount` in one direction, with equal area: float32[2, 2]."""
    direction = tf.stack([tf.cos(angle), tf.sin(angle)])
    along = direction[:, None] * direction
    return along * (1 + amount) + (tf.eye(2) - along) / (1 + amount)
