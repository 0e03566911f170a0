import math
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.drawn import LANDMARKS, export_anew, random_model
from support.training import SHAPE

from phdnet_tf import geometry
from phdnet_tf.config import Config, ModelConfig, TrainingConfig
from phdnet_tf.decoding import peak, simple, smoothing
from phdnet_tf.export import graph, saved_model
from phdnet_tf.models import hourglass
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import make_config
from phdnet_tf.trust.radii import Radii


def batch(shape=(3, 120, 90), seed=0):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.gamma(2, 100, shape).astype("f4"),
        "pixel_spacing": rng.uniform(1, 2, (shape[0], 2)).astype("f4"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["smoothing", "simple"])
@pytest.mark.parametrize("shape", [(3, 120, 90), (1, 40, 300)])
def test_the_exported_model_is_the_python_path(loaded, strategy, shape):
    inputs = batch(shape)
    config = Config("sa", ModelConfig(LANDMARKS, strategy=strategy))

    outputs = loaded(strategy)["serving_default"](
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


@pytest.mark.slow
@pytest.mark.parametrize("network", ["hourglass", "unet"])
def test_a_compared_network_is_exported_like_phdnet(tmp_path, monkeypatch, network):
    # An hourglass of the same parts, but fewer: each of its 300 layers is traced.
    for size, value in {"FEATURES": 32, "LEVELS": 2, "UNITS": 1}.items():
        monkeypatch.setattr(hourglass, size, value)
    folder = export_anew(tmp_path, preset=network)
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


@pytest.mark.slow
def test_images_of_different_spacing_share_a_batch(signatures):
    locate = signatures["serving_default"]
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


@pytest.mark.slow
def test_both_strategies_and_the_votes_can_be_looked_at(signatures):
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


def encoded(image):
    return tf.io.encode_png(image[..., None].astype("u2"))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["smoothing", "simple"])
def test_png_files_of_different_sizes_give_what_their_pixels_give(loaded, strategy):
    signatures = loaded(strategy)
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


@pytest.mark.slow
def test_a_png_of_8_bits_gives_what_16_bits_give(signatures):
    png = signatures["png"]
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 1))
    spacing = tf.constant([[1.5, 1.5]])

    eight, sixteen = (
        png(image_bytes=[tf.io.encode_png(image.astype(kind))], pixel_spacing=spacing)
        for kind in ("u1", "u2")
    )

    np.testing.assert_allclose(eight["landmarks"], sixteen["landmarks"], atol=1e-3)


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_several_networks_are_one_model(tmp_path):
    config = Config("sa", ModelConfig(LANDMARKS, **SHAPE))
    networks = [random_model(config, seed) for seed in (0, 1)]
    inputs = tf.nest.map_structure(tf.constant, batch())

    version = saved_model.export(
        graph.ServedGraph(networks, config, [0, 0]), {}, tmp_path, {}
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


@pytest.mark.slow
def test_a_network_for_each_landmark_answers_as_each_does_alone():
    inputs = tf.nest.map_structure(tf.constant, batch((2, 120, 90)))
    together = Config("sa", ModelConfig(LANDMARKS, **SHAPE, one_each=True))
    networks = [
        random_model(replace(together, training=TrainingConfig(seed=seed)))
        for seed in (1, 2)
    ]

    found = graph.ServedGraph(networks, together, [0.0, 0.0]).explain(**inputs)

    for index, network in enumerate(networks):
        alone = Config("sa", ModelConfig(LANDMARKS[index : index + 1], **SHAPE))
        own = graph.ServedGraph([network], alone, [0.0]).explain(**inputs)
        for name in ("landmarks", "confidence", "evidence", "candidate_map"):
            np.testing.assert_allclose(
                found[name][:, index], own[name][:, 0], rtol=1e-5, atol=1e-5
            )


@pytest.mark.slow
def test_the_baselines_heat_is_a_probability():
    inputs = tf.nest.map_structure(tf.constant, batch((1, 120, 90)))
    config = Config(
        "sa", ModelConfig(LANDMARKS, **SHAPE, mapping="binary", strategy="simple")
    )
    network = random_model(config)

    found = graph.ServedGraph([network], config, [0.0] * 2).locate(**inputs)

    canvas = geometry.canvas_from_image(
        geometry.normalise(inputs["image"]), inputs["pixel_spacing"]
    )
    logits = network(canvas, training=False)["heatmap"].numpy()
    highest = logits.max(axis=(1, 2))
    np.testing.assert_allclose(
        found["confidence"], 1 / (1 + np.exp(-highest)), rtol=1e-4
    )


@pytest.mark.slow
def test_a_network_of_half_the_precision_is_served_in_all_of_it():
    inputs = tf.nest.map_structure(tf.constant, batch((1, 120, 90)))
    config = Config("sa", ModelConfig(LANDMARKS, **SHAPE))
    network = build_network(config.model, "bfloat16")
    assert {v.dtype for v in network.variables} == {"float32"}
    assert network.get_layer("encoder_1").compute_dtype == "bfloat16"

    found = graph.ServedGraph([network], config, [0.0] * 2).locate(**inputs)

    same = build_network(config.model)
    same.set_weights(network.get_weights())
    wanted = graph.ServedGraph([same], config, [0.0] * 2).locate(**inputs)
    np.testing.assert_array_equal(found["landmarks"], wanted["landmarks"])


def test_what_another_backend_trained_is_not_exported_by_it(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    config = Config("sa", ModelConfig(LANDMARKS, **SHAPE))

    with pytest.raises(ValueError, match=r"Received: jax\. Unset KERAS_BACKEND, and"):
        graph.ServedGraph([], config, [0.0] * 2)
