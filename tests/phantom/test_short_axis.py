import numpy as np
import pytest
from support.phantoms import quiet, rng, signal_at

from phdnet_tf.phantom import short_axis


def test_an_rv_insertion_has_muscle_on_the_left_and_blood_on_the_right():
    muscle, blood = [], []
    for seed in range(12):
        canvas, heart = quiet("sa", seed)
        for insertion, towards in zip(heart.landmarks[:2], (1, -1), strict=True):
            # 4 mm inwards is the left ventricle's wall; 5 mm along the septum and
            # 9 mm out of it is the right ventricle.
            inwards = -insertion / abs(insertion)
            muscle.append(signal_at(canvas, [insertion + 4 * inwards])[0])
            inside = insertion + 5 * towards * heart.along + 9 * heart.away
            blood.append(signal_at(canvas, [inside])[0])

    assert np.median(blood) > 1.5 * np.median(muscle)


def test_an_rv_insertion_lies_on_both_ventricles():
    for seed in range(20):
        heart = short_axis.draw_heart(rng(3, seed))
        for insertion in heart.landmarks[:2]:
            assert abs(heart.lv_outside - insertion).min() < 0.6
            assert abs(heart.rv - insertion).min() < 1e-9


def test_the_lateral_reflection_is_the_rv_extreme_at_45_degrees():
    for seed in range(20):
        heart = short_axis.draw_heart(rng(3, seed), odd_pose=seed % 2 == 0)
        superior, inferior, reflection = heart.landmarks
        down = (inferior - superior) / abs(inferior - superior)
        # Away from the left ventricle, whose middle is the origin.
        away = 1j * down
        assert (away * np.conj(heart.rv.mean())).real > 0
        direction = (down + away) / np.sqrt(2)
        reach = (heart.rv * np.conj(direction)).real

        assert (reflection * np.conj(direction)).real == pytest.approx(reach.max())
