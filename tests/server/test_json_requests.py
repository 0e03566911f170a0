import base64
import gzip
import json
import time
import tracemalloc

import numpy as np
import pytest

from phdnet_tf.server import json_requests
from phdnet_tf.server.refusal import Refusal

MOST = 64 * 1024 * 1024


def read(server, body, most=MOST):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json_requests.read(data, server.models, "phdnet_sa", None, most)


@pytest.mark.parametrize("rows", [False, True], ids=["inputs", "instances"])
def test_numbers_are_read_as_numpy_reads_them(server, rows):
    image = np.random.default_rng(0).normal(0, 1e5, (3, 17, 19))
    image[0, 0, :4] = 0, -0.0, 1e-300, 2**63
    spacing = [[1, 1.5]] * 3
    whole = {"image": image.tolist(), "pixel_spacing": spacing}
    each = [
        {"pixel_spacing": s, "image": i.tolist()}
        for i, s in zip(image, spacing, strict=True)
    ]

    asked = read(server, {"instances": each} if rows else {"inputs": whole})

    assert asked.rows == rows and asked.signature == "serving_default"
    np.testing.assert_array_equal(asked.inputs["image"], image.astype("f4"))
    np.testing.assert_array_equal(asked.inputs["pixel_spacing"], np.float32(spacing))
    assert {value.dtype.name for value in asked.inputs.values()} == {"float32"}


def test_strings_are_read_with_their_brackets(server):
    asked = read(server, {"signature_name": "describe", "inputs": ["a[", "b]", "ä"]})

    assert asked.inputs["field"].tolist() == [b"a[", b"b]", "ä".encode()]


def test_bytes_come_as_base64(server):
    data = bytes(range(256))
    row = {
        "image_bytes": {"b64": base64.b64encode(data).decode()},
        "pixel_spacing": [1, 1],
    }
    asked = read(server, {"signature_name": "png", "instances": [row, row]})

    assert asked.inputs["image_bytes"].tolist() == [data, data]
    assert asked.inputs["pixel_spacing"].shape == (2, 2)


@pytest.mark.parametrize(
    "image",
    [
        *("[1, [2]]", "[[1], 2]", "[[1, 2], [3]]", "[[1], [[2]]]", "[[[1]], [2]]"),
        *("[[1, null]]", "[true]", "null", '"1"', '[["1"]]', "[{}]", "[[1, {}]]"),
        *("[NaN]", "[Infinity]", "[1e999]", "[01]", "[1,]", "[1] 2", "[1"),
        *("[123456789012345678901234567890]", "[" * 2000 + "]" * 2000),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(server, image):
    body = f'{{"inputs": {{"image": {image}, "pixel_spacing": [[1, 1]]}}}}'

    with pytest.raises(Refusal) as error:
        read(server, body.encode())

    assert error.value.http == 400 and "\n" not in error.value.message


def test_keys_that_repeat_or_that_nobody_asked_for_do_no_harm(server):
    good = '"image": [[[1, [2]]]], "image": [[[1]]], "pixel_spacing": [[1, 1]]'
    body = f'{{"more": [[[]], 1], "a\\u0000b": 1, "inputs": {{{good}, "x": [[]]}}}}'

    with pytest.raises(Refusal, match="or only lists|differ"):
        read(server, body.encode())  # simdjson takes the first of those that repeat


def test_many_numbers_take_little_memory_and_time(server):
    image = b"[[[" + b"1," * 2_000_000 + b"1]]]"
    body = b'{"inputs": {"pixel_spacing": [[1, 1]], "image": ' + image + b"}}"
    tracemalloc.start()
    started = time.process_time()
    asked = read(server, body)
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert asked.inputs["image"].shape == (1, 1, 2_000_001)
    # As Python's own objects, 100 MB and 2 s.
    assert peak < 12 * len(body) and seconds < 1.5
    with pytest.raises(Refusal, match="larger than"):
        read(server, body, most=20_000_000)


def test_gzip_is_inflated_as_far_as_it_may_be():
    body = b"0123456789" * 1000
    zipped = gzip.compress(body)

    assert json_requests.inflate(zipped, 10_000) == body
    for bad, most, status in (
        *((zipped, 9_999, 413), (zipped[:-4], 10_000, 400)),
        *((zipped + b"x", 10_000, 400), (b"no gzip", 10_000, 400), (b"", 9, 400)),
    ):
        with pytest.raises(Refusal) as error:
            json_requests.inflate(bad, most)
        assert error.value.http == status
