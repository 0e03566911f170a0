import numpy as np
import pytest
from keras import layers

from phdnet_tf.export.folding import fold_normalisation
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import VIEWS, make_config


def trained(preset):
    """A network with statistics and scales as after training, half of them below 0."""
    rng = np.random.default_rng(0)
    network = build_network(make_config(preset, "sa", VIEWS["sa"]).model)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            count = layer.gamma.shape[0]
            sign = np.where(np.arange(count) % 2, 1, -1)
            layer.set_weights(
                [
                    sign * rng.uniform(0.5, 1.5, count),
                    rng.normal(size=count),
                    rng.normal(size=count),
                    rng.uniform(0.5, 1.5, count),
                ]
            )
    return network


@pytest.mark.parametrize("preset", ["default", "paper", "phdnet-small", "hourglass"])
def test_the_folded_network_answers_as_the_trained_one(preset):
    network = trained(preset)
    images = np.random.default_rng(1).random((1, 64, 64, 1), dtype="f4")

    folded = fold_normalisation(network)

    for name, wanted in network(images, training=False).items():
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(
            folded(images)[name], wanted, rtol=0, atol=1e-5 * scale
        )


def test_what_directly_follows_a_convolution_is_gone_and_the_rest_is_one_scale():
    folded = fold_normalisation(trained("phdnet-small"))

    kinds = {
        layer.name: type(layer).__name__
        for layer in folded.layers
        if layer.name.endswith("normalisation")
    }
    # The first three are pooled before they are normalised.
    scaled = {name for name, kind in kinds.items() if kind == "ScaleAndOffset"}
    assert scaled == {f"encoder_{n}_normalisation" for n in (1, 2, 3)}
    assert set(kinds.values()) == {"ScaleAndOffset", "Identity"}


def test_the_papers_order_of_layers_folds_all_of_it():
    folded = fold_normalisation(trained("paper"))

    assert "ScaleAndOffset" not in {type(layer).__name__ for layer in folded.layers}
    order = [layer.name for layer in folded.layers if "encoder_1" in layer.name]
    assert order == [
        "encoder_1",
        "encoder_1_normalisation",
        "encoder_1_relu",
        "encoder_1_pool",
    ]


def test_the_trained_network_is_left_as_it_is():
    network = trained("paper")
    before = network.get_weights()

    fold_normalisation(network)

    for one, two in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
