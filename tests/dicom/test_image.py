import hashlib
import struct

import numpy as np
import pytest

from phdnet_tf.dicom.image import MRImage

PIXELS = np.array([[1, 2, 3], [4, 5, 6.5]], np.float32)


def test_the_content_hash_is_that_of_size_spacing_and_pixels():
    written = struct.pack("<2i2d6f", 2, 3, 1.5, 1.25, 1, 2, 3, 4, 5, 6.5)

    found = MRImage(PIXELS, (1.5, 1.25)).content_hash()

    assert found == hashlib.sha256(written).hexdigest()


@pytest.mark.parametrize(
    "pixels",
    [PIXELS.astype(">f4"), np.asfortranarray(PIXELS), PIXELS.astype(np.float64)],
    ids=["big endian", "by columns", "float64"],
)
def test_how_the_memory_lies_and_the_place_do_not_matter(pixels):
    image = MRImage(pixels, (1.5, 1.25), (1, 2, 3), (1, 0, 0, 0, 1, 0))

    assert image.content_hash() == MRImage(PIXELS, (1.5, 1.25)).content_hash()


def test_a_negative_zero_is_a_zero():
    zeros = np.zeros((2, 2), np.float32)
    negative, positive = (MRImage(pixels, (1, 1)) for pixels in (-zeros, zeros))

    assert negative.content_hash() == positive.content_hash()


@pytest.mark.parametrize(
    "other",
    [
        MRImage(PIXELS.reshape(3, 2), (1.5, 1.25)),
        MRImage(PIXELS + np.float32(0.001), (1.5, 1.25)),
        MRImage(PIXELS, (1.25, 1.5)),
    ],
    ids=["size", "pixels", "spacing"],
)
def test_the_content_hash_changes_with(other):
    assert other.content_hash() != MRImage(PIXELS, (1.5, 1.25)).content_hash()
