"""The strategy of the paper's baseline: the hottest patch's own displacement."""

import tensorflow as tf

from phdnet_tf.decoding.smoothing import by_landmark
from phdnet_tf.geometry import decode_displacement, patch_centres


@tf.function(reduce_retracing=True, autograph=False)
def simple(heatmap: tf.Tensor, displacement: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds the hottest patch's displacement to its centre (Noothout et al., 2018).

    Args:
        heatmap: float32[B, h, w, L].
        displacement: float32[B, h, w, L, 2], in the code of `encode_displacement`.

    Returns:
        float32[B, L, 2], (x, y) in canvas pixels, and float32[B, L], the patch's heat.
    """
    heat = by_landmark(heatmap)
    best = tf.argmax(heat, axis=-1, output_type=tf.int32)
    code = tf.gather(by_landmark(displacement), best, axis=2, batch_dims=2)
    shape = tf.shape(heatmap)
    centres = tf.reshape(patch_centres(shape[1], shape[2]), [-1, 2])
    return tf.gather(centres, best) + decode_displacement(code), tf.reduce_max(heat, -1)
