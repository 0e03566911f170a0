import csv

import numpy as np
import pytest

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
    with pytest.raises(ValueError, match="Annotate it in the validation fold"):
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
