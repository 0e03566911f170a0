import numpy as np

from phdnet_tf.models.unet import build_unet


def convolution(kernel, inputs, outputs):
    return kernel**2 * inputs * outputs + outputs


def test_the_papers_unet_has_1_63_million_parameters():
    # By hand, from MONAI's description: a slope follows every normalisation.
    down = sum(
        2 * convolution(3, inputs, outputs) + convolution(3, outputs, outputs) + 2
        for inputs, outputs in ((1, 16), (16, 32), (32, 64), (64, 128))
    )
    bottom = convolution(3, 128, 256) + convolution(3, 256, 256)
    bottom += convolution(1, 128, 256) + 2
    up = sum(
        convolution(3, inputs, outputs) + convolution(3, outputs, outputs) + 2
        for inputs, outputs in (
            (128 + 256, 64),
            (2 * 64, 32),
            (2 * 32, 16),
            (2 * 16, 3),
        )
    )
    model = build_unet(3)

    assert model.count_params() == down + bottom + up - 1  # the last has no slope
    assert round(model.count_params() / 1e6, 2) == 1.63


def test_every_pixel_has_a_heat_of_any_sign():
    model = build_unet(2)
    images = np.random.default_rng(0).normal(size=(2, 64, 96, 1)).astype("f4")

    heat = np.asarray(model(images)["heatmap"])

    assert heat.shape == (2, 64, 96, 2)
    assert heat.min() < 0 < heat.max()
