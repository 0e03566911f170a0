"""Checks of the inputs, inside the graph itself.

Every program that runs the graph therefore refuses invalid input in the same words.
"""

import tensorflow as tf

from phdnet_tf.dicom.guards import MAX_INTENSITY, MIN_SIDE, SPACING_LIMITS

MAX_PNG_PIXELS = 16 * 1024 * 1024
"""Largest number of pixels of a PNG, as a few kilobytes can unpack to gigabytes."""

MAX_BATCH = 32
"""Largest number of images in a call. The network's cost is the same for any size."""


def checked(image: tf.Tensor, pixel_spacing: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Checks the inputs of `ServedGraph.locate`; invalid ones give INVALID_ARGUMENT."""
    # The C++ runtime does not hold inputs to the shapes of the signature.
    image = tf.ensure_shape(image, [None, None, None])
    pixel_spacing = checked_spacing(pixel_spacing, tf.shape(image)[0])
    large_enough = require(
        tf.shape(image)[1:] >= MIN_SIDE,
        f"image: expected {MIN_SIDE} rows and columns or more. Received:",
        tf.shape(image)[1:],
    )
    # NaN is not smaller than anything, so this finds it, too.
    finite = require(
        tf.abs(image) < MAX_INTENSITY,
        f"image: expected finite intensities, below {MAX_INTENSITY:g}. Received an "
        "image that has others, of rows and columns:",
        tf.shape(image)[1:],
    )
    with tf.control_dependencies([large_enough, finite]):
        return tf.identity(image), pixel_spacing


def checked_spacing(pixel_spacing: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Checks the pixel spacings: plausible, one for each image, and not too many."""
    pixel_spacing = tf.ensure_shape(pixel_spacing, [None, 2])
    lowest, highest = SPACING_LIMITS
    counted = [
        require(
            (images >= 1) & (images <= MAX_BATCH),
            f"image: expected 1 to {MAX_BATCH} images in a request. Received:",
            images,
        ),
        require(
            tf.shape(pixel_spacing)[0] == images,
            "pixel_spacing: expected one pair for each image. Received images and "
            "pairs:",
            tf.stack([images, tf.shape(pixel_spacing)[0]]),
        ),
        require(
            (pixel_spacing >= lowest) & (pixel_spacing <= highest),
            f"pixel_spacing: expected (between rows, between columns) in mm, from "
            f"{lowest:g} to {highest:g}. Received:",
            pixel_spacing,
        ),
    ]
    with tf.control_dependencies(counted):
        return tf.identity(pixel_spacing)


def checked_png(image_bytes: tf.Tensor) -> tf.Tensor:
    """Checks by their headers that files are PNG, and have an allowed size."""
    padded = tf.strings.join([image_bytes, 24 * "\0"])  # a header to read, if too short
    size = tf.io.decode_raw(
        tf.strings.substr(padded, 16, 8), tf.int32, little_endian=False
    )
    is_png = require(
        tf.strings.substr(padded, 0, 8) == b"\x89PNG\r\n\x1a\n",
        "image_bytes: expected PNG files. Received others, of these lengths in bytes:",
        tf.strings.length(image_bytes),
    )
    with tf.control_dependencies([is_png]):
        size = tf.cast(size, tf.int64)
    sized = require(
        tf.reduce_all(size >= MIN_SIDE, axis=1)
        & (tf.reduce_prod(size, axis=1) <= MAX_PNG_PIXELS),
        f"image_bytes: expected {MIN_SIDE} columns and rows or more, and "
        f"{MAX_PNG_PIXELS} pixels at most. Received columns and rows:",
        size,
    )
    with tf.control_dependencies([sized]):
        return tf.identity(image_bytes)


def require(condition: tf.Tensor, message: str, received: tf.Tensor) -> tf.Operation:
    """An operation that fails with a message unless all conditions are true."""
    return tf.debugging.Assert(
        tf.reduce_all(condition), [message, received], summarize=4
    )
