"""The network: an encoder and two heads (section 2, after Noothout et al., 2018)."""

import keras
from keras import layers, ops

FILTERS = 32
BRANCH_FILTERS = (64, 96)


def build_phdnet(landmarks: int) -> keras.Model:
    """The paper's network, with about 0.06 million parameters.

    Three times convolution and pooling make patches of 8x8 pixels; three more
    convolutions let a patch see 70 pixels; two branches of 1x1 convolutions, the
    paper's fully connected layers, end in the heads. Every convolution but the heads is
    followed by batch normalisation, as in the author's code.

    Args:
        landmarks: Number of landmarks, L.

    Returns:
        A functional model from float32[B, 8h, 8w, 1], normalised intensities, to
        {"heatmap": float32[B, h, w, L], "displacement": float32[B, h, w, L, 2], coded
        (x, y) as `geometry.encode_displacement` has it}, for any h and w.
    """
    image = keras.Input((None, None, 1), name="image")
    x = image
    for block in range(1, 4):
        x = _convolution(x, FILTERS, 3, f"encoder_{block}", pool=True)
    for block in range(4, 7):
        x = _convolution(x, FILTERS, 3, f"encoder_{block}")

    heatmap = layers.Conv2D(landmarks, 1, name="heatmap")(_branch(x, "heatmap"))
    # First all x, then all y: a split that needs no knowledge of h and w.
    flat = layers.Conv2D(2 * landmarks, 1, name="displacement_xy")(
        _branch(x, "displacement")
    )
    displacement = ops.stack(ops.split(flat, 2, axis=-1), axis=-1)
    return keras.Model(
        image, {"heatmap": heatmap, "displacement": displacement}, name="phdnet"
    )


def _convolution(
    x: keras.KerasTensor, filters: int, kernel: int, name: str, pool: bool = False
) -> keras.KerasTensor:
    # Batch normalisation has an offset of its own, so the convolution needs no bias.
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=name)(x)
    if pool:
        # The rectifier rises, so it may follow the pooling: a quarter of the work.
        x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    # PyTorch's default momentum, and so the author's: Keras's 0.99 lags behind by a
    # hundred steps, which are many in a short training.
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_normalisation")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _branch(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    for number, filters in enumerate(BRANCH_FILTERS, 1):
        x = _convolution(x, filters, 1, f"{name}_branch_{number}")
    return x
