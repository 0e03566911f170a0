import matplotlib.image
import matplotlib.text
import numpy as np

from phdnet_tf.evaluation.plots import save_confidence, save_error_curves


def test_error_curves_are_drawn_even_where_a_group_is_empty(tmp_path):
    path = tmp_path / "curve.png"

    curves = {"all": np.array([1.0, 3.0, np.nan]), "low": np.array([])}
    save_error_curves(path, {"title": curves})
    narrow = matplotlib.image.imread(path).shape[1]
    save_error_curves(path, {"one": curves, "two": curves})

    assert matplotlib.image.imread(path).shape[1] == 2 * narrow

    assert matplotlib.image.imread(path).std() > 0


def test_risk_and_reliability_are_drawn(tmp_path):
    errors = np.array([[1.0, np.nan], [5.0, 2.0]])
    radii = {
        "a": [
            {"level": 0.5, "coverage": 0.4, "interval": (0.3, 0.6), "median_mm": 2.0},
            {"level": 0.9, "coverage": 0.9, "interval": None, "median_mm": 5.0},
        ]
    }

    save_confidence(tmp_path / "c.png", errors, {"confidence": 1 / errors}, radii)

    assert matplotlib.image.imread(tmp_path / "c.png").shape[1] > 1000


def test_names_with_dollar_signs_are_no_formulas(tmp_path):
    odd = "a $x^$"  # as a formula, a power without its number
    levels = [{"level": 0.9, "coverage": 0.9, "interval": None, "median_mm": 5.0}]
    errors = np.array([[1.0], [5.0]])

    save_error_curves(tmp_path / "curve.png", {odd: {"all": errors}})
    save_confidence(
        tmp_path / "c.png", errors, {"confidence": 1 / errors}, {odd: levels}
    )

    assert (tmp_path / "curve.png").exists() and (tmp_path / "c.png").exists()
