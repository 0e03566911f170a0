"""Encodes images for a server."""

import numpy as np
import tensorflow as tf

from phdnet_tf.dicom.image import MRImage


def fits_png(image: MRImage) -> bool:
    """Whether 16 bits hold the pixels exactly, so that the answer is the same."""
    pixels = image.pixels
    return bool(
        pixels.size
        and pixels.min() >= 0
        and pixels.max() <= 65535
        and (pixels == np.floor(pixels)).all()
    )


def encode_png(pixels: np.ndarray) -> bytes:
    """A 16-bit greyscale PNG.

    Args:
        pixels: [H, W], whole numbers from 0 to 65535.

    Returns:
        The file.
    """
    # A little compression is soon done; more of it saves little and takes long.
    return tf.io.encode_png(pixels.astype(np.uint16)[..., None], compression=1).numpy()
