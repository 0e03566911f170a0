import csv
import json
import math

import numpy as np
import pytest

from phdnet_tf.trust.bins import learn_bins
from phdnet_tf.trust.radii import LEVELS, learn_radii
from phdnet_tf.trust.recognition import image_confidence, recognition_threshold
from phdnet_tf.trust.threshold import confidence_threshold


def test_the_threshold_is_the_error_weighted_mean_of_the_worst_tenth():
    errors = np.array([1.0] * 18 + [10.0, 30.0])
    confidence = np.array([2.0] * 18 + [0.4, 0.8])

    # The worst 2 of 20: (10 x 0.4 + 30 x 0.8) / 40.
    assert confidence_threshold(errors, confidence) == pytest.approx(0.7)


@pytest.mark.parametrize(("number", "worst"), [(5, 1), (10, 1), (11, 2), (30, 3)])
def test_a_tenth_is_rounded_up(number, worst):
    errors = np.arange(1.0, number + 1)
    confidence = np.zeros(number)
    confidence[-worst:] = 1  # 1 among the worst, 0 elsewhere

    assert confidence_threshold(errors, confidence) == pytest.approx(1)
    confidence[-worst] = 0
    assert confidence_threshold(errors, confidence) < 1


def test_landmarks_that_are_not_annotated_do_not_count():
    errors = np.array([np.nan, 3.0, 1.0])
    confidence = np.array([9.0, 0.5, 2.0])

    assert confidence_threshold(errors, confidence) == 0.5


def test_perfect_predictions_have_a_threshold_too():
    assert confidence_threshold(np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0])) == 1


def test_nothing_to_learn_from_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match="annotate it in the validation fold"):
        confidence_threshold(np.array([np.nan]), np.array([1.0]))


def test_the_authors_predictions_give_the_published_split(real_data):
    """82.1 % of 909 points and 58.4 % of 303 images (paper: 56 %) are high."""
    errors, high = [], []
    for landmark in range(3):
        tables = []
        for part in ("valid", "test"):
            name = f"uncertainty_pairs_{part}_t{landmark}.csv"
            path = real_data / "phdnet_uncertainty" / "SA" / name
            with path.open(newline="") as file:
                tables.append(list(csv.DictReader(file)))
        valid, test = tables
        found = {}
        for fold in range(8):
            known = [r for r in valid if int(r["Validation Fold"]) == fold]
            threshold = confidence_threshold(
                np.array([float(r["S-MHA Error"]) for r in known]),
                np.array([float(r["S-MHA Uncertainty"]) for r in known]),
            )
            for row in test:
                if int(row["Testing Fold"]) == fold:
                    confidence = float(row["S-MHA Uncertainty"])
                    error = float(row["S-MHA Error"]) * 0.9375
                    found[row["uid"]] = error, confidence >= threshold
        subjects = sorted(found)
        errors.append([found[subject][0] for subject in subjects])
        high.append([found[subject][1] for subject in subjects])
    errors, high = np.array(errors), np.array(high)

    assert errors.size == 909
    assert round(high.mean() * 100, 1) == 82.1
    assert round(high.all(axis=0).mean() * 100, 1) == 58.4
    assert round(errors[high].mean(), 2) == 3.26
    assert round(errors.mean(), 2) == 3.58


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


def test_bins_hold_equal_numbers_and_their_bounds_fall():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 500)
    errors = 10 * (1 - confidence) * rng.uniform(0.5, 1.5, 500)

    bins = learn_bins(errors, confidence)

    np.testing.assert_array_equal(np.bincount(bins.of(confidence)), [100] * 5)
    assert bins.bounds_mm[0] is None
    # The error that is expected at 0.2, 0.4, 0.6 and 0.8.
    np.testing.assert_allclose(bins.bounds_mm[1:], [8, 6, 4, 2], rtol=0.2)
    assert list(bins.bounds_mm[1:]) == sorted(bins.bounds_mm[1:], reverse=True)


def test_bins_survive_json():
    bins = learn_bins(np.array([3.0, 1.0]), np.array([0.2, 0.8]))

    assert bins.from_dict(json.loads(json.dumps(bins.to_dict()))) == bins


def test_the_confidence_of_an_image_is_the_geometric_mean():
    found = image_confidence(np.array([[2.0, 4.0, 1.0], [5.0, 0.0, 5.0], [-1.0, 2, 2]]))

    np.testing.assert_allclose(found, [2, 0, 0])


def test_the_threshold_is_an_eighth_of_what_is_usual():
    # Geometric means of 2, 4 and 8; one odd image moves the threshold to a neighbour.
    confidence = np.array([[1.0, 4.0], [4.0, 4.0], [2.0, 32.0]])
    odd = np.concatenate([confidence, [[1e-6, 1e-6]]])

    assert recognition_threshold(confidence) == pytest.approx(4 / 8)
    assert recognition_threshold(odd) == pytest.approx(3 / 8)
