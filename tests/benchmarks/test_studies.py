"""What the scripts in `benchmarks/` count with; they themselves take hours."""

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(FOLDER.rglob("*.py"))


@pytest.fixture
def script(monkeypatch):
    def load(name):
        [file] = FOLDER.rglob(f"{name}.py")
        monkeypatch.syspath_prepend(file.parent)
        return importlib.import_module(name)

    # Some add a folder of the tests.
    monkeypatch.setattr(sys, "path", [*sys.path])
    return load


def test_the_list_names_every_script():
    listed = re.findall(r"`(\w+/\w+\.py)`", (FOLDER / "README.md").read_text())

    assert sorted(listed) == [str(file.relative_to(FOLDER)) for file in SCRIPTS]


@pytest.mark.parametrize(
    "name", [file.stem for file in SCRIPTS if "def main()" in file.read_text()]
)
def test_every_script_loads_and_says_what_it_takes(script, name, monkeypatch, capsys):
    main = script(name).main
    monkeypatch.setattr(sys, "argv", [name, "--help"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out


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
    some = script("results").draws(subjects)
    for rows in some:
        times = np.bincount(rows, minlength=6)
        assert times[0] == times[2] == times[5]
        assert times[1] == times[4]
        assert times[0] + times[1] + times[3] == 3
    assert any(np.bincount(rows, minlength=6)[3] == 2 for rows in some)


def keep(folder, strategies=("augmented", "weighted")):
    """A finished fold, of one image, in the form of a benchmark."""
    folder.mkdir(parents=True)
    rows = [
        f"{folder.name}.dcm,{strategy},{number + 1.5}"
        for number, strategy in enumerate(strategies)
    ]
    (folder / "predictions.csv").write_text(
        "\n".join(["image,strategy,error_mm", *rows, ""])
    )
    (folder / "result.json").write_text(json.dumps({}))


def test_kept_predictions_are_of_one_strategy_and_all_folds(script, tmp_path):
    kept_predictions = script("results").kept_predictions
    for fold in (2, 3):
        keep(tmp_path / "default" / f"fold_{fold}")

    rows = kept_predictions(tmp_path, "default", "augmented", [2, 3])

    assert [row["image"] for row in rows] == ["fold_2.dcm", "fold_3.dcm"]
    assert {row["error_mm"] for row in rows} == {"1.5"}
    with pytest.raises(SystemExit, match=r"fold_4: expected a finished fold.*--fold 4"):
        kept_predictions(tmp_path, "default", "augmented", [2, 4])


def test_a_fold_counts_where_every_system_of_every_benchmark_has_finished_it(
    script, tmp_path
):
    finished_folds = script("results").finished_folds
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (
        *(one / "default" / f"fold_{fold}" for fold in (2, 3, 5)),
        *(one / "unet" / f"fold_{fold}" for fold in (3, 5)),
        two / "default" / "fold_3",
    ):
        keep(folder)

    assert finished_folds([one], ["default"]) == [2, 3, 5]
    assert finished_folds([one], ["default", "unet"]) == [3, 5]
    assert finished_folds([one, two], ["default"]) == [3]
    with pytest.raises(SystemExit, match=r"two: expected a fold .*\(default, unet\)"):
        finished_folds([one, two], ["default", "unet"])
    with pytest.raises(SystemExit, match="one or more"):
        finished_folds([one], [])


def test_a_row_of_errors_leaves_out_what_is_not_annotated(script):
    errors = np.array([[1.0, np.nan], [5.0, 30.0]])
    subjects = np.array([["a", "a"], ["a", "a"]])

    cells = script("results").error_cells(errors, subjects)

    # Of 1, 5 and 30 mm; one subject alone has no interval.
    assert cells == "12.00 ± 12.83 [nan, nan] | 5.00 | 66.7% | 33.3%"


def test_an_interval_of_subjects_that_agree_is_their_mean(script):
    interval = script("results").interval
    values = np.array([2.0, np.nan, 2.0])

    assert interval(values, np.array(["a", "a", "b"]), "+.1f") == "[+2.0, +2.0]"


def test_the_page_of_test_files_has_a_row_for_each_outcome(script):
    page = script("hostile").corpus_page(
        [
            (Path("a.dcm"), "refused", "no | pixels"),
            (Path("set/1"), "refused", "not MR"),
            (Path("set/2"), "refused", "not MR"),
            (Path("one/b.dcm"), "refused", "not MR"),
            (Path("z.dcm"), "predicted", "1 frame"),
        ],
        "9.9",
    )

    assert [line for line in page.splitlines() if line.startswith("| ")][2:] == [
        "| predicted | 1 | 1 frame | `z.dcm` |",
        "| refused | 3 | not MR | `one/b.dcm`, `set/` (2) |",
        "| refused | 1 | no / pixels | `a.dcm` |",
    ]
    assert "predicts 1 of the 5 files and refuses 4" in page
    assert "of pydicom 9.9" in page
