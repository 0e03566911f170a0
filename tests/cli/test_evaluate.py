"""`phdnet-tf evaluate` as a user runs it."""

import csv
import json

import numpy as np
import pytest
from support.command import run

pytestmark = pytest.mark.slow


def test_evaluation_takes_the_fold_that_training_left_untouched(
    trained, data, tmp_path
):
    models = trained[1] / "models"
    output = tmp_path / "evaluation"

    result = run("evaluate", "--data", data, "--models", models, "--output", output)

    report = json.loads((output / "evaluation.json").read_text())
    assert report["folds"] == [1] and report["images"] == 1
    assert "Caution" not in result.output
    with (output / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    errors = [float(row["error_mm"]) for row in rows]
    assert report["landmarks"]["overall"]["all"]["mean"] == pytest.approx(
        np.mean(errors), rel=1e-3
    )
    assert (output / "error_curve.png").stat().st_size > 1000


def test_evaluation_on_images_that_were_trained_on_is_cautioned(trained, data):
    result = run(
        *("evaluate", "--data", data, "--models", trained[1] / "models", "--fold", 2)
    )

    assert "Caution: the model was trained or validated on folds 2" in result.output
