import numpy as np

from phdnet_tf.models.hourglass import build_hourglass


def convolution(kernel, inputs, outputs):
    return kernel**2 * inputs * outputs + outputs


def residual(inputs, outputs):
    half = outputs // 2
    normalisations = 2 * (inputs + half + half)
    shortcut = convolution(1, inputs, outputs) if inputs != outputs else 0
    return (
        normalisations
        + shortcut
        + convolution(1, inputs, half)
        + convolution(3, half, half)
        + convolution(1, half, outputs)
    )


def test_the_hourglass_has_about_6_million_parameters():
    stem = convolution(7, 1, 64) + 2 * 64
    stem += residual(64, 128) + residual(128, 128) + residual(128, 256)
    # Three places on each of four levels, and the bottom; then the features.
    hourglass = 2 * (4 * 3 + 1) * residual(256, 256)
    top = 2 * residual(256, 256)
    top += convolution(1, 256, 256) + 2 * 256 + convolution(1, 256, 3)
    model = build_hourglass(3)

    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)

    assert trainable == stem + hourglass + top
    assert 5.5e6 < trainable < 6.5e6


def test_a_heatmap_has_a_quarter_of_the_resolution():
    images = np.zeros((1, 64, 128, 1), "f4")

    assert build_hourglass(2)(images)["heatmap"].shape == (1, 16, 32, 2)
