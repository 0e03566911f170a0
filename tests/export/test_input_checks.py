import re
import struct

import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf.export import refusals

pytestmark = pytest.mark.slow


def encoded(image):
    return tf.io.encode_png(image[..., None].astype("u2"))


GOOD = {"image": np.eye(40)[None], "pixel_spacing": [[1.0, 1.0]]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pixel_spacing": [[0, 1]]},
            r"pixel_spacing: .* mm, from 0\.02 to 20\. .*0 1",
        ),
        ({"pixel_spacing": [[1, -1]]}, "pixel_spacing: .* mm"),
        ({"pixel_spacing": [[np.inf, 1]]}, "pixel_spacing: .* mm"),
        ({"pixel_spacing": [[1, np.nan]]}, "pixel_spacing: .* mm"),
        ({"pixel_spacing": [[1, 1], [1, 1]]}, "one pair for each image"),
        ({"image": np.full((1, 40, 40), np.nan)}, "finite"),
        ({"image": np.eye(40)[None] * np.nan}, "finite"),
        ({"image": np.eye(40)[None] * 1e30}, "finite"),
        ({"image": np.ones((1, 3, 3))}, "16 rows and columns or more"),
        ({"image": np.ones((0, 40, 40)), "pixel_spacing": np.ones((0, 2))}, "1 to 32"),
        (
            {"image": np.ones((33, 16, 16)), "pixel_spacing": np.ones((33, 2))},
            "1 to 32",
        ),
    ],
)
@pytest.mark.parametrize("signature", ["serving_default", "explain"])
def test_images_that_make_no_sense_are_refused_with_a_sentence(
    signatures, signature, change, message
):
    inputs = {k: tf.constant(v, tf.float32) for k, v in {**GOOD, **change}.items()}

    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        signatures[signature](**inputs)

    sentence = refusals.what_is_wrong(error.value)
    assert re.search(message, sentence) and "node" not in sentence
    assert "\n" not in sentence and sentence.endswith(".")


def with_size(data, columns, rows):
    return data[:16] + struct.pack(">ii", columns, rows) + data[24:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", r"expected PNG files\. .*\[0\]"),
        (lambda data: b"junk", "expected PNG files"),
        (lambda data: data[:30], "Invalid PNG"),
        (lambda data: data[:-40], "Invalid PNG"),
        (lambda data: with_size(data, 3, 3), "16 columns and rows or more"),
        (lambda data: with_size(data, 65535, 65535), "at most.*65535 65535"),
        (lambda data: with_size(data, -1, -1), "16 columns and rows or more"),
    ],
)
def test_bytes_that_are_no_usable_png_are_refused_with_a_sentence(
    signatures, damage, message
):
    data = damage(encoded(np.eye(40) * 900).numpy())

    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        signatures["png"](
            image_bytes=tf.constant([data]), pixel_spacing=tf.constant([[1.0, 1.0]])
        )

    assert re.search(message, refusals.what_is_wrong(error.value))
