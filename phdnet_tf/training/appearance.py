"""How a training view is changed so that it looks like another scanner's or sequence's.

What is drawn here takes its numbers from the view's seed, apart from those of its
geometry, so that one setting changes nothing that another draws.
"""

import tensorflow as tf

from phdnet_tf.config import CropConfig

KNOTS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Of the intensity curve, in units of a normalised image, where 1 is bright tissue."""


def recoloured(pixels: tf.Tensor, crops: CropConfig, seed: tf.Tensor) -> tf.Tensor:
    """A view with another contrast, brightness, coil and noise.

    Pixels of 0 stay 0: that is what is outside an image, on the canvas too, and the
    air that scanners mask.

    Args:
        pixels: float32[size, size, 1], normalised, 0 or more.
        crops: How much is changed; settings of 0 change nothing.
        seed: int64[2], of the view.

    Returns:
        float32[size, size, 1], 0 or more.
    """
    draw = 2 * tf.random.stateless_uniform([11], tf.random.fold_in(seed, 2)) - 1
    recoloured = pixels
    if crops.curve:
        recoloured = _on_curve(recoloured, crops.curve * draw[:4])
    if crops.exposure:
        recoloured *= tf.exp(crops.exposure * draw[4])
    if crops.shading:
        recoloured *= _coil(recoloured.shape[0], crops.shading * draw[5:10])
    if crops.noise:
        spread = crops.noise * tf.abs(draw[10])
        own = tf.random.fold_in(seed, 3)
        noise = spread * tf.random.stateless_normal(pixels.shape, own)
        # A magnitude is never negative.
        recoloured = tf.where(pixels > 0, tf.abs(recoloured + noise), 0.0)
    return recoloured


def _on_curve(pixels: tf.Tensor, changes: tf.Tensor) -> tf.Tensor:
    """Intensities through a line with bends at the knots, of which the first stays.

    It may fall: a sequence can make bright what another makes dark. Beyond the last
    knot it rises as the identity does.
    """
    knots = tf.constant(KNOTS)
    values = tf.concat([knots[:1], knots[1:] + changes], axis=0)
    slopes = (values[1:] - values[:-1]) / (knots[1:] - knots[:-1])
    slopes = tf.concat([[0.0], slopes, [1.0]], axis=0)
    beyond = tf.nn.relu(pixels - knots)
    return tf.linalg.matvec(beyond, slopes[1:] - slopes[:-1])[..., None]


def _coil(size: int, bends: tf.Tensor) -> tf.Tensor:
    """Sensitivity of a coil over a view, float32[size, size, 1]; 1 in its middle.

    Args:
        size: Side of the view, in its pixels.
        bends: float32[5], the largest change of its logarithm along x, y, both, and
            along x and y from the middle outwards.
    """
    x = tf.linspace(-1.0, 1.0, size)
    y = x[:, None]
    across = bends[0] * x + bends[3] * x**2
    down = bends[1] * y + bends[4] * y**2
    return tf.exp(across + down + bends[2] * x * y)[..., None]
