"""What the network should answer: the labels and weights of every patch."""

import tensorflow as tf

from phdnet_tf.geometry import PATCH_SIZE, encode_displacement, patch_centres

Labels = dict[str, tf.Tensor]


def patch_labels(
    landmarks: tf.Tensor, rows: int, columns: int, mapping: str, heatmap_std: float
) -> tuple[Labels, Labels]:
    """Labels and loss weights of the patches of crops or canvases (section 2.1).

    The Gaussian's mean is the patch that contains the landmark. A landmark outside the
    crop has such a patch too, beyond the edge, and the Gaussian's tail reaches in.

    Args:
        landmarks: float32[B, L, 2], (x, y) in pixels of the crop. NaN: not annotated.
        rows: Number of patch rows, h.
        columns: Number of patch columns, w.
        mapping: "gaussian" or "binary", the heatmap's label.
        heatmap_std: Standard deviation of the Gaussian, in patches.

    Returns:
        Labels {"heatmap": float32[B, h, w, L], "displacement": float32[B, h, w, L, 2]}
        and weights {"heatmap": float32[B, h, w, L], 1, and 0 where not annotated;
        "displacement": float32[B, h, w, L], the Gaussian, and 0 where not annotated}.
    """
    annotated = tf.reduce_all(tf.math.is_finite(landmarks), axis=-1)
    # NaN times a weight of 0 is NaN, so the absent ones get a number, whichever.
    landmarks = tf.where(annotated[..., None], landmarks, 0.0)[:, None, None]
    annotated = tf.cast(annotated, tf.float32)[:, None, None]

    # Pixel 7's right edge is at 7.5: the patch of x is floor((x + 0.5) / 8).
    patch = tf.floor((landmarks + 0.5) / PATCH_SIZE)
    grid = tf.stack(
        tf.meshgrid(
            tf.range(columns, dtype=tf.float32), tf.range(rows, dtype=tf.float32)
        ),
        axis=-1,
    )
    squared = tf.reduce_sum(tf.square(grid[None, :, :, None] - patch), axis=-1)
    gaussian = tf.exp(-squared / (2 * heatmap_std**2))
    heatmap = gaussian if mapping == "gaussian" else tf.cast(squared == 0, tf.float32)

    centres = patch_centres(rows, columns)[None, :, :, None]
    labels = {
        "heatmap": heatmap * annotated,
        "displacement": encode_displacement(landmarks - centres),
    }
    weights = {
        "heatmap": annotated * tf.ones_like(gaussian),
        "displacement": annotated * gaussian,
    }
    return labels, weights
