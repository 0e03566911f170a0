"""Augments training pictures so that they look like another scanner's or sequence's.

Each random quantity has its own seed, derived from the batch's seed, so that one
setting does not change what another draws.
"""

import tensorflow as tf

from phdnet_tf.config import CropConfig

KNOTS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Knots of the intensity curve, in units of a normalised image (1 is bright tissue)."""


def recoloured(views: tf.Tensor, crops: CropConfig, seed: tf.Tensor) -> tf.Tensor:
    """Changes contrast, brightness, coil and noise of each picture at random.

    Pixels of 0 stay 0: they are outside the image, or air that the scanner masked.

    Args:
        views: float32[B, size, size, 1], normalised pictures, 0 or more.
        crops: The largest changes. Settings of 0 change nothing.
        seed: int64[2], seed of the batch. All its pictures are changed at once, which
            is faster than one by one.

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
    """Maps intensities by a piecewise linear curve, whose first knot does not move.

    The curve may fall, because what is bright in one sequence can be dark in another.
    Beyond the last knot it has a slope of 1.

    Args:
        views: float32[B, size, size, 1].
        changes: float32[B, 4], changes at all knots but the first.
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
    """Coil sensitivities over pictures, float32[B, size, size, 1]; 1 in the middle.

    Args:
        size: Side of a picture, in its pixels.
        bends: float32[B, 5], the largest change of the logarithm for each component:
            linear in x, linear in y, in x times y, and quadratic in x and in y.
    """
    x = tf.linspace(-1.0, 1.0, size)
    y = x[:, None]
    x_only, y_only, both, x_out, y_out = tf.unstack(bends[:, :, None, None], axis=1)
    across = x_only * x + x_out * x**2
    down = y_only * y + y_out * y**2
    return tf.exp(across + down + both * x * y)[..., None]
