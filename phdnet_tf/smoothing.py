"""From the two heads to a coordinate and a confidence (section 2.2).

`smooth` is the paper's candidate smoothing; `simple` is the strategy of its baseline,
kept for comparison.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from phdnet_tf.geometry import PATCH_SIZE, decode_displacement, patch_centres

AREA = 16
"""Side of the area that votes, in patches: 128 x 128 pixels."""

SIDE = AREA * PATCH_SIZE

CANDIDATE_STD = 1.0
"""Standard deviation of a candidate's Gaussian, in pixels."""

HEAT_STD = 2.0
"""Standard deviation of the smoothing of the heat, in patches: that of its label."""


class Smoothed(NamedTuple):
    """What candidate smoothing finds.

    Attributes:
        landmarks: float32[B, L, 2], (x, y), canvas pixels, whole numbers.
        confidence: float32[B, L], the smoothed map's peak; 0 or more, no unit.
        candidate_map: float32[B, L, 128, 128], the smoothed map (equation 3).
        corner: float32[B, L, 2], (x, y) of the map's top-left pixel on the canvas.
    """

    landmarks: tf.Tensor
    confidence: tf.Tensor
    candidate_map: tf.Tensor
    corner: tf.Tensor


def _upsampling(std: float) -> np.ndarray:
    """A matrix float32[128, 16] that upsamples a row of patches and smooths it."""
    pixels = (np.arange(SIDE) - (PATCH_SIZE - 1) / 2) / PATCH_SIZE
    # The row is continued by its mirror image at both ends, so that smoothing does not
    # tilt the heat at the area's edge.
    patches = np.arange(-AREA, 2 * AREA)
    weights = np.exp(-(((pixels[:, None] - patches) / std) ** 2) / 2)
    left, middle, right = np.split(weights, 3, axis=1)
    weights = left[:, ::-1] + middle + right[:, ::-1]
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@tf.function(reduce_retracing=True)
def smooth(heatmap: tf.Tensor, displacement: tf.Tensor) -> Smoothed:
    """Fuses the heads of all images and landmarks at once.

    The area with the most heat is found; each of its patches votes with a Gaussian at
    the exact place it points to; the sum of votes is multiplied by the area's own heat,
    upsampled and smoothed; the peak is the landmark and its height the confidence. Heat
    below zero counts as zero: the product of two negatives would be a peak.

    Args:
        heatmap: float32[B, h, w, L]; h and w are 16 or more.
        displacement: float32[B, h, w, L, 2], coded as by `encode_displacement`.

    Returns:
        A `Smoothed`.
    """
    shape = tf.shape(heatmap)
    batch, columns, landmarks = shape[0], shape[2], shape[3]
    heat = tf.nn.relu(heatmap)

    # The mean over a window ranks areas as their sum does, and along one axis at a time
    # it takes an eighth of the work.
    means = tf.nn.avg_pool2d(heat, [AREA, 1], strides=1, padding="VALID")
    means = tf.nn.avg_pool2d(means, [1, AREA], strides=1, padding="VALID")
    best = tf.argmax(_by_landmark(means), axis=-1, output_type=tf.int32)
    steps = columns - AREA + 1
    top, left = best // steps, best % steps

    within = tf.range(AREA)
    patches = (top[..., None, None] + within[:, None]) * columns + (
        left[..., None, None] + within
    )
    heat = tf.gather(_by_landmark(heat), patches, axis=2, batch_dims=2)
    codes = tf.gather(_by_landmark(displacement), patches, axis=2, batch_dims=2)
    candidates = tf.reshape(
        patch_centres(AREA, AREA) + decode_displacement(codes),
        [batch, landmarks, AREA * AREA, 2],
    )

    # A Gaussian is the product of one in y and one in x, so that the sum of 256 of them
    # over 128 x 128 pixels is one matrix product, [128, 256] @ [256, 128].
    offsets = candidates[..., None] - tf.range(SIDE, dtype=tf.float32)
    blobs = tf.exp(tf.square(offsets) * (-0.5 / CANDIDATE_STD**2))
    votes = tf.matmul(blobs[..., 1, :], blobs[..., 0, :], transpose_a=True)

    upsampling = tf.constant(_upsampling(HEAT_STD))
    smooth_heat = tf.matmul(upsampling, tf.matmul(heat, upsampling, transpose_b=True))
    candidate_map = votes * smooth_heat

    flat = tf.reshape(candidate_map, [batch, landmarks, SIDE * SIDE])
    peak = tf.argmax(flat, axis=-1, output_type=tf.int32)
    corner = tf.cast(tf.stack([left, top], axis=-1) * PATCH_SIZE, tf.float32)
    offset = tf.cast(tf.stack([peak % SIDE, peak // SIDE], axis=-1), tf.float32)
    return Smoothed(
        landmarks=corner + offset,
        confidence=tf.reduce_max(flat, axis=-1),
        candidate_map=candidate_map,
        corner=corner,
    )


@tf.function(reduce_retracing=True)
def simple(heatmap: tf.Tensor, displacement: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Takes the hottest patch at its word, as the baseline (Noothout et al., 2018).

    Args:
        heatmap: float32[B, h, w, L].
        displacement: float32[B, h, w, L, 2], coded as by `encode_displacement`.

    Returns:
        float32[B, L, 2], (x, y) in canvas pixels, and float32[B, L], that patch's heat.
    """
    heat = _by_landmark(heatmap)
    best = tf.argmax(heat, axis=-1, output_type=tf.int32)
    code = tf.gather(_by_landmark(displacement), best, axis=2, batch_dims=2)
    shape = tf.shape(heatmap)
    centres = tf.reshape(patch_centres(shape[1], shape[2]), [-1, 2])
    return tf.gather(centres, best) + decode_displacement(code), tf.reduce_max(heat, -1)


def _by_landmark(values: tf.Tensor) -> tf.Tensor:
    """Each landmark's patches in one row: [B, h, w, L, ...] -> [B, L, h w, ...]."""
    shape = tf.shape(values)
    rows = tf.reshape(values, tf.concat([shape[:1], [-1], shape[3:]], axis=0))
    return tf.experimental.numpy.swapaxes(rows, 1, 2)
