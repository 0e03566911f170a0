"""`phdnet-tf benchmark` as a user runs it."""

import csv
import json

import pytest
from support.command import run


@pytest.mark.slow
def test_a_benchmark_reports_after_every_fold_and_keeps_what_is_finished(
    data, tmp_path
):
    arguments = ["benchmark", "--view", "4ch", "--data", data, "--system", "phdnet"]
    arguments += ["--time-limit", "0.02", "--output", tmp_path / "b"]

    printed = run(*arguments, "--fold", "1").output
    again = run(*arguments, "--fold", "1", "--fold", "2")

    assert "PHD-Net, all landmarks in one" in printed and "test folds 1 of 8" in printed
    assert "fold_1: finished before" in again.output
    assert "test folds 1, 2 of 8" in again.output
    report = json.loads((tmp_path / "b" / "report.json").read_text())
    assert report["folds"] == [1, 2] and report["points"] == 6
    assert (tmp_path / "b" / "error_curves.png").stat().st_size > 0
    with (tmp_path / "b" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # Two folds of one image, three landmarks and three strategies.
    assert len(rows) == 18 and {row["fold"] for row in rows} == {"1", "2"}


@pytest.mark.slow
def test_a_benchmark_of_systems_without_a_common_fold_says_what_to_do(data, tmp_path):
    (tmp_path / "unet" / "fold_1").mkdir(parents=True)
    (tmp_path / "unet" / "fold_1" / "result.json").write_text("{}")
    arguments = ["benchmark", "--view", "4ch", "--data", data, "--output", tmp_path]

    told = run(*arguments, "--system", "phdnet", "--fold", "2", "--time-limit", "0.02")

    assert "unet, phdnet have no fold in common" in told.output
    assert not (tmp_path / "README.md").exists()


def test_a_benchmark_of_other_settings_is_not_mixed_in(data, tmp_path):
    (tmp_path / "benchmark.json").write_text('{"view": "sa"}')

    refused = run(
        "benchmark", "--view", "4ch", "--data", data, "--output", tmp_path, code=1
    )

    assert "another view" in refused.output and "--output" in refused.output


@pytest.mark.slow
def test_a_benchmark_does_not_go_on_with_what_another_version_trains(data, tmp_path):
    arguments = ["benchmark", "--view", "4ch", "--data", data, "--system", "phdnet"]
    arguments += ["--time-limit", "0.02", "--fold", "1", "--output", tmp_path]
    run(*arguments)
    file = tmp_path / "phdnet" / "benchmark.json"
    settings = json.loads(file.read_text())
    settings["recipe"]["training"]["batch_size"] += 1
    file.write_text(json.dumps(settings))

    other = run(*arguments, code=1)
    file.unlink()
    unknown = run(*arguments, code=1)

    for refused in (other, unknown):
        assert "another recipe" in refused.output and "--output" in refused.output
