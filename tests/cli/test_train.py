"""`phdnet-tf train` as a user runs it: what is printed, written and refused."""

import json
import shutil
from pathlib import Path

import click
import pytest
from support.command import run
from support.training import bare_network

from phdnet_tf.cli.resuming import claim_run
from phdnet_tf.training import keeper, loop, members


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_model_holds_no_path_of_the_machine(trained):
    text = (trained[1] / "models/phdnet_4ch/1/phdnet.json").read_text()

    assert str(Path.home()) not in text and str(trained[1]) not in text


@pytest.mark.slow
def test_a_finished_run_is_resumed_only_for_longer(trained, tmp_path):
    folder = shutil.copytree(trained[1], tmp_path / "copy")
    resume = ["train", "--view", "4ch", "--resume"]
    resume += ["--models", folder / "models", "--runs", folder / "runs"]

    refused = run(*resume, code=1)
    clash = run(*resume, "--seed", 4, code=2)
    shorter = run(*resume, "--time-limit", "0.04", code=1)
    longer = run(*resume, "--time-limit", "0.07")

    for output in (refused.output, shorter.output):
        assert "give a --time-limit of more than 0.05 minutes" in output
    assert "Drop --seed" in clash.output
    assert str(folder / "models/phdnet_4ch/2") in longer.output


def test_a_run_of_an_older_version_is_not_resumed(tmp_path):
    run_folder = tmp_path / "4ch/old"
    run_folder.mkdir(parents=True)
    (run_folder / "run.json").write_text('{"network": "phdnet", "published": null}')

    refused = run("train", "--view", "4ch", "--resume", "--runs", tmp_path, code=1)

    assert "expected a run of this version" in refused.output
    assert "without --resume" in refused.output


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_at_a_constant_rate_gets_no_time_limit_later(trained, tmp_path):
    first = trained[1] / "runs/4ch/first/run.json"
    settings = json.loads(first.read_text())
    settings |= {"ended_by": ["interrupt"], "time_limit": None}
    settings["config"]["training"]["decay"] = False
    file = tmp_path / "4ch/stopped/run.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(settings))
    before = file.read_text()

    refused = run(
        *("train", "--view", "4ch", "--resume", "--runs", tmp_path),
        *("--time-limit", 9, "--models", tmp_path / "models"),
        code=1,
    )

    assert "was started without a time limit, at a constant" in refused.output
    assert file.read_text() == before


@pytest.mark.slow
@pytest.mark.usefixtures("small")
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


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_ctrl_c_before_the_first_model_says_how_to_go_on(data, tmp_path, monkeypatch):
    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(keeper.Keeper, "on_train_batch_end", interrupt)
    arguments = ["train", "--view", "4ch", "--data", data, "--models", tmp_path / "m"]

    result = run(*arguments, "--runs", tmp_path / "runs", code=130)

    assert "phdnet-tf train --view 4ch --name " in result.output
    assert f"--runs {tmp_path / 'runs'} --models {tmp_path / 'm'} --resume" in (
        result.output
    )
    assert not (tmp_path / "m").exists()


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
    # Or the corrected command could not have the same name.
    assert not list((tmp_path / "r/4ch").iterdir())


def test_two_commands_that_start_together_do_not_share_a_run(tmp_path):
    claim_run(tmp_path / "sa/first")

    with pytest.raises(click.ClickException, match="exists. Choose another --name"):
        claim_run(tmp_path / "sa/first")


@pytest.mark.slow
def test_a_cross_fitted_model_says_only_what_others_have_taught(
    data, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "build_network", bare_network)
    few = shutil.copytree(data, tmp_path / "few")
    header, *rows = (few / "landmarks.csv").read_text().splitlines()
    (few / "landmarks.csv").write_text("\n".join([header, *rows[:2]]) + "\n")

    told = run(
        *("train", "--view", "4ch", "--data", few, "--calibrate", "crossfit"),
        *("--time-limit", "0.1", "--models", tmp_path / "m", "--runs", tmp_path / "r"),
    )

    assert "Every fold, by networks and thresholds that learnt" in told.output
    text = (tmp_path / "m/phdnet_4ch/1/phdnet.json").read_text()
    # Other programs read it, too, and JSON has neither infinity nor NaN.
    description = json.loads(text, parse_constant=pytest.fail)
    assert description["training"]["members"][0]["validation_loss"] is None
    assert description["validation"]["images"] == 2
    # Its bins have learnt from all errors: nothing is left that could judge them.
    assert len(description["bins"]) == 3
    assert description["validation"]["confidence"]["bins"] == {}


@pytest.mark.slow
def test_a_run_that_was_stopped_while_it_was_trained_further_goes_on(trained, tmp_path):
    folder = shutil.copytree(trained[1], tmp_path / "copy")
    resume = ["train", "--view", "4ch", "--resume", "--time-limit", "0.07"]
    resume += ["--models", folder / "models", "--runs", folder / "runs"]

    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "train_members", interrupt)
        assert "--name first --runs" in run(*resume, code=130).output
    again = run(*resume)

    assert str(folder / "models/phdnet_4ch/2") in again.output


def test_the_options_of_phdnet_are_refused_for_other_networks(data):
    arguments = ["train", "--view", "4ch", "--data", data, "--preset", "unet"]

    refused = run(*arguments, "--mapping", "binary", code=2)

    assert "--mapping and --strategy are PHD-Net's" in refused.output
