import numpy as np
import pytest
from support.comparison import BASELINE, SIMPLE, SMOOTHED, keep

from phdnet_tf.comparison.tables import compare, curves, read_points


def test_table_1_has_each_map_with_each_strategy(points):
    table = compare(points)["table_1"]

    found = [(row["mapping"], row["strategy"], row["all"]["mean"]) for row in table]
    assert found == [
        ("binary", "simple", np.mean(BASELINE)),
        ("binary", "smoothing", 1),
        ("gaussian", "simple", 1),
        ("gaussian", "smoothing", np.mean(SMOOTHED)),
    ]


def test_table_2_compares_the_systems_on_the_images_phdnet_is_confident_of(points):
    report = compare(points)
    baseline, phdnet = report["table_2"]

    # One doubted landmark takes its whole image, b1, out of the subset.
    assert report["high_confidence_share"] == 6 / 8
    assert baseline["high_confidence"]["points"] == 6
    assert baseline["high_confidence"]["mean"] == np.mean([5, 7, 5, 7, 1, 1])
    assert phdnet["high_confidence"]["mean"] == np.mean([2, 4, 2, 4, 3, 5])
    assert phdnet["all"]["median"] == 3.5
    assert baseline["all"]["difference"] == np.mean(BASELINE) - np.mean(SMOOTHED)
    assert "difference" not in phdnet["all"]


def test_points_that_are_not_annotated_are_left_out(tmp_path):
    errors = [[1, np.nan], [1, 1], [1, 1], [1, 1]]

    points = read_points(
        {("unet", 0): keep(tmp_path / "unet", "unet", {"peak": errors})}
    )

    assert len(points.subjects) == 7 and points.high_confidence is None
    assert "high_confidence" not in compare(points)["table_2"][0]


def test_systems_with_other_points_are_refused(tmp_path, points):
    fewer = keep(tmp_path / "u", "unet", {"peak": [[1, np.nan], *SIMPLE[1:]]})

    with pytest.raises(ValueError, match="unet: .* same 8 points .* Received 7"):
        read_points({("unet", 0): fewer, ("phdnet", 0): tmp_path / "phdnet"})


def test_the_figure_has_all_images_and_the_confident_ones(points):
    panels = curves(points)

    assert [len(errors) for errors in panels["all"].values()] == [8, 8]
    assert [len(errors) for errors in [*panels.values()][1].values()] == [6, 6]
