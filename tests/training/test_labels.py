import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf.geometry import decode_displacement, patch_centres
from phdnet_tf.training.labels import patch_labels

both = pytest.mark.parametrize(
    "call",
    [lambda f: f, lambda f: tf.function(f, autograph=False)],
    ids=["eager", "graph"],
)


def label(landmarks, mapping="gaussian", rows=16, columns=16):
    points = np.asarray(landmarks, "f4").reshape(1, -1, 2)
    labels, weights = patch_labels(points, rows, columns, mapping, 2.0)
    return (
        {name: value.numpy()[0] for name, value in labels.items()},
        {name: value.numpy()[0] for name, value in weights.items()},
    )


@both
def test_the_gaussian_is_centred_on_the_patch_with_the_landmark(call):
    points = tf.constant([[[23.4, 80.0]]])  # x in patch 2 (16 to 23), y in patch 10

    labels, _ = call(lambda p: patch_labels(p, 16, 16, "gaussian", 2.0))(points)

    heatmap = labels["heatmap"].numpy()[0, :, :, 0]
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (10, 2)
    np.testing.assert_allclose(heatmap[10, 2], 1)
    np.testing.assert_allclose(heatmap[10, 4], np.exp(-0.5), rtol=1e-6)  # one std off
    np.testing.assert_allclose(heatmap[11, 3], np.exp(-2 / 8), rtol=1e-6)


def test_a_pixel_belongs_to_its_patch_up_to_its_outer_edge():
    for x, column in [(-0.5, 0), (7.49, 0), (7.5, 1), (8.0, 1)]:
        labels, _ = label([x, 0])
        assert labels["heatmap"][0, :, 0].argmax() == column


def test_the_tail_of_a_landmark_outside_the_crop_reaches_in():
    labels, weights = label([-12.0, 3.5])  # in patch -2

    np.testing.assert_allclose(labels["heatmap"][0, 0, 0], np.exp(-0.5), rtol=1e-6)
    np.testing.assert_allclose(weights["displacement"], labels["heatmap"])
    np.testing.assert_allclose(
        decode_displacement(labels["displacement"][0, 0, 0]), [-15.5, 0], atol=1e-5
    )


def test_the_binary_map_is_one_in_one_patch():
    labels, weights = label([23.4, 80.0], mapping="binary")

    assert labels["heatmap"].sum() == labels["heatmap"][10, 2, 0] == 1
    # The displacement is weighted by the Gaussian all the same.
    np.testing.assert_allclose(weights["displacement"][10, 4, 0], np.exp(-0.5))


def test_every_patch_points_at_the_landmark():
    labels, _ = label([[23.4, 80.0], [100.2, 5.1]])

    pointed = patch_centres(16, 16)[:, :, None] + decode_displacement(
        labels["displacement"]
    )

    np.testing.assert_allclose(
        pointed,
        np.broadcast_to([[23.4, 80.0], [100.2, 5.1]], (16, 16, 2, 2)),
        atol=1e-4,
    )


def test_a_landmark_that_is_not_annotated_has_no_weight_and_no_nan():
    labels, weights = label([[np.nan, np.nan], [30, 30]])

    for value in [*labels.values(), *weights.values()]:
        assert np.isfinite(value).all()
    assert not weights["heatmap"][..., 0].any()
    assert not weights["displacement"][..., 0].any()
    assert weights["heatmap"][..., 1].all()


def test_transposed_landmarks_have_transposed_labels():
    rng = np.random.default_rng(0)
    points = rng.uniform(-20, 148, (4, 2))

    labels, weights = label(points, rows=12, columns=16)
    turned, turned_weights = label(points[:, ::-1], rows=16, columns=12)

    np.testing.assert_array_equal(
        turned["heatmap"], labels["heatmap"].transpose(1, 0, 2)
    )
    np.testing.assert_array_equal(
        turned["displacement"],
        labels["displacement"].transpose(1, 0, 2, 3)[..., ::-1],
    )
    np.testing.assert_array_equal(
        turned_weights["displacement"], weights["displacement"].transpose(1, 0, 2)
    )
