"""`phdnet-tf benchmark` as a user runs it."""

import csv
import json
import shutil
import zipfile

import pytest
from support.command import run
from support.training import shrink

from phdnet_tf.comparison import cross_validation
from phdnet_tf.comparison.claim import claim
from phdnet_tf.comparison.systems import system_config


def benchmark(data, folder):
    return [
        *("benchmark", "--view", "4ch", "--data", data, "--system", "phdnet-small"),
        *("--time-limit", "0.02", "--output", folder),
    ]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """Output and folder of a benchmark of one fold."""
    folder = tmp_path_factory.mktemp("benchmark") / "b"
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, "phdnet-small", filters=(8, 8, 8))
        return run(*benchmark(data, folder), "--fold", "1").output, folder


@pytest.fixture
def copy(finished, small, tmp_path):
    """The folder, to go on with."""
    return shutil.copytree(finished[1], tmp_path / "b")


@pytest.mark.slow
def test_a_benchmark_reports_after_every_fold_and_keeps_what_is_finished(
    finished, data, copy
):
    printed, _ = finished

    again = run(*benchmark(data, copy), "--fold", "1", "--fold", "2")

    assert "PHD-Net, augmented, all landmarks in one" in printed
    assert "Test fold 1 of 8" in printed
    assert "Trained with float32" in printed
    assert "fold_1: finished before" in again.output
    assert "Test folds 1, 2 of 8" in again.output
    report = json.loads((copy / "report.json").read_text())
    assert report["folds"] == [1, 2] and report["points"] == 6
    assert report["command"] == (
        f"phdnet-tf benchmark --view 4ch --data {data.name} --fold 1 --fold 2 "
        f"--system phdnet-small --time-limit 0.02 --output {copy.name}"
    )
    assert (copy / "error_curves.png").stat().st_size > 0
    with (copy / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # Two folds of one image, three landmarks and three strategies.
    assert len(rows) == 18 and {row["fold"] for row in rows} == {"1", "2"}


@pytest.mark.slow
def test_a_benchmark_of_systems_without_a_common_fold_says_what_to_do(data, copy):
    settings = json.loads((copy / "benchmark.json").read_text())
    recipe = system_config("unet", "4ch", tuple(settings["landmarks"])).to_dict()
    claim(copy / "unet", {"recipe": recipe})
    (copy / "unet" / "fold_2").mkdir(parents=True)
    (copy / "unet" / "fold_2" / "result.json").write_text("{}")
    (copy / "README.md").unlink()

    told = run(*benchmark(data, copy), "--fold", "1")

    assert "unet, phdnet-small have no fold in common" in told.output
    assert not (copy / "README.md").exists()


def test_files_of_others_are_not_written_over(data, tmp_path):
    (tmp_path / "README.md").write_text("mine")

    refused = run(*benchmark(data, tmp_path), code=1)

    assert "expected a new or an empty folder" in refused.output
    assert "README.md" in refused.output
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_fold_that_is_empty_is_found_before_the_first_training(data, tmp_path):
    folder = shutil.copytree(data, tmp_path / "few")
    header, *rows = (folder / "landmarks.csv").read_text().splitlines()
    (folder / "landmarks.csv").write_text("\n".join([header, *rows[:5]]) + "\n")

    refused = run(*benchmark(folder, tmp_path / "b"), code=1)

    assert "Received none" in refused.output
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
def test_a_system_that_cannot_be_trained_does_not_keep_the_others(
    data, small, tmp_path, monkeypatch
):
    real = cross_validation.train_and_test

    def fails(system, fold, *arguments, **options):
        if fold == 1:
            raise ValueError("the loss was no longer a number")
        return real(system, fold, *arguments, **options)

    monkeypatch.setattr(cross_validation, "train_and_test", fails)

    told = run(*benchmark(data, tmp_path), "--fold", "1", "--fold", "2", code=1)
    nothing = run(*benchmark(data, tmp_path / "b"), "--fold", "1", code=1)

    assert "fold_1: the loss was no longer a number" in told.output
    assert "Test fold 2 of 8" in told.output
    assert "no report yet, for nothing is finished" in nothing.output


def test_a_benchmark_of_other_settings_is_not_mixed_in(data, tmp_path):
    (tmp_path / "benchmark.json").write_text('{"view": "sa"}')

    refused = run(
        "benchmark", "--view", "4ch", "--data", data, "--output", tmp_path, code=1
    )

    assert "another view" in refused.output and "--output" in refused.output


@pytest.mark.slow
def test_a_benchmark_of_half_precision_trains_with_it(data, small, tmp_path):
    said = run(
        *benchmark(data, tmp_path), "--fold", "1", "--precision", "bfloat16"
    ).output
    refused = run(*benchmark(data, tmp_path), "--fold", "1", code=1).output

    assert "Trained with bfloat16" in said
    assert "another precision" in refused
    [network] = tmp_path.glob("phdnet-small/fold_1/**/001.keras")
    assert b"mixed_bfloat16" in zipfile.ZipFile(network).read("config.json")


@pytest.mark.slow
def test_a_benchmark_does_not_go_on_with_what_another_version_trains(data, copy):
    arguments = [*benchmark(data, copy), "--fold", "1"]
    file = copy / "phdnet-small" / "benchmark.json"
    settings = json.loads(file.read_text())
    settings["recipe"]["training"]["batch_size"] += 1
    file.write_text(json.dumps(settings))

    other = run(*arguments, code=1)
    file.unlink()
    unknown = run(*arguments, code=1)
    # Its figures would be reported beside those of another system.
    beside = run(*arguments, "--system", "default", code=1)

    for refused in (other, unknown, beside):
        assert "another recipe" in refused.output and "--output" in refused.output
