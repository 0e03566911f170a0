import numpy as np
import pytest
from support.phantoms import quiet, rng, signal_at

from phdnet_tf.phantom import four_chamber


def test_each_valve_lies_halfway_between_its_hinges_on_the_ventricles():
    for seed in range(20):
        heart = four_chamber.draw_heart(rng(3, seed))
        tricuspid, mitral, _ = heart.landmarks
        septal, lateral, mitral_septal, mitral_lateral = heart.hinges

        assert tricuspid == pytest.approx((septal + lateral) / 2)
        assert mitral == pytest.approx((mitral_septal + mitral_lateral) / 2)
        for hinge in (mitral_septal, mitral_lateral):
            assert abs(heart.lv_inside - hinge).min() < 1e-9
        assert abs(heart.rv - lateral).min() < 1e-9
        assert abs(heart.lv_outside - septal).min() < 1e-9


def test_the_apex_is_the_point_of_the_left_ventricle_farthest_from_its_valve():
    for seed in range(20):
        heart = four_chamber.draw_heart(rng(3, seed))
        _, mitral, apex = heart.landmarks
        far = np.abs(heart.lv_outside - mitral).max()

        assert abs(heart.lv_outside - apex).min() < 1e-9
        assert abs(apex - mitral) == pytest.approx(far, rel=0.02)


def test_there_is_blood_along_the_left_ventricle_and_none_beyond_its_apex():
    inside, beyond = [], []
    for seed in range(12):
        canvas, heart = quiet("4ch", seed)
        _, mitral, apex = heart.landmarks
        inside.extend(
            signal_at(canvas, mitral + (apex - mitral) * np.r_[0.3, 0.5, 0.8])
        )
        beyond.extend(signal_at(canvas, [apex + 2.0 * heart.axis]))

    assert np.median(inside) > 0.8
    assert np.percentile(inside, 10) > np.percentile(beyond, 75)
