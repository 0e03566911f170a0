import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf.config import NETWORKS
from phdnet_tf.decoding.peak import peak
from phdnet_tf.presets import PRESETS
from phdnet_tf.training.labels import heatmap_labels

COMPARED = {name: net for name, net in NETWORKS.items() if net.whole_images}
STD = {NETWORKS[name]: PRESETS[name].heatmap_std for name in COMPARED}


def perfect(network, points):
    """The label of landmarks at canvas points, float[B, L, 2]."""
    points = np.asarray(points, "f4")
    inputs = (points - (network.step - 1) / 2) / network.step
    side = 512 // network.cell
    labels, _ = heatmap_labels(inputs, side, network.stride, STD[network])
    return labels["heatmap"]


@pytest.mark.parametrize("network", COMPARED.values(), ids=list(COMPARED))
@pytest.mark.parametrize("call", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_perfect_heatmaps_give_back_the_landmark(network, call):
    rng = np.random.default_rng(0)
    edge = network.cell / 2
    points = rng.uniform(edge, 511 - edge, (20, 3, 2))

    found, height = call(lambda heat: peak(heat, network.cell))(
        perfect(network, points)
    )

    np.testing.assert_allclose(found, points, atol=0.05)
    # The nearest value is at most half a value away in each axis.
    assert (np.asarray(height) >= np.exp(-0.25 / STD[network] ** 2)).all()


@pytest.mark.parametrize("network", COMPARED.values(), ids=list(COMPARED))
def test_a_landmark_in_a_corner_of_the_canvas_is_found(network):
    corners = np.array([[[-0.4, -0.4], [511.4, 0], [0, 511.4], [511, 511]]])

    found, _ = peak(perfect(network, corners), network.cell)

    np.testing.assert_allclose(found, corners, atol=0.05)


def test_noise_moves_a_peak_by_half_a_value_at_most():
    heat = np.random.default_rng(1).normal(size=(4, 16, 16, 2)).astype("f4")

    found, height = peak(heat, 8)

    flat = heat.transpose(0, 3, 1, 2).reshape(4, 2, -1)
    best = np.stack([flat.argmax(-1) % 16, flat.argmax(-1) // 16], axis=-1)
    assert (np.abs(np.asarray(found) - (best * 8 + 3.5)) <= 4).all()
    np.testing.assert_array_equal(height, flat.max(-1))


def test_transposed_heatmaps_give_transposed_landmarks():
    heat = np.random.default_rng(2).uniform(size=(2, 12, 20, 3)).astype("f4")

    found, _ = peak(heat, 2)
    turned, _ = peak(heat.swapaxes(1, 2), 2)

    np.testing.assert_allclose(turned, np.asarray(found)[..., ::-1], atol=1e-5)


def test_a_flat_heatmap_gives_a_number():
    found, height = peak(tf.zeros([1, 8, 8, 1]), 8)

    assert np.isfinite(found).all() and height.numpy() == 0


def test_a_landmark_that_is_not_annotated_has_no_heat_and_no_weight():
    points = np.array([[[10.0, 20.0], [np.nan, 5.0]]], "f4")

    labels, weights = heatmap_labels(points, 16, 4, 1.0)

    assert np.isfinite(labels["heatmap"]).all()
    assert weights["heatmap"].numpy()[..., 0].all()
    assert not weights["heatmap"].numpy()[..., 1].any()
    assert not labels["heatmap"].numpy()[..., 1].any()
