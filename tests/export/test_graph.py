import json
import math
import re
import shutil
import struct
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from support.drawn import LANDMARKS, exported, random_model
from tensorflow_serving.apis import prediction_log_pb2

from phdnet_tf import geometry
from phdnet_tf.config import Config, ModelConfig
from phdnet_tf.decoding import peak, simple, smoothing
from phdnet_tf.export import (
    checksums,
    description,
    graph,
    refusals,
    saved_model,
    versions,
)
from phdnet_tf.presets import make_config
from phdnet_tf.trust.radii import Radii


def batch(shape=(3, 120, 90), seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.gamma(2, 100, shape).astype("f4"),
        "pixel_spacing": rng.uniform(1, 2, (shape[0], 2)).astype("f4"),
    }


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("strategy", ["smoothing", "simple"])
@pytest.mark.parametrize("shape", [(3, 120, 90), (1, 40, 300)])
def test_the_exported_model_is_the_python_path(tmp_path, strategy, shape):
    folder = exported(tmp_path, strategy=strategy)
    inputs = batch(shape)
    config = Config("sa", ModelConfig(LANDMARKS, strategy=strategy))

    outputs = saved_model.load_signatures(folder)["serving_default"](
        **tf.nest.map_structure(tf.constant, inputs)
    )

    canvas = geometry.canvas_from_image(
        geometry.normalise(inputs["image"]), inputs["pixel_spacing"]
    )
    heads = random_model(config)(canvas, training=False)
    which = smoothing.smooth if strategy == "smoothing" else simple.simple
    points, confidence, *_ = which(heads["heatmap"], heads["displacement"])
    expected = geometry.canvas_to_image(points, *shape[1:], inputs["pixel_spacing"])
    np.testing.assert_allclose(outputs["landmarks"], expected, atol=1e-3)
    np.testing.assert_allclose(outputs["confidence"], confidence, rtol=1e-4)
    np.testing.assert_array_equal(
        outputs["high_confidence"], np.tile([True, False], (shape[0], 1))
    )


@pytest.mark.parametrize("network", ["hourglass", "unet"])
def test_a_compared_network_is_exported_like_phdnet(tmp_path, network):
    folder = exported(tmp_path, preset=network)
    inputs = batch((2, 120, 90))
    config = make_config(network, "sa", LANDMARKS)
    signatures = saved_model.load_signatures(folder)

    outputs = signatures["serving_default"](
        **tf.nest.map_structure(tf.constant, inputs)
    )
    seen = signatures["explain"](**tf.nest.map_structure(tf.constant, inputs))

    canvas = geometry.canvas_from_image(
        geometry.normalise(inputs["image"]), inputs["pixel_spacing"], step=2
    )
    heat = random_model(config)(canvas, training=False)["heatmap"]
    cell = 512 // heat.shape[1]
    points, confidence = peak.peak(heat, cell)
    expected = geometry.canvas_to_image(points, 120, 90, inputs["pixel_spacing"])
    np.testing.assert_allclose(outputs["landmarks"], expected, atol=1e-2)
    np.testing.assert_allclose(outputs["confidence"], confidence, rtol=1e-4)
    np.testing.assert_allclose(seen["peak"], expected, atol=1e-2)
    # A value of the map, taken to the image by its corners, lies near the landmark.
    found = seen["candidate_map"].numpy().reshape(2, 2, -1).argmax(axis=-1)
    place = np.stack([found % heat.shape[2], found // heat.shape[2]], axis=-1)
    first, last = np.moveaxis(seen["candidate_corners"].numpy(), 2, 0)
    near = first + (last - first) * place / (heat.shape[1] - 1)
    pixels = cell * 0.9375 / inputs["pixel_spacing"][:, None, ::-1]
    assert (np.abs(near - expected) <= pixels / 2 + 0.01).all()


def test_images_of_different_spacing_share_a_batch(version):
    locate = saved_model.load_signatures(version)["serving_default"]
    inputs = tf.nest.map_structure(tf.constant, batch())

    together = locate(**inputs)
    for index in range(3):
        alone = locate(**{k: v[index : index + 1] for k, v in inputs.items()})
        for name, value in alone.items():
            np.testing.assert_allclose(
                value[0].numpy().astype("f4"),
                together[name][index].numpy().astype("f4"),
                rtol=1e-4,
                err_msg=name,
            )


def test_both_strategies_and_the_votes_can_be_looked_at(version):
    signatures = saved_model.load_signatures(version)
    inputs = tf.nest.map_structure(tf.constant, batch())

    seen = signatures["explain"](**inputs)
    landmarks = signatures["serving_default"](**inputs)["landmarks"].numpy()

    np.testing.assert_allclose(seen["smoothing"], landmarks, atol=1e-3)
    assert seen["simple"].shape == (3, 2, 2)
    # The peak of the map, taken back to the image, is the landmark.
    votes = seen["candidate_map"].numpy().reshape(3, 2, -1).argmax(axis=-1)
    peak = np.stack([votes % 128, votes // 128], axis=-1)
    scale = 0.9375 / inputs["pixel_spacing"].numpy()[:, None, ::-1]
    np.testing.assert_allclose(
        seen["candidate_corners"][:, :, 0] + peak * scale, landmarks, atol=1e-3
    )


def test_the_folder_can_be_moved_and_needs_no_keras(version, tmp_path):
    moved = tmp_path / "elsewhere" / "7"
    shutil.copytree(version, moved)
    code = (
        "import sys; sys.modules['keras'] = sys.modules['phdnet_tf'] = None\n"
        "import tensorflow as tf\n"
        f"f = tf.saved_model.load({str(moved)!r}).signatures['serving_default']\n"
        "print(sorted(f(image=tf.ones([1, 50, 60]), pixel_spacing=tf.ones([1, 2]))))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    names = ["confidence", "error_radius_mm", "high_confidence", "landmarks"]
    assert str([*names, "recognised"]) in done.stdout, done.stderr


def test_each_weight_is_written_once(version):
    data = sum(file.stat().st_size for file in version.glob("variables/*.data*"))
    config = Config("sa", ModelConfig(LANDMARKS))

    assert data < 4 * random_model(config).count_params() + 20_000


def encoded(image):
    return tf.io.encode_png(image[..., None].astype("u2"))


@pytest.mark.parametrize("strategy", ["smoothing", "simple"])
def test_png_files_of_different_sizes_give_what_their_pixels_give(tmp_path, strategy):
    signatures = saved_model.load_signatures(exported(tmp_path, strategy=strategy))
    images = [
        np.round(batch((1, 120, 90))["image"]),
        np.round(batch((1, 50, 70))["image"]),
    ]
    spacing = np.float32([[1.5, 1.25], [0.8, 1.0]])

    together = signatures["png"](
        image_bytes=tf.stack([encoded(image[0]) for image in images]),
        pixel_spacing=tf.constant(spacing),
    )

    for index, image in enumerate(images):
        alone = signatures["serving_default"](
            image=tf.constant(image), pixel_spacing=tf.constant(spacing[index, None])
        )
        for name, value in alone.items():
            np.testing.assert_allclose(
                together[name][index].numpy().astype("f4"),
                value[0].numpy().astype("f4"),
                rtol=1e-4,
                err_msg=name,
            )


def test_a_png_of_8_bits_gives_what_16_bits_give(version):
    png = saved_model.load_signatures(version)["png"]
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 1))
    spacing = tf.constant([[1.5, 1.5]])

    eight, sixteen = (
        png(image_bytes=[tf.io.encode_png(image.astype(kind))], pixel_spacing=spacing)
        for kind in ("u1", "u2")
    )

    np.testing.assert_allclose(eight["landmarks"], sixteen["landmarks"], atol=1e-3)


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
    version, signature, change, message
):
    inputs = {k: tf.constant(v, tf.float32) for k, v in {**GOOD, **change}.items()}

    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        saved_model.load_signatures(version)[signature](**inputs)

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
    version, damage, message
):
    data = damage(encoded(np.eye(40) * 900).numpy())

    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        saved_model.load_signatures(version)["png"](
            image_bytes=tf.constant([data]), pixel_spacing=tf.constant([[1.0, 1.0]])
        )

    assert re.search(message, refusals.what_is_wrong(error.value))


def test_the_model_tells_what_it_is(version):
    describe = saved_model.load_signatures(version)["describe"]
    fields = tf.constant(["landmarks", "description", "view"])

    values = [json.loads(value) for value in describe(field=fields)["value"].numpy()]

    assert values == [list(LANDMARKS), description.load_description(version), "sa"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected one of view, "):
        describe(field=tf.constant(["nope"]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"expected 32 at most"):
        describe(field=tf.constant(["description"] * 33))


def test_the_warm_up_requests_are_those_of_tf_serving_and_run(version):
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    signatures = saved_model.load_signatures(version)

    names = []
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        names.append(request.model_spec.signature_name)
        outputs = signatures[names[-1]](
            **{k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
        )
        assert outputs["landmarks"].shape == (1, 2, 2)
    assert names == ["serving_default", "png"]


def test_a_version_tells_whether_it_is_complete(version, tmp_path):
    copy = tmp_path / "1"
    shutil.copytree(version, copy)
    checksums.require_complete(copy)
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=copy)
    assert checked.returncode == 0

    weights = next(copy.glob("variables/*.data*"))
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1])
    with pytest.raises(ValueError, match=r"different 'variables/variables\.data"):
        checksums.require_complete(copy)
    weights.unlink()
    with pytest.raises(ValueError, match=r"missing .*'variables/variables\.data"):
        checksums.require_complete(copy)
    weights.write_bytes(kept)
    checksums.require_complete(copy)
    sums = (copy / "SHA256SUMS").read_text()
    for part in (sums[: sums.index("\n") + 1], ""):
        (copy / "SHA256SUMS").write_text(part)
        with pytest.raises(ValueError, match=r"another one, '.*'"):
            checksums.require_complete(copy)
    (copy / "SHA256SUMS").unlink()
    with pytest.raises(ValueError, match="expected SHA256SUMS"):
        checksums.require_complete(copy)


def test_versions_count_up_and_nothing_unfinished_is_left(tmp_path):
    first, second = exported(tmp_path), exported(tmp_path)

    (first.parent / "20261122193000123456").mkdir()  # more than 64 bits hold
    assert versions.versions(first.parent) == [1, 2]
    (first.parent / "20261122193000123456").rmdir()
    assert (first.name, second.name) == ("1", "2")
    assert sorted(entry.name for entry in first.parent.iterdir()) == ["1", "2"]
    assert versions.resolve_version(first.parent) == second
    assert versions.resolve_version(first) == first
    assert description.load_description(first)["landmarks"] == list(LANDMARKS)


def test_a_failed_export_leaves_no_version(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="No space left"):
        exported(tmp_path)

    assert not list((tmp_path / "phdnet_sa").iterdir())


def test_a_folder_without_a_model_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ValueError, match="phdnet-tf train"):
        versions.resolve_version(tmp_path)
    with pytest.raises(ValueError, match=r"phdnet\.json"):
        description.load_description(tmp_path)


def test_a_damaged_model_is_refused_in_one_line(version, tmp_path):
    broken = tmp_path / "1"
    shutil.copytree(version, broken)
    (broken / "saved_model.pb").write_bytes(b"not a model")

    with pytest.raises(ValueError, match="expected a complete SavedModel") as error:
        saved_model.load_signatures(broken)

    assert "\n" not in str(error.value)


def test_error_radii_are_the_formula_of_what_was_learnt():
    evidence = np.random.default_rng(0).normal(size=(2, 2, 3)).astype("f4")
    slopes = np.array([0.5, -0.2, 1.0])
    quantiles = np.array([[1.0, 2.0, math.inf], [0.5, 0.75, 3.0]])
    radii = Radii(0.2, tuple(slopes), tuple(map(tuple, quantiles)))

    found = graph.error_radii(tf.constant(evidence), radii).numpy()

    expected = np.exp(0.2 + (slopes * evidence).sum(-1))
    expected = expected[..., None] * quantiles
    diagonal = np.hypot(480, 480)
    np.testing.assert_allclose(found, np.minimum(expected, diagonal), rtol=1e-5)
    assert np.isinf(expected).any()


def test_an_image_that_is_not_recognised_has_no_high_confidence():
    config = Config("sa", ModelConfig(LANDMARKS))
    inputs = tf.nest.map_structure(tf.constant, batch())
    networks = [random_model(config)]
    confidence = graph.ServedGraph(networks, config, [0, 0]).locate(**inputs)[
        "confidence"
    ]
    geometric = float(np.sqrt(np.prod(confidence[0])))

    for threshold, recognised in ((0.99 * geometric, True), (1.01 * geometric, False)):
        served = graph.ServedGraph(networks, config, [0, 0], recognition=threshold)
        found = served.locate(**inputs)

        assert found["recognised"].numpy().tolist() == 3 * [recognised]
        assert (found["high_confidence"].numpy() == recognised).all()
        # The coordinates and their confidence stay as they are.
        np.testing.assert_array_equal(found["confidence"], confidence)


def test_several_networks_are_one_model(tmp_path):
    config = Config("sa", ModelConfig(LANDMARKS))
    networks = [random_model(config, seed) for seed in (0, 1)]
    inputs = tf.nest.map_structure(tf.constant, batch())

    version = saved_model.export(
        graph.ServedGraph(networks, config, [0, 0]), {}, tmp_path
    )

    signatures = saved_model.load_signatures(version)
    found, seen = (signatures[s](**inputs) for s in ("serving_default", "explain"))
    own = [
        graph.ServedGraph([network], config, [0, 0]).locate(**inputs)["landmarks"]
        for network in networks
    ]
    np.testing.assert_allclose(seen["mean"], np.mean(own, axis=0), atol=1e-2)
    apart = (own[0] - own[1]) * inputs["pixel_spacing"][:, None, ::-1] / 2
    np.testing.assert_allclose(
        seen["member_spread_mm"], np.linalg.norm(apart, axis=-1), atol=1e-2
    )
    assert found["landmarks"].shape == (3, 2, 2)
