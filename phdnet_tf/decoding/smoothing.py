"""Candidate smoothing: from the two heads to a coordinate and a confidence.

It is the paper's section 2.2, or the same with weighted votes.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from phdnet_tf.decoding import peak
from phdnet_tf.geometry import PATCH_SIZE, decode_displacement, patch_centres

AREA = 16
"""Side of the area whose patches vote, in patches: 128 x 128 pixels."""

SIDE = AREA * PATCH_SIZE

CANDIDATE_STD = 1.0
"""Standard deviation of a candidate's Gaussian, in pixels."""

WEIGHTED_STD = 2.0
"""The same for weighted votes: fewer patches count, and wider Gaussians overlap."""

HEAT_STD = 2.0
"""Standard deviation of the smoothing of the heat, in patches: that of its label."""


class Smoothed(NamedTuple):
    """The result of candidate smoothing.

    Attributes:
        landmarks: float32[B, L, 2], (x, y), canvas pixels; whole numbers, unless votes
            are weighted.
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


@tf.function(reduce_retracing=True, autograph=False)
def smooth(
    heatmap: tf.Tensor,
    displacement: tf.Tensor,
    members: int = 1,
    weighted: bool = False,
) -> Smoothed:
    """Fuses the heads of all images and landmarks at once.

    The area with the most heat is found. Each of its patches votes with a Gaussian at
    the exact position to which it points. The sum of votes is multiplied by the area's
    own heat, upsampled and smoothed. The peak is the landmark, and its height is the
    confidence. Heat below zero counts as zero, because the product of two negative
    values would be a peak.

    Args:
        heatmap: float32[M B, h, w, L]; h and w are 16 or more. The B images of the
            first network come first, then those of the second, and so on.
        displacement: float32[M B, h, w, L, 2], in the code of `encode_displacement`.
        members: Number of networks, M. They share the area of their mean heat, and
            their maps are averaged there (E-MHA: Schobs et al., IEEE TMI 2023).
        weighted: Whether a patch's vote has the weight of its heat, rather than 1, and
            the peak is read with subpixel precision. Patches far from a landmark,
            which locate it worst, then have little weight.

    Returns:
        A `Smoothed`.
    """
    heat = tf.nn.relu(heatmap)
    columns = tf.shape(heat)[2]
    top, left = _hottest_area(mean_of_members(heat, members))
    corner = tf.cast(tf.stack([left, top], axis=-1) * PATCH_SIZE, tf.float32)

    within = tf.range(AREA)
    patches = (top[..., None, None] + within[:, None]) * columns + (
        left[..., None, None] + within
    )
    patches = tf.tile(patches, [members, 1, 1, 1])
    heat = tf.gather(by_landmark(heat), patches, axis=2, batch_dims=2)
    codes = tf.gather(by_landmark(displacement), patches, axis=2, batch_dims=2)
    candidates = patch_centres(AREA, AREA) + decode_displacement(codes)
    shape = tf.shape(heat)
    candidates = tf.reshape(candidates, [shape[0], shape[1], AREA * AREA, 2])

    # A Gaussian is the product of one in y and one in x, so that the sum of 256 of them
    # over 128 x 128 pixels is one matrix product, [128, 256] @ [256, 128].
    std = WEIGHTED_STD if weighted else CANDIDATE_STD
    offsets = candidates[..., None] - tf.range(SIDE, dtype=tf.float32)
    blobs = tf.exp(tf.square(offsets) * (-0.5 / std**2))
    along_y, along_x = blobs[..., 1, :], blobs[..., 0, :]
    if weighted:
        along_y *= tf.reshape(heat, [shape[0], shape[1], AREA * AREA, 1])
    votes = tf.matmul(along_y, along_x, transpose_a=True)

    upsampling = tf.constant(_upsampling(HEAT_STD))
    smooth_heat = tf.matmul(upsampling, tf.matmul(heat, upsampling, transpose_b=True))
    candidate_map = mean_of_members(votes * smooth_heat, members)
    points, confidence = (_sub_pixel_peak if weighted else _peak)(candidate_map)
    return Smoothed(corner + points, confidence, candidate_map, corner)


def mean_of_members(values: tf.Tensor, members: int) -> tf.Tensor:
    """The mean over M networks: [M B, ...] -> [B, ...]."""
    if members == 1:
        return values
    shape = tf.shape(values)
    by_member = tf.reshape(values, tf.concat([[members, -1], shape[1:]], axis=0))
    return tf.reduce_mean(by_member, axis=0)


def _hottest_area(heat: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Its first row and column of patches, int32[B, L], from float32[B, h, w, L]."""
    # The mean over a window ranks areas as their sum does, and along one axis at a time
    # it takes an eighth of the work.
    means = tf.nn.avg_pool2d(heat, [AREA, 1], strides=1, padding="VALID")
    means = tf.nn.avg_pool2d(means, [1, AREA], strides=1, padding="VALID")
    best = tf.argmax(by_landmark(means), axis=-1, output_type=tf.int32)
    steps = tf.shape(heat)[2] - AREA + 1
    return best // steps, best % steps


def _peak(candidate_map: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The highest pixel, (x, y), and its height: float32[B, L, 2] and [B, L]."""
    shape = tf.shape(candidate_map)
    flat = tf.reshape(candidate_map, [shape[0], shape[1], SIDE * SIDE])
    peak = tf.argmax(flat, axis=-1, output_type=tf.int32)
    points = tf.stack([peak % SIDE, peak // SIDE], axis=-1)
    return tf.cast(points, tf.float32), tf.reduce_max(flat, axis=-1)


def _sub_pixel_peak(candidate_map: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return peak.peak(tf.transpose(candidate_map, [0, 2, 3, 1]), 1)


def by_landmark(values: tf.Tensor) -> tf.Tensor:
    """Each landmark's patches in one row: [B, h, w, L, ...] -> [B, L, h w, ...]."""
    shape = tf.shape(values)
    rows = tf.reshape(values, tf.concat([shape[:1], [-1], shape[3:]], axis=0))
    return tf.experimental.numpy.swapaxes(rows, 1, 2)
