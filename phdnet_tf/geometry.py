"""Coordinates: image pixels, canvas pixels, patches, displacements, millimetres.

Axis letters, used in every docstring: B batch; L landmarks; H, W image rows and
columns; h, w patch rows and columns. A position is (x, y) in pixels, and (0, 0) is the
centre of the top-left pixel. A pixel spacing is DICOM's PixelSpacing: (between rows,
between columns), which is (y, x), in millimetres.

The canvas is what the network sees: a square of 0.9375 mm pixels (the paper's, section
3.1) whose centre is the image's centre. Image and canvas are related by one scale per
axis, which depends only on the image's size and spacing.
"""

import math

import tensorflow as tf

CANVAS_SIZE = 512
"""Side of the canvas, in pixels."""

CANVAS_SPACING = 0.9375
"""Side of a canvas pixel, in millimetres."""

CANVAS_DIAGONAL = CANVAS_SIZE * CANVAS_SPACING * math.sqrt(2)
"""Diagonal of the canvas, in mm: no two points of it are farther apart. An error radius
of this length promises nothing."""

PATCH_SIZE = 8
"""Side of a patch, in canvas pixels: the result of three 2x2 poolings."""


def canvas_scale(pixel_spacing: tf.Tensor) -> tf.Tensor:
    """Image pixels per canvas pixel.

    Args:
        pixel_spacing: float32[..., 2], (y, x), mm.

    Returns:
        float32[..., 2], along (x, y).
    """
    return CANVAS_SPACING / tf.reverse(pixel_spacing, axis=[-1])


def _centre(height: tf.Tensor | int, width: tf.Tensor | int) -> tf.Tensor:
    return (tf.cast(tf.stack([width, height], axis=-1), tf.float32) - 1) / 2


def image_to_canvas(
    points: tf.Tensor,
    height: tf.Tensor | int,
    width: tf.Tensor | int,
    pixel_spacing: tf.Tensor,
) -> tf.Tensor:
    """Converts positions in an image to positions on the canvas.

    Args:
        points: float32[B, L, 2], (x, y), image pixels.
        height: Rows of the images, H.
        width: Columns of the images, W.
        pixel_spacing: float32[B, 2], (y, x), mm.

    Returns:
        float32[B, L, 2], (x, y), canvas pixels.
    """
    scale = canvas_scale(pixel_spacing)[:, None]
    return (points - _centre(height, width)) / scale + (CANVAS_SIZE - 1) / 2


def canvas_to_image(
    points: tf.Tensor,
    height: tf.Tensor | int,
    width: tf.Tensor | int,
    pixel_spacing: tf.Tensor,
) -> tf.Tensor:
    """Converts positions on the canvas to positions in an image.

    Args:
        points: float32[B, L, 2], (x, y), canvas pixels.
        height: Rows of the images, H; int32[B, 1] if they differ.
        width: Columns of the images, W; int32[B, 1] if they differ.
        pixel_spacing: float32[B, 2], (y, x), mm.

    Returns:
        float32[B, L, 2], (x, y), image pixels.
    """
    scale = canvas_scale(pixel_spacing)[:, None]
    return (points - (CANVAS_SIZE - 1) / 2) * scale + _centre(height, width)


def canvas_from_image(
    images: tf.Tensor, pixel_spacing: tf.Tensor, step: int = 1
) -> tf.Tensor:
    """Draws images on the canvas. Pixels that the image does not cover are 0.

    Args:
        images: float32[B, H, W].
        pixel_spacing: float32[B, 2], (y, x), mm.
        step: Side of a pixel of the result, in canvas pixels; a divisor of 512.

    Returns:
        float32[B, 512 / step, 512 / step, 1].
    """
    scale = canvas_scale(pixel_spacing)
    shape = tf.shape(images)
    corner = _centre(shape[1], shape[2]) - scale * (CANVAS_SIZE - 1) / 2
    zero = tf.zeros_like(scale[:, 0])
    matrices = tf.stack(
        [
            tf.stack([scale[:, 0], zero, corner[:, 0]], axis=-1),
            tf.stack([zero, scale[:, 1], corner[:, 1]], axis=-1),
        ],
        axis=1,
    )
    return coarser(sample(images, matrices, CANVAS_SIZE), step)


def coarser(pictures: tf.Tensor, step: int) -> tf.Tensor:
    """Reduces pictures without aliasing: a pixel is the mean of the pixels it covers.

    Pixel i covers the finer pixels i * step to i * step + step - 1. Its middle, in
    pixels of the finer picture, is at i * step + (step - 1) / 2.

    Args:
        pictures: float32[B, h, w, C], h and w multiples of `step`.
        step: Side of the block of pixels that becomes one pixel.

    Returns:
        float32[B, h / step, w / step, C].
    """
    if step == 1:
        return pictures
    return tf.nn.avg_pool2d(pictures, step, step, "VALID")


def sample(images: tf.Tensor, matrices: tf.Tensor, size: int) -> tf.Tensor:
    """Samples square pictures from images by affine maps: bilinear, 0 outside.

    Args:
        images: float32[B, H, W].
        matrices: float32[B, 2, 3]. They map the picture's (x, y, 1) to the image's
            (x, y), both in pixels.
        size: Side of the pictures, in pixels.

    Returns:
        float32[B, size, size, 1].
    """
    # The op wants the eight free numbers of a projective map; two are 0 in affine ones.
    rows = tf.reshape(matrices, [-1, 6])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images[..., None],
        transforms=tf.pad(rows, [[0, 0], [0, 2]]),
        output_shape=tf.constant([size, size]),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )


def normalise(image: tf.Tensor) -> tf.Tensor:
    """Normalises intensities: 0 is the darkest pixel, air, and 1 is bright tissue.

    The unit is the mean of the intensities, each weighted by itself. A pixel of 0
    therefore has no weight, and the unit does not depend on the amount of air around
    the body.

    Args:
        image: float32[..., H, W], in any unit, bright = signal.

    Returns:
        float32[..., H, W]. On the canvas, the 0 outside an image thus means air.
    """
    signal = image - tf.reduce_min(image, axis=[-2, -1], keepdims=True)
    # Of the mean, rather than the sum, whose square might not fit a float32.
    mean = tf.reduce_mean(signal, axis=[-2, -1], keepdims=True)
    relative = tf.math.divide_no_nan(signal, mean)
    weighted = tf.reduce_mean(relative**2, axis=[-2, -1], keepdims=True)
    return tf.math.divide_no_nan(relative, weighted)


def patch_centres(rows: tf.Tensor | int, columns: tf.Tensor | int) -> tf.Tensor:
    """Positions of the patch centres.

    Args:
        rows: Number of patch rows, h. May be a scalar tensor.
        columns: Number of patch columns, w. May be a scalar tensor.

    Returns:
        float32[h, w, 2], the (x, y) of each centre, in canvas pixels.
    """
    # A patch that covers pixels 0 to 7 has its middle at 3.5, not at 4.
    offset = (PATCH_SIZE - 1) / 2
    y = tf.range(rows, dtype=tf.float32) * PATCH_SIZE + offset
    x = tf.range(columns, dtype=tf.float32) * PATCH_SIZE + offset
    return tf.stack(tf.meshgrid(x, y), axis=-1)


def encode_displacement(displacement: tf.Tensor) -> tf.Tensor:
    """The displacement head's label: sign(d) log2(1 + |d|), per axis.

    The paper uses the logarithm of the displacement (section 2.1). log2|d| alone has no
    value at 0 and loses the sign below one pixel. Adding 1 solves both.

    Args:
        displacement: float32[...], canvas pixels.

    Returns:
        float32[...], no unit.
    """
    return (
        tf.sign(displacement) * tf.math.log1p(tf.abs(displacement)) / tf.math.log(2.0)
    )


def decode_displacement(code: tf.Tensor) -> tf.Tensor:
    """The displacement in canvas pixels: the inverse of `encode_displacement`.

    Args:
        code: float32[...], no unit.

    Returns:
        float32[...], canvas pixels.
    """
    return tf.sign(code) * tf.math.expm1(tf.abs(code) * tf.math.log(2.0))
