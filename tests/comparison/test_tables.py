import csv

import numpy as np
import pytest

from phdnet_tf.comparison.cross_validation import COLUMNS, PREDICTIONS
from phdnet_tf.comparison.report import markdown
from phdnet_tf.comparison.tables import compare, curves, read_points
from phdnet_tf.evaluation import metrics
from phdnet_tf.evaluation.metrics import mean_interval

IMAGES = {"a1": "a", "a2": "a", "b1": "b", "c1": "c"}
LANDMARKS = ("one", "two")


def keep(folder, system, strategies, high=None):
    """Predictions of the images, whose errors are `strategies` [image, landmark]."""
    folder.mkdir(parents=True)
    with (folder / PREDICTIONS).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (strategy, errors) in enumerate(strategies.items()):
            for i, (image, subject) in enumerate(IMAGES.items()):
                for j, landmark in enumerate(LANDMARKS):
                    own = number == 0
                    flag = int(high is None or high[i][j]) if own else ""
                    row = [subject, image, landmark, system, 0, strategy, errors[i][j]]
                    writer.writerow([*row, 1.5 if own else "", flag])
    return folder


BASELINE = [[5, 7], [5, 7], [30, 2], [1, 1]]
SMOOTHED = [[2, 4], [2, 4], [10, 2], [3, 5]]
SIMPLE = [[1, 1], [1, 1], [1, 1], [1, 1]]
HIGH = [[1, 1], [1, 1], [0, 1], [1, 1]]


@pytest.fixture
def points(tmp_path):
    baseline = {"simple": BASELINE, "smoothing": SIMPLE}
    phdnet = {"smoothing": SMOOTHED, "simple": SIMPLE}
    return read_points(
        {
            ("baseline", 0): keep(tmp_path / "baseline", "baseline", baseline),
            ("phdnet", 0): keep(tmp_path / "phdnet", "phdnet", phdnet, HIGH),
        }
    )


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


def test_the_report_can_be_read(points, monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 50)
    cost = {
        "system": "phdnet",
        "fold": 0,
        "parameters": 64649,
        "training_seconds": 600,
        "steps": [2000],
        "ended_by": ["time limit"],
        "model_bytes": 600_000,
        "latency_ms": 41.2,
    }
    report = {
        **compare(points),
        "title": "Benchmark: drawn",
        "protocol": ["Four images."],
        "costs": [cost],
        "command": "phdnet-tf benchmark --view sa",
        "versions": {"keras": "3.1"},
        "machine": "two cores",
    }

    text = markdown(report)

    assert "| gaussian | smoothing | 8 | 4.00 ± 2.50" in text
    assert "high confidence (75%)" in text
    assert "| PHD-Net, all landmarks in one | 0 | 64,649 | 10.0 | 2000 |" in text
    assert "phdnet-tf benchmark --view sa" in text
