import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf.decoding import peak, simple, smoothing
from phdnet_tf.decoding.reading import read
from phdnet_tf.presets import make_config

LANDMARKS = ("a", "b")


def settings(preset="phdnet-small", strategy=None):
    return make_config(preset, "sa", LANDMARKS, strategy=strategy).model


WEIGHTED = settings(strategy="weighted")


def heads(images, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "heatmap": rng.normal(0.2, 0.3, (images, 20, 24, 2)).astype("f4"),
        "displacement": rng.normal(0, 2, (images, 20, 24, 2, 2)).astype("f4"),
    }


def whole(images, seed=0):
    return {
        "heatmap": np.random.default_rng(seed).random((images, 64, 64, 2)).astype("f4")
    }


@pytest.mark.parametrize("strategy", ["smoothing", "simple", "weighted"])
def test_the_strategy_of_the_settings_is_the_answer(strategy):
    outputs = heads(3)
    points, confidence, *_ = {
        "smoothing": lambda: smoothing.smooth(**outputs),
        "simple": lambda: simple.simple(**outputs),
        "weighted": lambda: smoothing.smooth(**outputs, weighted=True),
    }[strategy]()

    reading = read(outputs, settings(strategy=strategy), 1)

    np.testing.assert_array_equal(reading.points, points)
    np.testing.assert_array_equal(reading.confidence, confidence)
    np.testing.assert_array_equal(reading.by_strategy[strategy], points)
    assert set(reading.by_strategy) == {"smoothing", "simple", "weighted"}
    assert not reading.member_spread.numpy().any()


def test_the_evidence_is_what_its_words_say():
    outputs = heads(3)
    smoothed = smoothing.smooth(**outputs)
    direct, heat = simple.simple(**outputs)

    evidence = read(outputs, settings(), 1).evidence.numpy()

    y, x = np.mgrid[:128, :128]
    for image in range(3):
        for landmark in range(2):
            votes = smoothed.candidate_map[image, landmark].numpy()
            point = (smoothed.landmarks - smoothed.corner)[image, landmark].numpy()
            squared = (x - point[0]) ** 2 + (y - point[1]) ** 2
            spread = np.sqrt((votes * squared).sum() / votes.sum())
            apart = np.hypot(*(smoothed.landmarks - direct)[image, landmark].numpy())
            np.testing.assert_allclose(
                evidence[image, landmark],
                [
                    -np.log(votes.max()),
                    -np.log(heat[image, landmark]),
                    np.log1p(spread),
                    np.log1p(apart),
                ],
                rtol=1e-3,
            )


def test_a_wider_heatmap_is_seen_to_be_wider():
    y, x = np.mgrid[:64, :64]
    maps = [np.exp(-((x - 20) ** 2 + (y - 40) ** 2) / (2 * s**2)) for s in (1.0, 3.0)]
    heatmap = np.stack(maps, -1)[None].astype("f4")

    reading = read({"heatmap": heatmap}, settings("hourglass"), 1)

    # The root mean square distance from a Gaussian's centre is sqrt(2) times its
    # standard deviation, here in values of 8 canvas pixels.
    spreads = np.expm1(reading.evidence[0, :, 1].numpy())
    np.testing.assert_allclose(spreads, np.sqrt(2) * 8 * np.array([1, 3]), rtol=0.01)


@pytest.mark.parametrize(
    ("make", "model"),
    [(heads, settings()), (heads, WEIGHTED), (whole, settings("unet"))],
)
def test_networks_that_agree_are_as_good_as_one(make, model):
    outputs = make(3)
    twice = {name: np.concatenate([each, each]) for name, each in outputs.items()}

    one, two = read(outputs, model, 1), read(twice, model, 2)

    np.testing.assert_allclose(two.points, one.points, atol=1e-3)
    np.testing.assert_allclose(two.confidence, one.confidence, rtol=1e-5)
    np.testing.assert_allclose(two.by_strategy["mean"], one.points, atol=1e-3)
    np.testing.assert_allclose(two.member_spread, 0, atol=1e-3)
    np.testing.assert_allclose(two.evidence[..., :-1], one.evidence, atol=1e-3)


def test_of_networks_that_differ_the_mean_and_the_spread_are_told():
    outputs = whole(6)
    own = np.asarray(peak.peak(outputs["heatmap"], 2)[0]).reshape(3, 2, 2, 2)

    reading = read(outputs, settings("unet"), 3)

    joint = outputs["heatmap"].reshape(3, 2, 64, 64, 2).mean(axis=0)
    np.testing.assert_allclose(reading.points, peak.peak(joint, 2)[0], atol=1e-3)
    np.testing.assert_allclose(reading.by_strategy["mean"], own.mean(0), rtol=1e-5)
    spread = np.sqrt(((own - own.mean(0)) ** 2).sum(-1).mean(0))
    np.testing.assert_allclose(reading.member_spread, spread, rtol=1e-4)
    np.testing.assert_allclose(reading.evidence[..., 2], np.log1p(spread), rtol=1e-4)


def test_the_corners_are_those_of_the_map():
    patches = read(heads(2), settings(), 1)
    image = read(whole(2), settings("unet"), 1)

    size = patches.corners[:, :, 1] - patches.corners[:, :, 0]
    np.testing.assert_array_equal(size, np.full((2, 2, 2), 127.0))
    # A value of the U-Net covers two canvas pixels, and its middle lies between them.
    np.testing.assert_array_equal(image.corners[0, 0], [[0.5, 0.5], [510.5, 510.5]])


def test_a_graph_reads_as_python_does():
    outputs = heads(2)

    traced = tf.function(lambda **o: read(o, WEIGHTED, 1).points)

    np.testing.assert_allclose(
        traced(**outputs), read(outputs, WEIGHTED, 1).points, atol=1e-4
    )
