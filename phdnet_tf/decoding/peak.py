"""The strategy "peak": from heatmaps of whole images to coordinates.

It reads the networks that PHD-Net is compared with, which have no displacements
(section 3.3).
"""

import tensorflow as tf

SMALLEST = 1e-6
"""Heat below this value is raised to it, so that its logarithm is finite."""


@tf.function(reduce_retracing=True, autograph=False)
def peak(heatmap: tf.Tensor, cell: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The peak of each heatmap, with subpixel precision, and its height.

    The logarithm of a Gaussian is a parabola, which three values determine. A parabola
    through the highest value and its two neighbours, in each axis, therefore has the
    Gaussian's peak, wherever this lies between values (the idea of Zhang et al.,
    "Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR
    2020).

    Args:
        heatmap: float32[B, h, w, L].
        cell: Side of a heatmap value, in canvas pixels.

    Returns:
        float32[B, L, 2], (x, y) in canvas pixels, and float32[B, L], the highest value.
    """
    shape = tf.shape(heatmap)
    rows, columns = shape[1], shape[2]
    maps = tf.transpose(heatmap, [0, 3, 1, 2])
    flat = tf.reshape(maps, [shape[0], shape[3], rows * columns])
    best = tf.argmax(flat, axis=-1, output_type=tf.int32)
    y, x = best // columns, best % columns

    row = tf.gather(maps, y, axis=2, batch_dims=2)
    column = tf.gather(maps, x, axis=3, batch_dims=2)
    whole = tf.cast(tf.stack([x, y], axis=-1), tf.float32)
    fraction = tf.stack([_vertex(row, x), _vertex(column, y)], axis=-1)
    points = (whole + fraction) * cell + (cell - 1) / 2
    return points, tf.reduce_max(flat, axis=-1)


def _vertex(line: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Where the Gaussian at a maximum peaks, from there: [B, L, n] -> [B, L]."""
    line = tf.math.log(tf.maximum(line, SMALLEST))
    # The outermost values have one neighbour, so the parabola around the next is used.
    middle = tf.clip_by_value(position, 1, tf.shape(line)[-1] - 2)
    left, centre, right = (
        tf.gather(line, middle + offset, axis=2, batch_dims=2) for offset in (-1, 0, 1)
    )
    curvature = left - 2 * centre + right
    vertex = tf.math.divide_no_nan(left - right, 2 * curvature)
    vertex += tf.cast(middle - position, tf.float32)
    # A true Gaussian's peak is half a value away at the most; noise may say otherwise.
    return tf.clip_by_value(vertex, -0.5, 0.5)
