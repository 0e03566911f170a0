"""The network: an encoder and two heads (section 2, after Noothout et al., 2018)."""

import keras
from keras import layers, ops

from phdnet_tf.config import PAPER_FILTERS
from phdnet_tf.models.normalisation import normalised

BRANCH_FILTERS = (64, 96)


def build_phdnet(
    landmarks: int,
    filters: tuple[int, ...] = PAPER_FILTERS,
    dilations: tuple[int, ...] = (),
    strided: bool = False,
    pool_last: bool = False,
) -> keras.Model:
    """PHD-Net. With the paper's settings it has about 0.06 million parameters.

    Three times convolution and pooling make patches of 8x8 pixels. Three more
    convolutions widen a patch's field of view to 70 pixels. Two branches of 1x1
    convolutions, the paper's fully connected layers, end in the heads. Batch
    normalisation follows every convolution except the heads, as in the author's code.

    A patch with so small a field of view cannot know where in the thorax it is. Dilated
    convolutions in front of the branches, as residual units, widen the field of view by
    16 pixels for every unit of dilation.

    Args:
        landmarks: Number of landmarks, L.
        filters: Filters of the convolutions before the dilated ones, three or more.
        dilations: Dilations of the dilated convolutions, in their order.
        strided: Whether the first convolution has a stride of two pixels instead of a
            pooling after it. This is a quarter of the work at full resolution.
        pool_last: Whether pooling follows normalisation and rectifier, as in the
            author's code. Otherwise it comes before them, which is a quarter of the
            work, and differs where a scale is negative.

    Returns:
        A functional model from float32[B, 8h, 8w, 1], normalised intensities, to
        {"heatmap": float32[B, h, w, L], "displacement": float32[B, h, w, L, 2], (x, y)
        in the code of `geometry.encode_displacement`}, for any h and w.
    """
    image = keras.Input((None, None, 1), name="image")
    x = image
    for block, count in enumerate(filters, 1):
        name = f"encoder_{block}"
        if strided and block == 1:
            # An even kernel lies evenly around the two pixels that become one.
            x = _convolution(x, count, 4, name, stride=2)
        else:
            pool = ("last" if pool_last else "first") if block <= 3 else ""
            x = _convolution(x, count, 3, name, pool=pool)
    for number, dilation in enumerate(dilations, 1):
        seen = _convolution(x, filters[-1], 3, f"context_{number}", dilation=dilation)
        x = layers.Add(name=f"context_{number}_add")([x, seen])

    heatmap = layers.Conv2D(landmarks, 1, dtype="float32", name="heatmap")(
        _branch(x, "heatmap")
    )
    # First all x, then all y: a split that needs no knowledge of h and w.
    flat = layers.Conv2D(2 * landmarks, 1, dtype="float32", name="displacement_xy")(
        _branch(x, "displacement")
    )
    displacement = ops.stack(ops.split(flat, 2, axis=-1), axis=-1)
    return keras.Model(
        image, {"heatmap": heatmap, "displacement": displacement}, name="phdnet"
    )


def _convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    name: str,
    pool: str = "",
    stride: int = 1,
    dilation: int = 1,
) -> keras.KerasTensor:
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,  # Batch normalisation has an offset of its own.
        name=name,
    )(x)
    if pool == "first":
        x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    x = normalised(x, name)
    if pool == "last":
        x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    return x


def _branch(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    for number, filters in enumerate(BRANCH_FILTERS, 1):
        x = _convolution(x, filters, 1, f"{name}_branch_{number}")
    return x
