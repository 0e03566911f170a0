import numpy as np
import pytest

from phdnet_tf.metrics import cumulative_errors, point_errors, summarise


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
