"""Test-time augmentation: a network looks again at the landmarks that it has found.

A network that is sure finds a landmark at the same place however the image is turned.
The distance between its answers therefore indicates their error, as their heat does.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from phdnet_tf.decoding.reading import Reading, log_heat, log_pixels
from phdnet_tf.geometry import CANVAS_SIZE, PATCH_SIZE, sample

LOOKS = ((20.0, 1 / 1.2), (-20.0, 1 / 1.2))
"""Rotation, in degrees, and size of a pixel, in canvas pixels, of each further look."""

SIDE = 160
"""Side of a look's picture, in pixels. Ten looks cost as much as the whole canvas."""


def look_again(
    canvas: tf.Tensor,
    first: Reading,
    look: Callable[[tf.Tensor], Reading],
    looks: Sequence[tuple[float, float]] = LOOKS,
    side: int = SIDE,
) -> Reading:
    """Also reads turned and enlarged pictures of the landmarks' surroundings.

    The pictures are centred on the box that holds the landmarks. A landmark may lie
    outside a picture, or in its outermost patches: landmarks may be far apart, or one
    of them mistaken. That picture then changes the landmark's confidence, but not its
    point.

    Args:
        canvas: float32[B, 512, 512, 1].
        first: The reading of the canvas.
        look: Reads pictures, float32[N B, side, side, 1], ordered by look.
        looks: N looks, in the form of `LOOKS`.
        side: Side of a picture, in pixels, as `SIDE`.

    Returns:
        The first reading with three changes. A point is the mean of the points of the
        canvas and of the pictures that show the landmark; this is also the strategy
        "augmented". The confidence is the mean of all looks. The evidence is the
        logarithms of the confidence (times -1) and of the root mean square distance of
        all looks' points from their mean; several networks add the distance between
        their points on the canvas.
    """
    ends = tf.reduce_min(first.points, axis=1), tf.reduce_max(first.points, axis=1)
    centres = (ends[0] + ends[1]) / 2
    maps = [_map(centres, *each, side) for each in looks]
    pictures = [sample(canvas[..., 0], each, side) for each in maps]
    again = look(tf.concat(pictures, axis=0))
    points, confidences = [first.points], [first.confidence]
    shown = [tf.ones_like(first.confidence)]
    for (_, scale), place, found, confidence in zip(
        looks,
        maps,
        tf.split(again.points, len(looks)),
        tf.split(again.confidence, len(looks)),
        strict=True,
    ):
        linear, corners = place[:, :, :2], place[:, None, :, 2]
        # The inverse of a rotation is its transpose, and these are rows.
        before = tf.matmul(first.points - centres[:, None], linear) / scale**2
        inside = tf.abs(before) <= side / 2 - PATCH_SIZE
        shown.append(tf.cast(tf.reduce_all(inside, axis=-1), tf.float32))
        points.append(tf.matmul(found, linear, transpose_b=True) + corners)
        confidences.append(confidence)
    weights = tf.stack(shown)[..., None]
    mean = tf.reduce_sum(weights * points, axis=0) / tf.reduce_sum(weights, axis=0)
    confidence = tf.reduce_mean(confidences, axis=0)
    squared = tf.reduce_sum(tf.square(points - mean), axis=-1)
    spread = tf.sqrt(tf.reduce_mean(squared, axis=0))
    mean = tf.clip_by_value(mean, 0, CANVAS_SIZE - 1)
    evidence = [-log_heat(confidence), log_pixels(spread)]
    if "mean" in first.by_strategy:
        evidence.append(log_pixels(first.member_spread))
    return first._replace(
        points=mean,
        confidence=confidence,
        evidence=tf.stack(evidence, axis=-1),
        by_strategy={**first.by_strategy, "augmented": mean},
    )


def _map(centres: tf.Tensor, angle: float, scale: float, side: int) -> tf.Tensor:
    """Maps from a picture's (x, y, 1) to the canvas: [B, 2] -> float32[B, 2, 3]."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    linear = scale * np.array([[cosine, -sine], [sine, cosine]], np.float32)
    corners = centres - linear @ np.full(2, (side - 1) / 2, np.float32)
    linear = tf.tile(tf.constant(linear)[None], [tf.shape(centres)[0], 1, 1])
    return tf.concat([linear, corners[..., None]], axis=-1)
