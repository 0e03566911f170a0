"""The labels of the networks, and the weights of their errors."""

import tensorflow as tf

from phdnet_tf.config import NETWORKS, ModelConfig
from phdnet_tf.geometry import PATCH_SIZE, encode_displacement, patch_centres

Labels = dict[str, tf.Tensor]


def labels_of(
    landmarks: tf.Tensor, size: int, model: ModelConfig
) -> tuple[Labels, Labels]:
    """Labels and weights of square inputs, for the network of the settings.

    Args:
        landmarks: float32[B, L, 2], (x, y) in pixels of the input. NaN: not annotated.
        size: Side of the inputs, in pixels.
        model: Settings of the network and its heatmap label.

    Returns:
        As `patch_labels`, or as `heatmap_labels` for a network without patches.
    """
    network = NETWORKS[model.network]
    side = size // network.stride
    if network.whole_images:
        return heatmap_labels(landmarks, side, network.stride, model.heatmap_std)
    return patch_labels(landmarks, side, side, model.mapping, model.heatmap_std)


def heatmap_labels(
    landmarks: tf.Tensor, side: int, stride: int, heatmap_std: float
) -> tuple[Labels, Labels]:
    """Heatmap labels of whole images, for Hourglass and U-Net (section 3.3).

    The Gaussian is centred at the landmark itself, not at the value that contains it,
    so that its peak can be read with subpixel precision.

    Args:
        landmarks: float32[B, L, 2], (x, y) in pixels of the input. NaN: not annotated.
        side: Rows and columns of the heatmap, h.
        stride: Side of a heatmap value, in input pixels.
        heatmap_std: Standard deviation of the Gaussian, in values.

    Returns:
        Labels {"heatmap": float32[B, h, h, L]} and weights {"heatmap": float32[B, h,
        h, L]}, 1, and 0 where not annotated.
    """
    landmarks, annotated = _without_nan(landmarks)
    # Value i covers the pixels from i * stride - 0.5 on: its middle is not at i.
    centres = (landmarks - (stride - 1) / 2) / stride
    squared = tf.reduce_sum(tf.square(_grid(side, side) - centres), axis=-1)
    heatmap = tf.exp(-squared / (2 * heatmap_std**2))
    return {"heatmap": heatmap * annotated}, {
        "heatmap": annotated * tf.ones_like(heatmap)
    }


def patch_labels(
    landmarks: tf.Tensor, rows: int, columns: int, mapping: str, heatmap_std: float
) -> tuple[Labels, Labels]:
    """Labels and loss weights of the patches of crops or canvases (section 2.1).

    The Gaussian's mean is the patch that contains the landmark. For a landmark outside
    the crop, this patch is beyond the edge, and the Gaussian's tail reaches in.

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
    landmarks, annotated = _without_nan(landmarks)
    # Pixel 7's right edge is at 7.5: the patch of x is floor((x + 0.5) / 8).
    patch = tf.floor((landmarks + 0.5) / PATCH_SIZE)
    squared = tf.reduce_sum(tf.square(_grid(rows, columns) - patch), axis=-1)
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


def _without_nan(landmarks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Landmarks float32[B, 1, 1, L, 2], 0 for NaN; and [B, 1, 1, L], if annotated."""
    annotated = tf.reduce_all(tf.math.is_finite(landmarks), axis=-1)
    # NaN times a weight of 0 is NaN, so the absent ones get a number, whichever.
    landmarks = tf.where(annotated[..., None], landmarks, 0.0)
    return landmarks[:, None, None], tf.cast(annotated, tf.float32)[:, None, None]


def _grid(rows: int, columns: int) -> tf.Tensor:
    """float32[1, rows, columns, 1, 2], the (x, y) of each value of a map."""
    x, y = tf.range(columns, dtype=tf.float32), tf.range(rows, dtype=tf.float32)
    return tf.stack(tf.meshgrid(x, y), axis=-1)[None, :, :, None]
