"""The hourglass that PHD-Net is compared with (section 3.3), after Newell et al., 2016.

It is one stack: a stem to a quarter of the resolution; an hourglass of four levels of
bottleneck residual units with 256 features; heatmaps. With one residual unit at each
place of Newell's drawing, it has 3.4 million parameters. The paper reports 6 million,
without details. Two units at each place, as common implementations offer
(`num_blocks=2`), give that number.
"""

import keras
from keras import layers

from phdnet_tf.models.normalisation import normalised

FEATURES = 256
LEVELS = 4
UNITS = 2
"""Residual units at each place of the hourglass."""


def build_hourglass(landmarks: int) -> keras.Model:
    """A single stacked hourglass.

    Args:
        landmarks: Number of landmarks, L.

    Returns:
        A functional model from float32[B, 4h, 4w, 1], normalised intensities, to
        {"heatmap": float32[B, h, w, L]}, for h and w that are multiples of 16.
    """
    image = keras.Input((None, None, 1), name="image")
    x = layers.Conv2D(64, 7, strides=2, padding="same", name="stem")(image)
    x = normalised(x, "stem")
    x = _residual(x, 128, "stem_1")
    x = layers.MaxPooling2D(2, name="stem_pool")(x)
    x = _residual(x, 128, "stem_2")
    x = _residual(x, FEATURES, "stem_3")
    x = _hourglass(x, LEVELS)
    x = _residuals(x, "features")
    x = layers.Conv2D(FEATURES, 1, name="last")(x)
    x = normalised(x, "last")
    heatmap = layers.Conv2D(landmarks, 1, dtype="float32", name="heatmap")(x)
    return keras.Model(image, {"heatmap": heatmap}, name="hourglass")


def _hourglass(x: keras.KerasTensor, level: int) -> keras.KerasTensor:
    beside = _residuals(x, f"level_{level}_beside")
    x = layers.MaxPooling2D(2, name=f"level_{level}_pool")(x)
    x = _residuals(x, f"level_{level}_down")
    x = _hourglass(x, level - 1) if level > 1 else _residuals(x, "bottom")
    x = _residuals(x, f"level_{level}_up")
    x = layers.UpSampling2D(2, name=f"level_{level}_upsampling")(x)
    return layers.Add(name=f"level_{level}_sum")([beside, x])


def _residuals(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    for number in range(1, UNITS + 1):
        x = _residual(x, FEATURES, f"{name}_{number}")
    return x


def _residual(x: keras.KerasTensor, features: int, name: str) -> keras.KerasTensor:
    """A pre-activation bottleneck: 1x1 to half the features, 3x3, 1x1."""
    shortcut = x
    if x.shape[-1] != features:
        shortcut = layers.Conv2D(features, 1, name=f"{name}_shortcut")(x)
    for number, (filters, kernel) in enumerate(
        ((features // 2, 1), (features // 2, 3), (features, 1)), 1
    ):
        part = f"{name}_{number}"
        x = normalised(x, part)
        x = layers.Conv2D(filters, kernel, padding="same", name=part)(x)
    return layers.Add(name=f"{name}_sum")([x, shortcut])
