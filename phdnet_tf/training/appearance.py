"""How a training view is changed so that it looks like another scanner's or sequence's.

What is drawn here takes its numbers from the batch's seed, each from a place of its
own, so that one setting changes nothing that another draws.
"""

import tensorflow as tf

from phdnet_tf.config import CropConfig

KNOTS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Of the intensity curve, in units of a normalised image, where 1 is bright tissue."""


def recoloured(views: tf.Tensor, crops: CropConfig, seed: tf.Tensor) -> tf.Tensor:
    """Views with another contrast, brightness, coil and noise, each with its own.

    Pixels of 0 stay 0: that is what is outside an image, on the canvas too, and the
    air that scanners mask.

    Args:
        views: float32[B, size, size, 1], normalised, 0 or more.
        crops: How much is changed; settings of 0 change nothing.
        seed: int64[2], of the batch: all its views are drawn at once, which takes less
            time than one by one.

    Returns:
        float32[B, size, size, 1], 0 or more.
    """
    own = tf.random.fold_in(seed, 2)
    draw = 2 * tf.random.stateless_uniform([tf.shape(views)[0], 11], own) - 1
    recoloured = views
    if crops.curve:
        recoloured = _on_curve(recoloured, crops.curve * draw[:, :4])
    if crops.exposure:
        recoloured *= tf.exp(crops.exposure * draw[:, 4, None, None, None])
    if crops.shading:
        recoloured *= _coils(views.shape[1], crops.shading * draw[:, 5:10])
    if crops.noise:
        spread = crops.noise * tf.abs(draw[:, 10, None, None, None])
        own = tf.random.fold_in(seed, 3)
        noise = spread * tf.random.stateless_normal(tf.shape(views), own)
        # A magnitude is never negative.
        recoloured = tf.where(views > 0, tf.abs(recoloured + noise), 0.0)
    return recoloured


def _on_curve(views: tf.Tensor, changes: tf.Tensor) -> tf.Tensor:
    """Intensities through lines with bends at the knots, of which the first stays.

    They may fall: a sequence can make bright what another makes dark. Beyond the last
    knot they rise as the identity does.

    Args:
        views: float32[B, size, size, 1].
        changes: float32[B, 4], of the knots but the first.
    """
    knots = tf.constant(KNOTS)
    values = tf.pad(changes, [[0, 0], [1, 0]]) + knots
    slopes = (values[:, 1:] - values[:, :-1]) / (knots[1:] - knots[:-1])
    slopes = tf.pad(slopes, [[0, 0], [1, 0]])
    slopes = tf.concat([slopes, tf.ones_like(slopes[:, :1])], axis=1)
    bends = (slopes[:, 1:] - slopes[:, :-1])[:, :, None, None, None]
    answer = tf.zeros_like(views)
    for number, knot in enumerate(KNOTS):
        answer += bends[:, number] * tf.nn.relu(views - knot)
    return answer


def _coils(size: int, bends: tf.Tensor) -> tf.Tensor:
    """Sensitivities of coils over views, float32[B, size, size, 1]; 1 in the middle.

    Args:
        size: Side of a view, in its pixels.
        bends: float32[B, 5], the largest change of the logarithm along x, y, both, and
            along x and y from the middle outwards.
    """
    x = tf.linspace(-1.0, 1.0, size)
    y = x[:, None]
    x_only, y_only, both, x_out, y_out = tf.unstack(bends[:, :, None, None], axis=1)
    across = x_only * x + x_out * x**2
    down = y_only * y + y_out * y**2
    return tf.exp(across + down + both * x * y)[..., None]
