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


def test_hearts_are_small_and_large_and_lie_steeply_and_flatly():
    hearts = [four_chamber.draw_heart(rng(4, seed)) for seed in range(150)]

    lengths = [abs(heart.landmarks[2] - heart.landmarks[1]) for heart in hearts]
    tilts = np.degrees([-np.angle(heart.axis) for heart in hearts])
    assert min(lengths) < 72 and max(lengths) > 112
    assert min(tilts) < 35 and max(tilts) > 68


def test_some_atria_are_large_each_by_itself():
    hearts = [four_chamber.draw_heart(rng(4, seed)) for seed in range(150)]
    depths = np.array(
        [
            [
                np.abs(heart.la - heart.landmarks[1]).max(),
                np.abs(heart.ra - heart.landmarks[0]).max(),
            ]
            for heart in hearts
        ]
    )

    large = depths > 1.35 * np.median(depths, axis=0)
    assert (large.mean(axis=0) > 0.02).all() and (large.mean(axis=0) < 0.25).all()
    assert not (large[:, 0] == large[:, 1]).all()


def test_some_hearts_lie_in_fluid():
    around = []
    for seed in range(60):
        canvas, heart = quiet("4ch", seed)
        # Beside the lateral wall's middle there is nothing else that bright: fat is
        # negative, the lung and the pericardium are dark.
        outline = heart.lv_outside
        lateral = outline[int(0.6 * len(outline)) : int(0.85 * len(outline))]
        outwards = lateral - heart.lv_inside.mean()
        outwards = outwards / np.abs(outwards)
        rings = [signal_at(canvas, lateral + d * outwards) for d in range(2, 9)]
        around.append(np.median(np.max(rings, axis=0)))

    assert 0.02 < np.mean(np.array(around) > 0.8) < 0.3


def test_the_right_atrium_is_darker_here_and_brighter_there():
    ratios = []
    for seed in range(40):
        canvas, heart = quiet("4ch", seed)
        middles = [heart.ra.mean(), heart.lv_inside.mean()]
        right, left = (
            np.median(signal_at(canvas, m + np.array([0, 4, -4, 4j, -4j])))
            for m in middles
        )
        ratios.append(right / left)

    assert min(ratios) < 0.75 and max(ratios) > 1.25
