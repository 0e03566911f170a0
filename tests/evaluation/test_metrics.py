import csv

import numpy as np
import pytest

from phdnet_tf.evaluation.metrics import (
    cumulative_errors,
    error_auroc,
    mean_interval,
    point_errors,
    risk_coverage,
    summarise,
)


def test_errors_are_in_millimetres_along_each_axis():
    predicted = np.array([[[13.0, 20.0], [0.0, 0.0]]])
    truth = np.array([[[10.0, 22.0], [np.nan, np.nan]]])
    spacing = np.array([[2.0, 1.0]])  # rows 2 mm apart: y counts double

    errors = point_errors(predicted, truth, spacing)

    np.testing.assert_allclose(errors, [[5.0, np.nan]])  # 3 mm in x, 4 mm in y


def test_the_summary_is_that_of_the_points_that_are_annotated():
    summary = summarise(np.array([1.0, 2.0, 5.0, 24.0, np.nan]))

    assert summary["points"] == 4
    assert summary["mean"] == 8
    assert summary["std"] == pytest.approx(np.sqrt((49 + 36 + 9 + 256) / 4))
    assert summary["median"] == 3.5
    assert summary["p90"] == pytest.approx(5 + 0.7 * 19)
    shares = [summary[name] for name in ("sdr_2", "sdr_4", "sdr_6", "sdr_10")]
    assert shares == [0.5, 0.5, 0.75, 0.75]
    assert summary["beyond_20"] == 0.25


def test_no_points_have_no_figures():
    summary = summarise(np.array([np.nan]))

    assert summary.pop("points") == 0
    assert set(summary.values()) == {None}


def test_the_curve_rises_to_one():
    errors, share = cumulative_errors(np.array([[3.0, np.nan], [1.0, 2.0]]))

    np.testing.assert_allclose(errors, [1, 2, 3])
    np.testing.assert_allclose(share, [1 / 3, 2 / 3, 1])


def test_risk_is_the_mean_error_of_those_that_are_kept():
    coverage, risk = risk_coverage(np.array([6.0, 1.0, 2.0]), np.array([0.1, 0.9, 0.5]))

    np.testing.assert_allclose(coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(risk, [1, 1.5, 3])


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_points_of_equal_confidence_are_kept_in_no_order(order):
    """Each of a tie is as likely to be kept first, so all count as their mean."""
    errors = np.array([40.0, 2.0, 3.0, 23.0])[order]

    _, equal = risk_coverage(errors, np.full(4, 0.5))
    _, partly = risk_coverage(errors, np.array([0.1, 0.9, 0.5, 0.5])[order])

    np.testing.assert_allclose(equal, [17, 17, 17, 17])
    # 2, then the mean of 3 and 23 twice, then 40.
    np.testing.assert_allclose(partly, [2, (2 + 13) / 2, (2 + 26) / 3, 68 / 4])


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    errors = np.array([20.0, 15.0, 1.0, 2.0, 3.0])
    confidence = np.array([0.1, 0.5, 0.5, 0.3, 0.9])

    # Of 2 x 3 pairs: 3 right for the first; one right, one tied, one wrong.
    assert error_auroc(errors, confidence, 10) == pytest.approx(4.5 / 6)
    assert error_auroc(errors, confidence, 100) is None


def test_the_authors_confidence_is_as_good_as_is_known(real_data):
    """Pooled over landmarks: AUROC .789 and .817, AURC 2.73 (single network)."""
    found = {}
    for method in ("S-MHA", "E-MHA"):
        rows = []
        for landmark in range(3):
            name = f"uncertainty_pairs_test_t{landmark}.csv"
            with (real_data / "phdnet_uncertainty" / "SA" / name).open() as file:
                rows += list(csv.DictReader(file))
        errors = np.array([float(row[f"{method} Error"]) for row in rows]) * 0.9375
        confidence = np.array([float(row[f"{method} Uncertainty"]) for row in rows])
        found[method] = (
            round(error_auroc(errors, confidence, 10), 3),
            round(risk_coverage(errors, confidence)[1].mean(), 2),
        )

    assert found["S-MHA"] == (0.789, 2.73)
    assert found["E-MHA"] == (0.817, 2.47)


def test_the_interval_draws_whole_subjects():
    # Two subjects: a resample is either one twice (mean 1 or 5), or both. The first has
    # three times as many points, so that both together have a mean of 2.
    errors, subjects = np.array([1.0, 1, 1, 5]), np.array(["a", "a", "a", "b"])

    assert mean_interval(errors, subjects) == (1, 5)
    assert mean_interval(errors[:3], subjects[:3]) is None


def test_the_interval_is_that_of_the_normal_approximation_for_many_subjects():
    errors = np.random.default_rng(5).normal(4, 2, 400)

    low, high = mean_interval(errors, np.arange(400))

    standard_error = errors.std() / 20
    assert low == pytest.approx(errors.mean() - 1.96 * standard_error, abs=0.03)
    assert high == pytest.approx(errors.mean() + 1.96 * standard_error, abs=0.03)
