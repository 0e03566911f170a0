import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf.config import CropConfig
from phdnet_tf.training.appearance import KNOTS, recoloured

SEED = tf.constant([3, 7], tf.int64)
VIEWS = 40


def drawn(image, **settings):
    """What becomes of the views of a batch that are all one image, [size, size]."""
    views = np.repeat(image[None, ..., None], VIEWS, axis=0)
    views = tf.constant(views, tf.float32)
    return recoloured(views, CropConfig(**settings), SEED).numpy()[..., 0]


def ramp(size=64):
    """Intensities from 0 to 3."""
    return np.linspace(0, 3, size * size).reshape(size, size)


def test_settings_of_zero_change_nothing():
    assert (drawn(ramp()) == ramp().astype("f4")).all()


@pytest.mark.parametrize("call", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_a_seed_gives_one_appearance_and_another_seed_another(call):
    crops = CropConfig(exposure=0.5, curve=0.3, shading=0.4, noise=0.2)
    views = tf.constant(ramp()[None, ..., None], tf.float32)

    first, again, other = (
        call(recoloured)(views, crops, seed).numpy() for seed in (SEED, SEED, SEED + 1)
    )

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.05


def test_the_exposure_is_one_factor_either_way():
    image = ramp() + 1
    factors = drawn(image, exposure=0.5) / image

    np.testing.assert_allclose(np.ptp(factors, axis=(1, 2)), 0, atol=1e-6)
    assert np.exp(-0.5) - 1e-6 < factors.min() < np.exp(-0.4)
    assert np.exp(0.4) < factors.max() < np.exp(0.5) + 1e-6


def test_the_curve_is_straight_between_its_knots_and_keeps_zero():
    knots = np.append(KNOTS, 3)
    image = np.broadcast_to(knots, (6, 6))
    values = drawn(image, curve=0.3)[:, 0]
    curves = drawn(ramp(), curve=0.3)

    for curve, own in zip(curves, values, strict=True):
        np.testing.assert_allclose(curve, np.interp(ramp(), knots, own), atol=1e-5)
    change = values - knots
    assert (change[:, 0] == 0).all()
    # Beyond the last knot it is moved as a whole.
    np.testing.assert_allclose(change[:, 5], change[:, 4], atol=1e-5)
    assert (np.abs(change) < 0.3 + 1e-5).all()
    # Each knot by a draw of its own, either way.
    assert (change[:, 1:5].min(axis=0) < -0.2).all()
    assert (change[:, 1:5].max(axis=0) > 0.2).all()
    assert np.abs(np.corrcoef(change[:, 1:5].T) - np.eye(4)).max() < 0.6


def test_the_coil_is_smooth_and_leaves_the_middle():
    size = 65
    shading = np.log(drawn(np.ones((size, size)), shading=0.4))

    x, y = np.meshgrid(*[np.linspace(-1, 1, size)] * 2)
    terms = np.stack([x, y, x * y, x**2, y**2], axis=-1).reshape(-1, 5)
    bends, rest, *_ = np.linalg.lstsq(terms, shading.reshape(VIEWS, -1).T)

    assert rest.max() < 1e-6
    # Each by a draw of its own.
    assert np.abs(np.corrcoef(bends) - np.eye(5)).max() < 0.6
    assert np.abs(bends).max() < 0.4 + 1e-5
    assert (bends.max(axis=1) > 0.3).all() and (bends.min(axis=1) < -0.3).all()
    assert np.abs(shading[:, size // 2, size // 2]).max() < 1e-6


def test_noise_has_a_spread_of_its_own_and_leaves_what_is_outside_an_image():
    image = np.ones((64, 64))
    image[:, :8] = 0
    noisy = drawn(image, noise=0.2)

    assert (noisy[:, :, :8] == 0).all()
    spread = noisy[:, :, 8:].std(axis=(1, 2))
    assert spread.min() < 0.05 and 0.15 < spread.max() < 0.21
    np.testing.assert_allclose(noisy[:, :, 8:].mean(axis=(1, 2)), 1, atol=0.02)
    # White: a pixel says nothing of the one beside it.
    rest = noisy[spread.argmax(), :, 8:] - 1
    assert abs((rest[:, 1:] * rest[:, :-1]).mean()) < 0.05 * (rest**2).mean()


def test_noise_makes_no_intensity_negative():
    assert drawn(np.full((64, 64), 0.01), noise=0.5).min() >= 0
