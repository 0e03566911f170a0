"""The commands as a user runs them: what is printed, written and refused."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.drawn import exported

from phdnet_tf.cli import main
from phdnet_tf.dicom.write import write_image
from phdnet_tf.training import keeper


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "phantoms"
    run("phantom", folder, "--view", "4ch", "--subjects", "8", "--seed", "3")
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The output and the folder of a training that lasted three seconds."""
    folder = tmp_path_factory.mktemp("trained")
    arguments = ["train", "--view", "4ch", "--data", data, "--test-fold", "1"]
    arguments += ["--models", folder / "models", "--runs", folder / "runs"]
    arguments += ["--time-limit", "0.05", "--name", "first"]
    return run(*arguments).output, folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    exported(folder)
    return folder


def draw(path, name="image.dcm", spacing=(1.5, 1.25), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 900, (80, 100)).astype("uint16")
    write_image(
        path / name,
        pixels,
        spacing,
        uid_seed=f"{name} {seed}",
        series_description="drawn",
        patient_id="drawn",
    )
    return path / name


def test_help_answers_at_once():
    started = time.monotonic()
    slow = (
        "import sys\nfrom phdnet_tf.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print([n for n in ('tensorflow', 'numpy') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", slow], capture_output=True, text=True)

    assert "Usage" in done.stdout and done.stdout.endswith("[]\n"), done.stderr
    # The bar is 0.3 s on a quiet machine; the imports above are what costs.
    assert time.monotonic() - started < 3


def test_training_publishes_a_model_and_says_how_good_it_is(trained):
    output, folder = trained
    description = json.loads((folder / "models/phdnet_4ch/1/phdnet.json").read_text())

    assert "the time limit was reached" in output
    assert str(folder / "models/phdnet_4ch/1") in output
    assert description["landmarks"] == ["tricuspid_valve", "mitral_valve", "lv_apex"]
    assert set(description["thresholds"]) == set(description["landmarks"])
    assert description["data"]["training_folds"] == [2, 3, 4, 5, 6, 7]
    assert description["data"]["test_folds"] == [1]
    assert description["data"]["images"] == {"training": 6, "validation": 1}
    assert description["validation"]["images"] == 1
    assert (folder / "runs/4ch/first/log.csv").is_file()


def test_a_model_holds_no_path_of_the_machine(trained):
    text = (trained[1] / "models/phdnet_4ch/1/phdnet.json").read_text()

    assert str(Path.home()) not in text and str(trained[1]) not in text


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


def test_a_finished_run_is_resumed_only_for_longer(trained, data):
    folder = trained[1]
    resume = ["train", "--view", "4ch", "--resume"]
    resume += ["--models", folder / "models", "--runs", folder / "runs"]

    refused = run(*resume, code=1)
    clash = run(*resume, "--seed", 4, code=2)
    shorter = run(*resume, "--time-limit", "0.04", code=1)
    longer = run(*resume, "--time-limit", "0.1")

    for output in (refused.output, shorter.output):
        assert "give --time-limit more than its 0.05 minutes" in output
    assert "Drop --seed" in clash.output
    assert str(folder / "models/phdnet_4ch/2") in longer.output


def test_a_run_of_an_older_version_is_not_resumed(tmp_path):
    run_folder = tmp_path / "4ch/old"
    run_folder.mkdir(parents=True)
    (run_folder / "run.json").write_text('{"network": "phdnet", "published": null}')

    refused = run("train", "--view", "4ch", "--resume", "--runs", tmp_path, code=1)

    assert "expected a run of this version" in refused.output
    assert "without --resume" in refused.output


def test_a_run_without_epochs_left_is_not_resumed(trained, tmp_path):
    first = trained[1] / "runs/4ch/first/run.json"
    ended = json.loads(first.read_text()) | {"ended_by": ["epochs"]}
    (tmp_path / "4ch/ended").mkdir(parents=True)
    (tmp_path / "4ch/ended/run.json").write_text(json.dumps(ended))

    refused = run(
        *("train", "--view", "4ch", "--resume", "--runs", tmp_path),
        *("--time-limit", 9, "--models", tmp_path / "models"),
        code=1,
    )

    assert "all epochs were trained. Start a new run" in refused.output
    assert not (tmp_path / "models").exists()


def test_a_resumed_run_keeps_the_settings_it_was_started_with(
    data, tmp_path, monkeypatch
):
    arguments = ["train", "--view", "4ch", "--models", tmp_path / "models"]
    arguments += ["--runs", tmp_path / "runs"]

    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keeper.Keeper, "on_train_batch_end", interrupt)
        run(*arguments, "--data", data, "--time-limit", "0.05", code=130)
    (file,) = tmp_path.glob("runs/4ch/*/run.json")
    settings = json.loads(file.read_text())
    settings["config"]["model"] |= {"filters": [8, 8, 8], "dilations": []}
    file.write_text(json.dumps(settings))

    run(*arguments, "--resume")

    description = json.loads((tmp_path / "models/phdnet_4ch/1/phdnet.json").read_text())
    assert description["config"]["model"]["filters"] == [8, 8, 8]


def test_ctrl_c_before_the_first_model_says_how_to_go_on(data, tmp_path, monkeypatch):
    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(keeper.Keeper, "on_train_batch_end", interrupt)
    arguments = ["train", "--view", "4ch", "--data", data, "--models", tmp_path / "m"]

    result = run(*arguments, "--runs", tmp_path / "runs", code=130)

    assert "phdnet-tf train --view 4ch --resume" in result.output
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "--view", "2ch"], 2, "'2ch' is not one of"),
        (["train", "--view", "sa", "--data", "nowhere"], 2, "'nowhere' does not exist"),
        (["train", "--view", "sa", "--test-fold", "0"], 2, "two different folds"),
        (["train", "--view", "sa", "--time-limit", "0"], 2, "--time-limit"),
        (["train", "--view", "sa", "--resume"], 1, "no run to resume"),
        (["evaluate"], 1, "phdnet-tf train --view"),
        (["predict", "nowhere.dcm"], 2, "'nowhere.dcm' does not exist"),
        (["phantom", "here"], 2, "Missing option '--view'"),
    ],
)
def test_a_users_mistake_is_one_clear_line(
    arguments, code, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    result = run(*arguments, code=code)

    assert message in result.output and "Traceback" not in result.output


def test_training_on_a_folder_that_is_no_data_set_points_to_the_check(tmp_path):
    result = run(
        *("train", "--view", "sa", "--data", tmp_path, "--runs", tmp_path / "r"), code=1
    )

    assert "landmarks.csv" in result.output
    assert "phdnet-tf dataset check" in result.output
    assert not (tmp_path / "r").exists()


def test_a_landmark_that_is_not_annotated_is_named(data, tmp_path):
    result = run(
        *("train", "--view", "4ch", "--data", data, "--landmark", "apex"),
        *("--runs", tmp_path / "r"),
        code=1,
    )

    assert "Absent: apex" in result.output
    assert "lv_apex" in result.output


def test_predictions_are_printed_as_a_table_json_or_csv(models, tmp_path):
    image = draw(tmp_path)

    table = run("predict", image, "--models", models).stdout
    objects = json.loads(
        run("predict", image, "--models", models, "--format", "json").stdout
    )
    rows = run("predict", image, "--models", models, "--format", "csv").stdout

    assert [line.split()[1] for line in table.splitlines()[1:]] == ["bright", "grey"]
    assert "LOW: check by hand" in table.splitlines()[2]
    assert objects[0]["model"] == "phdnet_sa/1" and objects[0]["view"] == "sa"
    first, second = csv.DictReader(rows.splitlines())
    landmark = objects[0]["landmarks"][0]
    assert float(first["x"]) == pytest.approx(landmark["x"])
    assert (first["high_confidence"], second["high_confidence"]) == ("1", "0")


def test_the_output_folder_has_every_format_and_a_picture_for_each_image(
    models, tmp_path
):
    series = tmp_path / "series"
    for seed, name in enumerate(("a", "b"), 1):
        (series / name).mkdir(parents=True)
        draw(series / name, seed=seed)
    output = tmp_path / "out"

    run("predict", series, draw(tmp_path), "--models", models, "--output", output)

    written = sorted(str(p.relative_to(output)) for p in output.rglob("*.*"))
    assert written == [
        "image.png",
        "predictions.csv",
        "predictions.json",
        "series/a/image.png",
        "series/b/image.png",
    ]
    assert len(json.loads((output / "predictions.json").read_text())) == 3


def test_two_files_of_one_name_have_two_pictures(models, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    images = [draw(tmp_path / name) for name in ("a", "b")]
    output = tmp_path / "out"

    run("predict", *images, "--models", models, "--output", output, "--format", "png")

    assert sorted(p.name for p in output.iterdir()) == ["image-2.png", "image.png"]


def test_a_bad_file_does_not_stop_the_others_and_the_exit_code_tells(models, tmp_path):
    bad = tmp_path / "notes.txt"
    bad.write_text("hello")

    result = run(
        *("predict", bad, draw(tmp_path), "--models", models, "--format", "json"),
        code=1,
    )

    first, second = json.loads(result.stdout)
    assert first["image"] == str(bad) and "not a DICOM file" in first["error"]
    assert len(second["landmarks"]) == 2
    assert "Error:" in result.stderr


def test_a_missing_spacing_can_be_given(models, tmp_path):
    image = draw(tmp_path, spacing=(1.5, 1.5))
    import pydicom

    dataset = pydicom.dcmread(image)
    del dataset.PixelSpacing
    dataset.save_as(image)

    refused = run("predict", image, "--models", models, code=1)
    given = run(
        *("predict", image, "--models", models, "--pixel-spacing", "1.5,1.25"),
        *("--format", "json"),
    )

    assert "--pixel-spacing" in refused.stderr
    assert json.loads(given.stdout)[0]["pixel_spacing_mm"] == [1.5, 1.25]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "png"], "add --output"),
        (["--format", "json", "--format", "csv"], "One format can be printed"),
        (["--pixel-spacing", "1.5"], "not ROW,COLUMN"),
        (["--pixel-spacing", "0,1"], "not between 0 and 100"),
        # A German 1.4, and what it would be taken for; and one that is just as odd.
        (["--pixel-spacing", "1,4"], "write 1x4"),
        (["--pixel-spacing", "3.2,1.5"], "write 3.2x1.5"),
        (["--view", "4ch"], "found no model of the view 4ch"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_a_remedy(
    models, tmp_path, options, message
):
    result = CliRunner().invoke(
        main, ["predict", str(draw(tmp_path)), "--models", str(models), *options]
    )

    assert result.exit_code in (1, 2) and message in result.output


def test_models_of_two_views_have_to_be_told_apart(tmp_path):
    exported(tmp_path)
    exported(tmp_path, view="4ch")
    image = draw(tmp_path)

    asked = run("predict", image, "--models", tmp_path, code=2)
    told = run(
        *("predict", image, "--models", tmp_path, "--view", "4ch", "--format", "json")
    )

    assert "--view sa or --view 4ch" in asked.output
    assert json.loads(told.stdout)[0]["model"] == "phdnet_4ch/1"


def test_a_real_image_is_predicted_in_its_own_pixels(models, real_data):
    image = real_data / "acdc_sa" / "DICOM" / "patient001" / "ED_slice03.dcm"

    found = run("predict", image, "--models", models, "--format", "json")

    prediction = json.loads(found.stdout)[0]
    assert prediction["pixel_spacing_mm"] == [1.5625, 1.5625]
    for landmark in prediction["landmarks"]:
        # The canvas is 480 mm wide and centred on the image of 216 x 256.
        assert abs(landmark["x"] - 107.5) < 154 and abs(landmark["y"] - 127.5) < 154


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


def test_the_options_of_phdnet_are_refused_for_other_networks(data):
    arguments = ["train", "--view", "4ch", "--data", data, "--preset", "unet"]

    refused = run(*arguments, "--mapping", "binary", code=2)

    assert "--mapping and --strategy are PHD-Net's" in refused.output


def test_a_spacing_that_is_meant_to_differ_is_taken(models, tmp_path):
    import pydicom

    image = draw(tmp_path)
    dataset = pydicom.dcmread(image)
    del dataset.PixelSpacing
    dataset.save_as(image)

    given = run(
        *("predict", image, "--models", models, "--pixel-spacing", "1.0x4.0"),
        *("--format", "json"),
    )

    assert json.loads(given.stdout)[0]["pixel_spacing_mm"] == [1.0, 4.0]
