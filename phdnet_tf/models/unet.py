"""The U-Net that PHD-Net is compared with (section 3.3): MONAI's, with five levels.

It follows MONAI 1.x's `UNet(spatial_dims=2, channels=(16, 32, 64, 128, 256),
strides=(2, 2, 2, 2), num_res_units=2)`: residual units of two convolutions on the way
down and of one on the way up, transposed convolutions, instance normalisation without
scale or offset, and a rectifier with one learnt slope after each. These settings give
the 1.63 million parameters of the paper, which does not name them.
"""

import keras
from keras import layers

CHANNELS = (16, 32, 64, 128, 256)


def build_unet(landmarks: int) -> keras.Model:
    """MONAI's residual U-Net, with 1.63 million parameters.

    Args:
        landmarks: Number of landmarks, L.

    Returns:
        A functional model from float32[B, H, W, 1], normalised intensities, to
        {"heatmap": float32[B, H, W, L]}, for H and W that are multiples of 16.
    """
    image = keras.Input((None, None, 1), name="image")
    skips = []
    x = image
    for level, channels in enumerate(CHANNELS[:-1], 1):
        x = _residual_unit(x, channels, 2, f"down_{level}")
        skips.append(x)
    # MONAI's lowest level keeps the resolution.
    x = _residual_unit(x, CHANNELS[-1], 1, f"down_{len(CHANNELS)}")
    for level in range(len(skips), 0, -1):
        x = layers.Concatenate(name=f"skip_{level}")([skips[level - 1], x])
        # Each level gives what the level above has; the uppermost, the heatmaps.
        channels = landmarks if level == 1 else CHANNELS[level - 2]
        x = layers.Conv2DTranspose(
            channels, 3, strides=2, padding="same", name=f"up_{level}_transposed"
        )(x)
        x = _activated(x, f"up_{level}_transposed")
        inner = layers.Conv2D(channels, 3, padding="same", name=f"up_{level}")(x)
        if level > 1:
            inner = _activated(inner, f"up_{level}")
        # The sum of the uppermost level is the heatmap.
        settings = {"name": f"up_{level}_sum"}
        if level == 1:
            settings = {"name": "heatmap", "dtype": "float32"}
        x = layers.Add(**settings)([inner, x])
    return keras.Model(image, {"heatmap": x}, name="unet")


def _residual_unit(
    x: keras.KerasTensor, channels: int, stride: int, name: str
) -> keras.KerasTensor:
    inner = x
    for number, step in enumerate((stride, 1), 1):
        part = f"{name}_{number}"
        inner = layers.Conv2D(channels, 3, step, padding="same", name=part)(inner)
        inner = _activated(inner, part)
    kernel = 1 if stride == 1 else 3
    shortcut = layers.Conv2D(
        channels, kernel, stride, padding="same", name=f"{name}_shortcut"
    )(x)
    return layers.Add(name=f"{name}_sum")([inner, shortcut])


def _activated(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.GroupNormalization(
        groups=-1, scale=False, center=False, name=f"{name}_normalisation"
    )(x)
    # One slope for all, as in PyTorch.
    return layers.PReLU(
        alpha_initializer=keras.initializers.Constant(0.25),
        shared_axes=[1, 2, 3],
        name=f"{name}_prelu",
    )(x)
