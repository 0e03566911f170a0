"""What the scripts in `benchmarks/` count with; they themselves take hours."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module


def test_a_label_jumps_from_the_middle_of_its_neighbours(script):
    jumps = script("labels").jumps(
        {
            ("ED", 1): np.array([[0.0, 0.0]]),
            ("ED", 2): np.array([[5.0, 4.0]]),
            ("ED", 3): np.array([[4.0, 0.0]]),
            ("ED", 9): np.array([[7.0, 7.0]]),
            ("ES", 2): np.array([[90.0, 90.0]]),
        }
    )
    # The middle of slices 1 and 3 is (2, 0): 3 and 4 mm away from (5, 4).
    np.testing.assert_allclose(jumps["ED", 2], [[5.0, 2]])
    np.testing.assert_allclose(jumps["ED", 1], [[np.sqrt(41), 1]])
    np.testing.assert_allclose(jumps["ED", 3], [[np.sqrt(17), 1]])
    np.testing.assert_allclose(jumps["ED", 9], [[np.nan, 0]])
    np.testing.assert_allclose(jumps["ES", 2], [[np.nan, 0]])


def test_subjects_are_drawn_whole(script):
    subjects = np.array(["a", "b", "a", "c", "b", "a"])
    some = script("accuracy").draws(subjects)
    for rows in some:
        times = np.bincount(rows, minlength=6)
        assert times[0] == times[2] == times[5]
        assert times[1] == times[4]
        assert times[0] + times[1] + times[3] == 3
    assert any(np.bincount(rows, minlength=6)[3] == 2 for rows in some)


def test_kept_predictions_are_of_one_strategy_and_all_folds(script, tmp_path):
    kept_predictions = script("accuracy").kept_predictions
    for fold in (2, 3):
        folder = tmp_path / "default" / f"fold_{fold}"
        folder.mkdir(parents=True)
        (folder / "predictions.csv").write_text(
            "image,strategy,error_mm\n"
            f"{fold}.dcm,augmented,1.5\n{fold}.dcm,weighted,2.5\n"
        )
        (folder / "result.json").write_text(json.dumps({}))
    rows = kept_predictions(tmp_path, "default", "augmented", [2, 3])
    assert [row["image"] for row in rows] == ["2.dcm", "3.dcm"]
    assert {row["error_mm"] for row in rows} == {"1.5"}
    with pytest.raises(SystemExit, match=r"fold_4: expected a finished fold.*--fold 4"):
        kept_predictions(tmp_path, "default", "augmented", [2, 4])
