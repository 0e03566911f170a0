"""Reads the outputs of networks: a point, a confidence and evidence per landmark."""

from typing import NamedTuple

import tensorflow as tf

from phdnet_tf.config import NETWORKS, ModelConfig
from phdnet_tf.decoding import peak, simple, smoothing
from phdnet_tf.geometry import CANVAS_SIZE


class Reading(NamedTuple):
    """The landmarks of B images, in canvas pixels.

    Attributes:
        points: float32[B, L, 2], (x, y), by the strategy of the settings.
        confidence: float32[B, L]; 0 or more, no unit.
        evidence: float32[B, L, K], predictors of a point's error; larger values mean a
            larger error. They are logarithms: of the peak (times -1), and of the spread
            of the map around it. PHD-Net adds the hottest patch's heat (times -1) and
            the distance to that patch's own point. Several networks add the distance
            between their points. Test-time augmentation has its own evidence; see
            `test_time_augmentation.look_again`.
        by_strategy: float32[B, L, 2] for every strategy of one look, and for
            "augmented" if it is the strategy of the settings. Several networks add
            "mean", the mean of their own points (E-CPV: Schobs et al., IEEE TMI 2023),
            at the first look.
        member_spread: float32[B, L], root mean square distance of the networks' own
            points from their mean, at the first look; 0 for one network.
        map: float32[B, L, h, w], the candidate map, or the whole heatmap, of the first
            look.
        corners: float32[B, L, 2, 2], (x, y) of the map's first and last pixel.
    """

    points: tf.Tensor
    confidence: tf.Tensor
    evidence: tf.Tensor
    by_strategy: dict[str, tf.Tensor]
    member_spread: tf.Tensor
    map: tf.Tensor
    corners: tf.Tensor


def read(outputs: dict[str, tf.Tensor], model: ModelConfig, members: int) -> Reading:
    """Reads the outputs of one network, or of several that see the same images.

    Args:
        outputs: Outputs of the networks, the B images of the first network, then of the
            second, and so on: "heatmap", float32[M B, h, w, L], and for PHD-Net
            "displacement".
        model: Settings of the networks. The strategy must be one of a single look.
        members: Number of networks, M.

    Returns:
        The reading.
    """
    if NETWORKS[model.network].whole_images:
        return _read_heatmap(outputs["heatmap"], model, members)
    return _read_patches(outputs, model, members)


def _read_patches(
    outputs: dict[str, tf.Tensor], model: ModelConfig, members: int
) -> Reading:
    heatmap = smoothing.mean_of_members(outputs["heatmap"], members)
    code = smoothing.mean_of_members(outputs["displacement"], members)
    direct, heat = simple.simple(heatmap, code)
    smoothed = smoothing.smooth(**outputs, members=members)
    weighted = smoothing.smooth(**outputs, members=members, weighted=True)
    points, confidence = {
        "smoothing": (smoothed.landmarks, smoothed.confidence),
        "weighted": (weighted.landmarks, weighted.confidence),
        "simple": (direct, heat),
    }[model.strategy]

    is_weighted = model.strategy == "weighted"
    shown = weighted if is_weighted else smoothed
    last = shown.corner + smoothing.SIDE - 1
    width = _spread(shown.candidate_map, points - shown.corner)
    apart = tf.norm(shown.landmarks - direct, axis=-1)
    reading = Reading(
        points=points,
        confidence=confidence,
        evidence=_columns(
            [
                -log_heat(confidence),
                -log_heat(heat),
                log_pixels(width),
                log_pixels(apart),
            ]
        ),
        by_strategy={
            "smoothing": smoothed.landmarks,
            "simple": direct,
            "weighted": weighted.landmarks,
        },
        member_spread=tf.zeros_like(confidence),
        map=shown.candidate_map,
        corners=tf.stack([shown.corner, last], axis=2),
    )
    if members == 1:
        return reading
    own = smoothing.smooth(**outputs, weighted=is_weighted).landmarks
    return _with_members(reading, own, members)


def _read_heatmap(heatmap: tf.Tensor, model: ModelConfig, members: int) -> Reading:
    cell = NETWORKS[model.network].cell
    mean = smoothing.mean_of_members(heatmap, members)
    points, confidence = peak.peak(mean, cell)
    maps = tf.transpose(mean, [0, 3, 1, 2])
    edge = (cell - 1) / 2
    width = _spread(tf.nn.relu(maps), (points - edge) / cell) * cell
    ends = tf.constant([[edge] * 2, [CANVAS_SIZE - 1 - edge] * 2])
    reading = Reading(
        points=points,
        confidence=confidence,
        evidence=_columns([-log_heat(confidence), log_pixels(width)]),
        by_strategy={"peak": points},
        member_spread=tf.zeros_like(confidence),
        map=maps,
        corners=tf.zeros_like(points)[:, :, None] + ends,
    )
    if members == 1:
        return reading
    return _with_members(reading, peak.peak(heatmap, cell)[0], members)


def _with_members(reading: Reading, points: tf.Tensor, members: int) -> Reading:
    """Adds evidence from the points of M networks, [M B, L, 2]."""
    mean = smoothing.mean_of_members(points, members)
    apart = points - tf.tile(mean, [members, 1, 1])
    squared = tf.reduce_sum(tf.square(apart), axis=-1)
    spread = tf.sqrt(smoothing.mean_of_members(squared, members))
    return reading._replace(
        by_strategy={**reading.by_strategy, "mean": mean},
        member_spread=spread,
        evidence=tf.concat([reading.evidence, _columns([log_pixels(spread)])], -1),
    )


def _columns(evidence: list[tf.Tensor]) -> tf.Tensor:
    return tf.stack(evidence, axis=-1)


def _spread(maps: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """Root mean square distance of a map's mass from a point, in the map's pixels."""
    mass = tf.reduce_sum(maps, axis=[2, 3])
    squared = tf.zeros_like(mass)
    for axis, along in ((0, 2), (1, 3)):
        # The other axis is summed first: x keeps columns, y keeps rows.
        profile = tf.reduce_sum(maps, axis=along)
        pixels = tf.range(tf.shape(profile)[2], dtype=tf.float32)
        distance = tf.square(pixels - points[..., axis, None])
        squared += tf.reduce_sum(profile * distance, axis=2)
    return tf.sqrt(tf.math.divide_no_nan(squared, mass))


def log_heat(value: tf.Tensor) -> tf.Tensor:
    """The logarithm of heat. Heat below the smallest value counts as that value."""
    return tf.math.log(tf.maximum(value, peak.SMALLEST))


def log_pixels(distance: tf.Tensor) -> tf.Tensor:
    """The logarithm of a distance. Distances within a pixel hardly differ."""
    return tf.math.log1p(distance)
