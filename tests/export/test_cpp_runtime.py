"""The exported model in the C++ runtime that TF Serving loads it with."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from support.drawn import exported
from support.runtime import Runtime, build

from phdnet_tf.export import saved_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime")
    # The paper's network has the same operations, but for the strides and dilations.
    version = exported(folder, preset="default")
    # Moved, so that nothing can be found again where it was exported.
    moved = folder / "moved" / "5"
    moved.parent.mkdir()
    version.rename(moved)
    return Runtime(build(folder), moved, folder)


@pytest.fixture(scope="module")
def signatures(runtime):
    """The same version, loaded by Python."""
    return saved_model.load_signatures(runtime.version)


def drawn(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 900, shape).astype("f4"),
        "pixel_spacing": rng.uniform(0.8, 2, (shape[0], 2)).astype("f4"),
    }


def test_it_gives_what_python_gives_for_images_of_any_size(runtime, signatures):
    requests = [
        ("serving_default", drawn(1, 256, 216)),
        ("serving_default", drawn(3, 64, 64)),
        ("serving_default", drawn(2, 512, 512)),
        ("serving_default", drawn(1, 16, 700)),
    ]
    first = requests[0][1]
    png = tf.io.encode_png(first["image"][0, ..., None].astype("u2")).numpy()
    requests.append(("png", {**first, "image_bytes": png}))
    del requests[-1][1]["image"]

    for (name, inputs), outputs in zip(requests, runtime.run(requests), strict=True):
        constants = {k: tf.constant(v) for k, v in inputs.items() if k != "image_bytes"}
        if "image_bytes" in inputs:
            constants["image_bytes"] = tf.constant([inputs["image_bytes"]])
        expected = signatures[name](**constants)
        for key, value in outputs.items():
            np.testing.assert_allclose(
                value.astype("f4"), expected[key].numpy().astype("f4"), atol=1e-4
            )


INVALID_ARGUMENT = "3: "


REFUSED = [
    ({"pixel_spacing": [[0, 1]]}, "pixel_spacing: expected .* mm"),
    ({"pixel_spacing": [[1, -1]]}, "pixel_spacing: expected .* mm"),
    ({"pixel_spacing": [[1, np.nan]]}, "pixel_spacing: expected .* mm"),
    ({"pixel_spacing": [[1, 1], [1, 1]]}, "one pair for each image"),
    ({"pixel_spacing": [[1, 1, 1]]}, "[Ss]hape"),
    ({"image": np.full((1, 40, 40), np.nan)}, "finite intensities"),
    ({"image": np.ones((1, 3, 3))}, "16 rows and columns or more"),
    ({"image": np.ones((40, 40))}, "[Ss]hape"),
]
JUNK = [b"", b"junk", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]


@pytest.fixture(scope="module")
def refusals(runtime):
    """Of one process, for each has to load the model."""
    good = {"image": np.eye(40)[None], "pixel_spacing": [[1, 1]]}
    requests = [("serving_default", good | change) for change, _ in REFUSED]
    for junk in JUNK:
        requests.append(("png", {"image_bytes": junk, "pixel_spacing": [[1, 1]]}))
    return runtime.refusals(requests)


@pytest.mark.parametrize(
    ("number", "message"), [(n, message) for n, (_, message) in enumerate(REFUSED)]
)
def test_it_refuses_what_makes_no_sense_with_a_sentence(refusals, number, message):
    assert re.match(f"{INVALID_ARGUMENT}.*{message}", refusals[number])


@pytest.mark.parametrize("number", range(len(JUNK)))
def test_it_refuses_bytes_that_are_no_png(refusals, number):
    said = refusals[len(REFUSED) + number]

    assert re.match(f"{INVALID_ARGUMENT}.*image_bytes", said)


def test_saved_model_cli_runs_it(runtime, signatures, tmp_path):
    file = tmp_path / "in.npz"
    np.savez(file, **drawn(2, 50, 60))
    cli = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    done = subprocess.run(
        [*cli, "run", "--dir", runtime.version, "--tag_set", "serve"]
        + ["--signature_def", "serving_default", "--outdir", tmp_path]
        + ["--inputs", f"image={file}[image];pixel_spacing={file}[pixel_spacing]"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    expected = signatures["serving_default"](
        **{k: tf.constant(v) for k, v in drawn(2, 50, 60).items()}
    )
    found = np.load(tmp_path / "landmarks.npy")
    np.testing.assert_allclose(found, expected["landmarks"], atol=1e-4)


def test_real_images_give_the_same_as_in_python(runtime, real_data):
    from phdnet_tf.dicom.read import read_image
    from phdnet_tf.dicom.turning import turn_to_usual
    from phdnet_tf.inference.predictor import Predictor
    from phdnet_tf.presets import USUAL_ORIENTATIONS

    files = [
        real_data / "acdc_sa" / "DICOM" / "patient001" / "ED_slice03.dcm",
        next((real_data / "bivme_4ch").rglob("*.dcm")),
    ]
    usual = USUAL_ORIENTATIONS["sa"]
    images = [
        turn_to_usual(image.orientation, usual).image(image)
        for image in map(read_image, files)
    ]
    outputs = runtime.run(
        (
            "serving_default",
            {"image": image.pixels[None], "pixel_spacing": [image.pixel_spacing]},
        )
        for image in images
    )
    folder = runtime.scratch / "phdnet_sa" / "1"
    if not folder.exists():
        shutil.copytree(runtime.version, folder)
    predictor = Predictor(folder)

    for image, found in zip(images, outputs, strict=True):
        expected = [(m.x, m.y) for m in predictor.predict(image).landmarks]
        np.testing.assert_allclose(found["landmarks"][0], expected, atol=1e-4)
