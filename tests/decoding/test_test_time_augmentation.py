from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from support.training import SHAPE

from phdnet_tf.decoding.reading import Reading
from phdnet_tf.decoding.test_time_augmentation import LOOKS, SIDE, look_again
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import make_config

TRUTH = np.array([[[200.0, 260.0]], [[300.0, 180.0]]], "f4")


def reading_of(points, confidence=0.5):
    """What an observer says that finds one landmark an image."""
    points = tf.constant(points, tf.float32)
    height = tf.fill(points.shape[:2], confidence)
    evidence = tf.zeros([*points.shape[:2], 4])
    return Reading(
        points, height, evidence, {"weighted": points}, height, height, height
    )


def blobs():
    """Two canvases, each with a blob at its landmark."""
    y, x = np.mgrid[:512, :512]
    squared = [(x - px) ** 2 + (y - py) ** 2 for ((px, py),) in TRUTH]
    return np.exp(-np.stack(squared) / 50)[..., None].astype("f4")


def centre_of_mass(pictures):
    y, x = np.mgrid[:SIDE, :SIDE]
    weights = pictures.numpy()[..., 0]
    mass = weights.sum(axis=(1, 2))
    found = [(weights * axis).sum(axis=(1, 2)) / mass for axis in (x, y)]
    return reading_of(np.stack(found, axis=-1)[:, None])


def test_what_is_found_in_the_pictures_is_told_where_it_is_on_the_canvas():
    off = np.array([3.0, -6.0], "f4")
    first = reading_of(TRUTH + off, confidence=3.0)

    reading = look_again(tf.constant(blobs()), first, centre_of_mass)

    # One point is off, two are right: the mean is a third off, and the squared
    # distances to it are four ninths of 45, and twice one ninth.
    np.testing.assert_allclose(reading.points, TRUTH + off / 3, atol=0.02)
    np.testing.assert_array_equal(reading.by_strategy["augmented"], reading.points)
    np.testing.assert_array_equal(reading.by_strategy["weighted"], first.points)
    np.testing.assert_allclose(reading.confidence, (3 + 2 * 0.5) / 3)
    np.testing.assert_allclose(reading.evidence[..., 0], -np.log(4 / 3), atol=1e-6)
    spread = np.log1p(np.sqrt((20 + 2 * 5) / 3))
    np.testing.assert_allclose(reading.evidence[..., 1], spread, atol=0.01)


def test_the_pictures_are_around_the_middle_of_what_was_found():
    # The mean of the three is elsewhere: (120, 200).
    found = [[[100.0, 200.0], [100.0, 180.0], [160.0, 220.0]]]

    def middle(pictures):
        assert pictures.shape == (len(LOOKS), SIDE, SIDE, 1)
        return reading_of(np.full((len(pictures), 3, 2), (SIDE - 1) / 2))

    reading = look_again(tf.zeros([1, 512, 512, 1]), reading_of(found), middle)

    expected = (np.array(found) + len(LOOKS) * np.array([130, 200])) / 3
    np.testing.assert_allclose(reading.points, expected, atol=1e-3)


def test_the_pictures_are_turned_and_scaled():
    y, x = np.mgrid[:512, :512]
    blob = np.exp(-((x - 230) ** 2 + (y - 260) ** 2) / 50)[None, ..., None]
    seen = []

    def keep(pictures):
        seen.append(centre_of_mass(pictures).points[:, 0])
        return reading_of(seen[0][:, None])

    look_again(tf.constant(blob, tf.float32), reading_of(TRUTH[:1]), keep)

    # The blob is 30 pixels to the right of the middle, 79.5, 79.5, and enlarged.
    turned = 30 * 1.2 * np.array([np.cos(np.pi / 9), np.sin(np.pi / 9)])
    np.testing.assert_allclose(seen[0] - 79.5, [turned * [1, -1], turned], atol=0.05)


def test_looks_and_their_size_can_be_chosen():
    sides = []

    def keep(pictures):
        sides.append(pictures.shape)
        return reading_of(np.full((len(pictures), 1, 2), 31.5))

    reading = look_again(
        tf.constant(blobs()), reading_of(TRUTH), keep, looks=((5.0, 2.0),), side=64
    )

    assert sides == [(2, 64, 64, 1)]
    # What is in the middle of the picture is where the first point was.
    np.testing.assert_allclose(reading.points, TRUTH, atol=1e-3)


def test_what_a_picture_does_not_show_keeps_its_point_and_is_not_trusted():
    # Pictures that are enlarged by 1.2 show 72 / 1.2 = 60 pixels along their own axes,
    # but for the outermost patches. Turned by 20 degrees, 63 pixels along x are 59 and
    # 22 along these; 65 pixels are 61.
    far, near = [[135.0, 200.0], [265.0, 200.0]], [[137.0, 200.0], [263.0, 200.0]]
    first = reading_of([far, near])

    def middle(pictures):
        return reading_of(np.full((len(pictures), 2, 2), (SIDE - 1) / 2))

    reading = look_again(tf.zeros([2, 512, 512, 1]), first, middle)

    np.testing.assert_allclose(reading.points[0], far, atol=1e-3)
    # The two points in the middle are 65 pixels off, the first is not.
    spread = np.log1p(np.sqrt(2 / 3) * 65)
    np.testing.assert_allclose(reading.evidence[0, :, 1], spread, rtol=1e-4)
    # Its own, and two that show it in the middle, (200, 200): 63 / 3.
    np.testing.assert_allclose(reading.points[1], [[179, 200], [221, 200]], atol=1e-3)


def test_no_point_leaves_the_canvas():
    first = reading_of([[[511.0, 0.0]]])

    def outside(pictures):
        return reading_of(np.tile([[[300.0, -300.0]]], (len(pictures), 1, 1)))

    reading = look_again(tf.zeros([1, 512, 512, 1]), first, outside)

    np.testing.assert_array_equal(reading.points, [[[511, 0]]])


def small(landmarks, strategy):
    """Settings that differ from the default's by the size of the network."""
    config = make_config("default", "sa", landmarks, strategy=strategy)
    return replace(config, model=replace(config.model, **SHAPE))


@pytest.mark.slow
def test_the_served_answer_is_that_of_all_pictures():
    settings = {
        strategy: small(("a",), strategy) for strategy in ("weighted", "augmented")
    }
    network = build_network(settings["weighted"].model)
    image = np.random.default_rng(0).random((2, 200, 220)).astype("f4")
    spacing = np.full((2, 2), 1.5, "f4")

    one, all_ = (
        ServedGraph([network], config, [0.0]).explain(image, spacing)
        for config in settings.values()
    )

    np.testing.assert_array_equal(all_["landmarks"], all_["augmented"])
    np.testing.assert_array_equal(all_["weighted"], one["landmarks"])
    assert "augmented" not in one
    assert all_["evidence"].shape == (2, 1, 2)
    assert np.abs(all_["landmarks"] - one["landmarks"]).max() > 0.1


@pytest.mark.slow
def test_the_same_network_twice_answers_as_once():
    config = small(("a", "b"), "augmented")
    network = build_network(config.model)
    image = np.random.default_rng(0).random((2, 200, 220)).astype("f4")
    spacing = np.full((2, 2), 1.5, "f4")

    once, twice = (
        ServedGraph([network] * number, config, [0.0, 0.0]).explain(image, spacing)
        for number in (1, 2)
    )

    np.testing.assert_allclose(twice["landmarks"], once["landmarks"], atol=1e-3)
    np.testing.assert_allclose(twice["confidence"], once["confidence"], rtol=1e-4)
    np.testing.assert_allclose(twice["evidence"][..., :2], once["evidence"], rtol=1e-3)
    np.testing.assert_allclose(twice["evidence"][..., 2], 0, atol=1e-3)


def test_of_several_networks_their_distance_is_evidence_too():
    first = reading_of(TRUTH)
    first = first._replace(
        by_strategy={**first.by_strategy, "mean": first.points},
        member_spread=tf.fill([2, 1], 1.0),
    )

    reading = look_again(tf.constant(blobs()), first, centre_of_mass)

    np.testing.assert_allclose(reading.evidence[..., 2], np.log(2))
