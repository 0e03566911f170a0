import math

import numpy as np
import pytest

from phdnet_tf.trust.radii import LEVELS, learn_radii


def radii_of(learnt, evidence):
    """The formula of `Radii`, for its first landmark: float[N, 3]."""
    expected = np.exp(learnt.offset + evidence[:, 0] @ np.array(learnt.slopes))
    return expected[:, None] * np.array(learnt.quantiles[0])


def test_without_evidence_radii_are_quantiles_of_the_errors():
    errors = np.arange(1.0, 40)[:, None]
    evidence = np.zeros((39, 1, 2))

    learnt = learn_radii(errors, evidence, ["one subject"] * 39)

    # Of n = 39 the k-th smallest, k = ceil(40 p): 20, 36 and 38.
    assert LEVELS == (0.5, 0.9, 0.95)
    np.testing.assert_allclose(radii_of(learnt, evidence)[0], [20, 36, 38])


@pytest.mark.parametrize(("count", "finite"), [(8, 1), (9, 2), (18, 2), (19, 3)])
def test_few_images_promise_no_radius(count, finite):
    learnt = learn_radii(
        np.arange(1.0, count + 1)[:, None], np.zeros((count, 1, 1)), ["a"] * count
    )

    assert [math.isfinite(q) for q in learnt.quantiles[0]] == [
        number < finite for number in range(3)
    ]


def test_radii_grow_where_the_evidence_says_so():
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(400, 1, 2))
    errors = np.exp(1 + evidence[..., 0] + rng.normal(0, 0.3, (400, 1)))
    subjects = [f"s{number // 4}" for number in range(400)]

    learnt = learn_radii(errors, evidence, subjects)

    assert learnt.slopes[0] > 0.5 and abs(learnt.slopes[1]) < 0.1


def test_landmarks_share_what_evidence_means_and_differ_in_how_far_they_are_off():
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(400, 2, 1))
    errors = 10 * np.exp(evidence[..., 0]) * [1, 3] + 1e-6
    errors[20:, 1] = np.nan  # Too few to learn a slope of their own from.

    learnt = learn_radii(errors, evidence, [f"s{number}" for number in range(400)])

    one, three = np.array(learnt.quantiles)[:, 0]
    assert learnt.slopes[0] > 0.8
    assert three / one == pytest.approx(3, rel=0.15)


def test_no_chance_makes_what_looks_worse_the_better():
    evidence = np.linspace(0, 1, 20)[:, None, None]
    errors = np.exp(1 - evidence[..., 0])  # of few points, and the wrong way round

    learnt = learn_radii(errors, evidence, [f"s{number}" for number in range(20)])

    assert learnt.slopes == (0.0,)


def test_radii_hold_new_points_as_often_as_they_say():
    rng = np.random.default_rng(1)
    evidence = rng.normal(size=(4000, 1, 3))
    errors = np.exp(rng.normal(0.7 * evidence[..., 0], 0.8))
    held = []
    for start in range(0, 4000, 200):
        part = slice(start, start + 60)
        learnt = learn_radii(
            errors[part], evidence[part], [f"s{n // 5}" for n in range(60)]
        )
        new = slice(start + 60, start + 200)
        held.append(errors[new] <= radii_of(learnt, evidence[new]))

    # 2,800 new points of 20 calibrations.
    np.testing.assert_allclose(np.concatenate(held).mean(axis=0), LEVELS, atol=0.03)


def test_a_subject_does_not_judge_itself():
    """One subject alone has evidence, and errors, of another kind."""
    errors = np.array([[1.0]] * 18 + [[50.0]] * 2)
    evidence = np.array([[[0.0]]] * 18 + [[[1.0]]] * 2)

    learnt = learn_radii(errors, evidence, [*"abcdefghijklmnopqr", "z", "z"])

    # The others cannot know what the evidence means. Of 1 mm, and 1 added, they expect
    # exp(log 2): the errors of the last one are 25 times as long. 20 of 20 at 95 %.
    assert learnt.slopes[0] > 1
    assert learnt.quantiles[0][2] == pytest.approx(25)


def test_landmarks_that_are_not_annotated_teach_no_radius():
    errors = np.array([[1.0], [np.nan], [3.0]])

    learnt = learn_radii(errors, np.zeros((3, 1, 1)), ["a", "a", "a"])

    assert learnt.quantiles[0] == (3, math.inf, math.inf)
    with pytest.raises(ValueError, match="error radius: expected at least one"):
        learn_radii(errors * np.nan, np.zeros((3, 1, 1)), ["a", "b", "c"])
