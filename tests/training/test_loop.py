import csv
import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.drawn import LANDMARKS, examples
from support.training import settings

from phdnet_tf.config import TrainingConfig
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import make_config
from phdnet_tf.training.keeper import best_model
from phdnet_tf.training.loop import train

pytestmark = pytest.mark.slow


def weights(model):
    return [np.asarray(variable) for variable in model.variables]


def rows(run):
    with (run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of three epochs that nothing disturbed."""
    run = tmp_path_factory.mktemp("run")
    told = []
    outcome = train(
        settings(), examples(4), examples(2, 1), run, on_progress=told.append
    )
    return run, outcome, told


def test_a_run_leaves_the_best_model_and_both_learning_curves(finished):
    run, outcome, _ = finished
    log = rows(run)

    assert [int(row["epoch"]) for row in log] == [0, 1, 2]
    for row in log:
        for part in ("", "val_"):
            total = float(row[f"{part}loss"])
            parts = [float(row[f"{part}{h}_loss"]) for h in ("heatmap", "displacement")]
            assert total == pytest.approx(sum(parts), rel=1e-4)
    best = min(log, key=lambda row: float(row["val_loss"]))
    assert outcome.best_epoch == int(best["epoch"]) + 1
    assert outcome.validation_loss == pytest.approx(float(best["val_loss"]))
    assert outcome.ended_by == "epochs"
    kept = keras.models.load_model(best_model(run), compile=False)
    for one, two in zip(weights(kept), weights(outcome.model), strict=True):
        np.testing.assert_array_equal(one, two)
    assert list((run / "tensorboard").rglob("events.*"))


def test_a_run_begins_with_the_weights_that_it_is_given(finished, tmp_path):
    _, outcome, _ = finished
    config = settings(epochs=1, learning_rate=1e-12, seed=9)

    begun = train(
        config, examples(4), examples(2, 1), tmp_path, init=outcome.model
    ).model

    other = build_network(config.model)
    for kept, given, anew in zip(
        *(each.trainable_variables for each in (begun, outcome.model, other)),
        strict=True,
    ):
        np.testing.assert_allclose(kept, given, atol=1e-6)
        if "kernel" in kept.path:
            assert np.abs(np.asarray(kept) - np.asarray(anew)).max() > 0.01


def test_weights_of_another_kind_are_refused_with_a_remedy(tmp_path):
    other = build_network(make_config("paper", "sa", LANDMARKS).model)

    with pytest.raises(ValueError, match="initial weights: .* Give the --preset"):
        train(settings(), examples(4), examples(2, 1), tmp_path, init=other)


def test_a_compared_network_trains_in_the_same_way(tmp_path):
    config = dataclasses.replace(
        make_config("unet", "sa", LANDMARKS),
        training=TrainingConfig(batch_size=1, epochs=2, epoch_size=2),
    )

    outcome = train(config, examples(2), examples(2, 1), tmp_path)

    losses = [float(row["loss"]) for row in rows(tmp_path)]
    assert losses[1] < losses[0]
    assert outcome.model.name == "unet"


def test_progress_counts_every_step_and_says_how_long_it_will_take(finished):
    _, _, told = finished

    assert [(p.epoch, p.step) for p in told if not p.losses] == [
        (epoch, step) for epoch in range(3) for step in (1, 2)
    ]
    assert [p.epoch for p in told if p.losses] == [1, 2, 3]
    assert all(p.seconds_left[0] == p.seconds_left[1] for p in told)
    assert told[0].seconds_left[0] > 0
    assert told[-1].seconds_left == (0, 0)


def test_the_seed_reproduces_the_weights(finished, tmp_path):
    _, outcome, _ = finished

    again = train(settings(), examples(4), examples(2, 1), tmp_path)

    for one, two in zip(weights(outcome.model), weights(again.model), strict=True):
        np.testing.assert_array_equal(one, two)


KILLED = """
import os, shutil, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from support.training import settings
from support.drawn import examples
from phdnet_tf.training.keeper import best_model
from phdnet_tf.training.loop import train

def die(progress):
    match progress.epoch, progress.step:
        case 1, 1:
            shutil.copytree({run!r}, {copy!r})
        case 2, 0:
            os.kill(os.getpid(), signal.SIGKILL)

train(settings(), examples(4), examples(2, 1), Path({run!r}), on_progress=die)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What a kill leaves, by epoch and step.

    In the middle of an epoch it leaves the files that are there at that moment.
    """
    run = tmp_path_factory.mktemp("killed")
    copy = run.with_name(f"{run.name}_copy")
    tests = str(Path(__file__).parents[1])
    code = KILLED.format(tests=tests, run=str(run), copy=str(copy))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    return {(1, 1): copy, (2, 0): run}


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (2, 0)])
def test_a_killed_run_goes_on_to_the_same_result(finished, killed, epoch, step):
    undisturbed, outcome, _ = finished
    run = killed[epoch, step]

    told = []
    resumed = train(
        settings(), examples(4), examples(2, 1), run, on_progress=told.append
    )

    # Not from the beginning, which would lead to the same result.
    assert min(progress.epoch for progress in told) == epoch
    assert resumed.best_epoch == outcome.best_epoch
    for one, two in zip(weights(outcome.model), weights(resumed.model), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    assert [row["epoch"] for row in rows(run)] == ["0", "1", "2"]
    for one, two in zip(rows(undisturbed), rows(run), strict=True):
        assert float(one["val_loss"]) == pytest.approx(float(two["val_loss"]), rel=1e-4)


def test_a_finished_run_is_not_trained_again(finished):
    run, outcome, _ = finished
    told = []

    again = train(settings(), examples(4), examples(2, 1), run, on_progress=told.append)

    assert not told
    assert (again.epochs, again.ended_by) == (3, "epochs")
    for one, two in zip(weights(outcome.model), weights(again.model), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture
def interruptible():
    """A shell lets its background jobs ignore Ctrl-C, and this may be one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("bare", "interruptible")
def test_ctrl_c_keeps_the_best_model(tmp_path):
    def interrupt(progress):
        if (progress.epoch, progress.step) == (1, 1):
            os.kill(os.getpid(), signal.SIGINT)

    outcome = train(
        settings(), examples(4), examples(2, 1), tmp_path, on_progress=interrupt
    )

    assert (outcome.ended_by, outcome.epochs, outcome.best_epoch) == ("interrupt", 1, 1)


@pytest.mark.usefixtures("bare")
def test_ctrl_c_before_there_is_a_model_is_passed_on(tmp_path):
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings(), examples(4), examples(2), tmp_path, on_progress=interrupt)


@pytest.mark.usefixtures("bare")
def test_an_epoch_shows_every_image_where_these_are_more_than_its_size(tmp_path):
    outcome = train(
        settings(epochs=1, epoch_size=2), examples(5), examples(2), tmp_path
    )

    assert outcome.steps == 3  # of two crops each


@pytest.mark.usefixtures("bare")
def test_no_images_are_refused_with_a_remedy(tmp_path):
    with pytest.raises(ValueError, match="validation: expected at least one image"):
        train(settings(), examples(2), examples(0), tmp_path)


def test_images_of_unknown_number_are_refused_with_a_remedy(tmp_path):
    uncounted = examples(2).filter(lambda example: True)

    with pytest.raises(ValueError, match=r"training: .* apply .*assert_cardinality"):
        train(settings(), uncounted, examples(2), tmp_path)


def test_no_image_is_read_only_to_be_counted(tmp_path):
    read = []

    def noted(purpose):
        def note(example):
            tf.py_function(lambda: read.append(purpose), [], [])
            return example

        return examples(4).map(note)

    train(settings(epochs=2), noted("training"), noted("validation"), tmp_path)

    # Once each, for what was read is kept in memory, and one more to see that its
    # landmarks are annotated.
    assert read.count("training") == read.count("validation") == 5


def test_a_row_of_anything_in_the_log_does_not_keep_a_run_from_going_on(tmp_path):
    def interrupt(progress):
        if (progress.epoch, progress.step) == (1, 1):
            raise KeyboardInterrupt

    data = examples(4), examples(2, 1), tmp_path
    train(settings(epochs=2), *data, on_progress=interrupt)
    with (tmp_path / "log.csv").open("a") as log:
        log.write("\n1,half\n\0\0\n")

    train(settings(epochs=2), *data)

    assert [row["epoch"] for row in rows(tmp_path)] == ["0", "1"]
