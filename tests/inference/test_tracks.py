import numpy as np
import pytest
from support.cines import RADII
from support.tracks import SPACING, circle, predictions

from phdnet_tf.inference.results import Landmark, Prediction
from phdnet_tf.inference.tracks import (
    MAX_PHASES,
    TOLERANCE_MM,
    expected_points,
    find_tracks,
    with_jumps,
)


@pytest.mark.parametrize("period", [25, None])
def test_a_smooth_track_is_where_it_is_expected(period):
    track = circle()

    expected = expected_points(track, np.arange(1, 26), period)

    # A parabola misses a circle of 8 mm by a little; open ends by more.
    distances = np.linalg.norm(track - expected, axis=1)
    assert distances[3:-3].max() < 0.5
    assert distances.max() < 0.5 if period else distances.max() < 4


def test_a_parabola_is_followed_exactly():
    t = np.arange(12.0)
    track = np.stack([3 + 2 * t + 0.5 * t**2, -t], 1)

    np.testing.assert_allclose(
        expected_points(track, np.arange(1, 13), None), track, atol=1e-5
    )


@pytest.mark.parametrize("phase", [1, 2, 12, 25])
def test_a_jump_is_as_long_as_it_is_and_its_neighbours_have_none(phase):
    track = circle()
    track[phase - 1] += [30, -40]  # 50 mm

    (found,) = find_tracks(predictions(track), range(1, 26), 25)

    assert found.jumps[phase - 1] == pytest.approx(50, abs=2)
    others = np.delete(found.jumps, phase - 1)
    assert others.max() < TOLERANCE_MM / 2
    assert found.summary()["jump_phases"] == [phase]
    assert found.summary()["consistency"] == pytest.approx(24 / 25, abs=1e-3)


def test_two_jumps_in_a_row_are_found():
    track = circle()
    track[[10, 11]] += [40, 0]

    (found,) = find_tracks(predictions(track), range(1, 26), 25)

    assert found.summary()["jump_phases"] == [11, 12]


def test_a_jump_lowers_confidence_and_nothing_else_does():
    track = circle()
    track[5] += [0, 4 * TOLERANCE_MM]
    before = predictions(track)

    after = with_jumps(before, find_tracks(before, range(1, 26), 25))

    jumped = after[5].landmarks[0]
    assert not jumped.high_confidence
    assert jumped.confidence == pytest.approx(2.0 / 4, rel=0.05)
    assert jumped.frame_confidence == 2.0
    assert (jumped.x, jumped.y) == (before[5].landmarks[0].x, before[5].landmarks[0].y)
    for number, prediction in enumerate(after):
        if number != 5:
            landmark = prediction.landmarks[0]
            assert landmark.high_confidence and landmark.confidence == 2.0
            assert 0 <= landmark.jump_mm < TOLERANCE_MM


def test_low_confidence_stays_low():
    before = predictions(circle())
    low = [
        Prediction(
            *("a", "4ch", "m", SPACING, True),
            (Landmark("lv_apex", p.landmarks[0].x, 1, 1, False, RADII),),
        )
        for p in before
    ]

    after = with_jumps(low, find_tracks(low, range(1, 26), None))

    assert not any(p.landmarks[0].high_confidence for p in after)


def test_a_phase_that_is_missing_is_bridged():
    track = circle()
    kept = [n for n in range(25) if n not in (7, 8)]

    (found,) = find_tracks(predictions(track[kept]), [n + 1 for n in kept], 25)

    assert found.jumps.max() < 1


def test_too_few_phases_tell_nothing():
    before = predictions(circle()[:4])

    assert find_tracks(before, range(1, 5), None) == []
    assert with_jumps(before, []) == before


def test_more_phases_than_memory_would_hold_get_no_track():
    """Of a square of 1000 x 1000 numbers; 10000 phases would take gigabytes."""
    before = predictions(circle(MAX_PHASES + 1))

    assert len(find_tracks(before[:-1], range(1, MAX_PHASES + 1), None)) == 1
    assert find_tracks(before, range(1, MAX_PHASES + 2), None) == []


def test_the_excursion_is_how_far_the_smooth_track_goes():
    (found,) = find_tracks(predictions(circle(radius=8)), range(1, 26), 25)

    assert found.summary()["excursion_mm"] == pytest.approx(16, abs=0.5)


def test_reference_points_of_a_real_cine_do_not_jump(real_data):
    table = np.genfromtxt(
        real_data / "bivme_4ch" / "landmarks.csv", delimiter=",", names=True
    )
    for name in ("tricuspid_valve", "mitral_valve", "lv_apex"):
        points = np.stack([table[f"{name}_x"], table[f"{name}_y"]], 1) * 1.40625
        jumps = np.linalg.norm(
            points - expected_points(points, np.arange(1, 26), 25), axis=1
        )
        assert jumps.max() < 4.7 < TOLERANCE_MM
