"""A training that goes wrong: found early, named for what it is, nothing lost."""

import csv
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.drawn import LANDMARKS, examples
from support.training import bare_network, settings

from phdnet_tf.config import ModelConfig
from phdnet_tf.training import keeper, loop, schedule
from phdnet_tf.training.checks import require_images
from phdnet_tf.training.data import Folds
from phdnet_tf.training.interrupts import uninterrupted
from phdnet_tf.training.loop import train
from phdnet_tf.training.schedule import WarmUpAndDecay

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def usual(monkeypatch):
    """Networks that are soon traced, and a Ctrl-C that a shell did not turn off."""
    monkeypatch.setattr(loop, "build_network", bare_network)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def weights(model):
    return [np.asarray(variable) for variable in model.variables]


def epochs(run):
    with (run / "log.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "build_network", bare_network)
        return train(settings(), examples(4), examples(2, 1), run)


def blow_up(monkeypatch, first_bad_step):
    """From a step on, a learning rate with which every weight becomes no number."""

    class Bad(WarmUpAndDecay):
        def __call__(self, step):
            good = keras.ops.cast(step, "int32") < first_bad_step
            return keras.ops.where(good, super().__call__(step), float("nan"))

    monkeypatch.setattr(schedule, "WarmUpAndDecay", Bad)


def test_a_loss_that_is_no_number_ends_as_diverged_and_spoils_nothing(
    tmp_path, monkeypatch, undisturbed
):
    # Two steps an epoch: the third epoch is the first that goes wrong.
    with monkeypatch.context() as patch:
        blow_up(patch, 4)
        outcome = train(settings(), examples(4), examples(2, 1), tmp_path)

    assert outcome.ended_by == "diverged" and outcome.epochs == 2
    assert outcome.best_epoch in (1, 2) and np.isfinite(outcome.validation_loss)
    assert all(np.isfinite(weight).all() for weight in weights(outcome.model))

    # Nothing of the lost epoch was kept, so that the run can be taken up before it.
    resumed = train(settings(), examples(4), examples(2, 1), tmp_path)

    assert resumed.ended_by == "epochs" and epochs(tmp_path) == [0, 1, 2]
    for one, two in zip(
        weights(resumed.model), weights(undisturbed.model), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_a_loss_that_never_was_a_number_is_said_to_be_none(tmp_path, monkeypatch):
    blow_up(monkeypatch, 0)

    with pytest.raises(ValueError, match="no longer a number in epoch 1, before"):
        train(settings(), examples(4), examples(2, 1), tmp_path)

    assert not list(tmp_path.glob("best-*"))


@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_while_the_best_model_is_written_keeps_it_whole(
    tmp_path, monkeypatch, when
):
    save = keras.Model.save
    saved = []

    def interrupted(model, path):
        saved.append(path)
        if when == "before" and len(saved) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        save(model, path)
        if when == "after" and len(saved) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(keras.Model, "save", interrupted)

    outcome = train(settings(), examples(4), examples(2, 1), tmp_path)

    assert outcome.ended_by == "interrupt"
    assert (outcome.epochs, outcome.best_epoch) == (1, 1)
    assert keeper.best_model(tmp_path).name == "best-1.keras"


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import numpy as np
from support.drawn import examples
from support.training import bare_network, settings
from phdnet_tf.training import loop
from phdnet_tf.training.loop import train

loop.build_network = bare_network
save, saved = np.savez, []

def killed(*arguments, **state):
    saved.append(1)
    if len(saved) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return save(*arguments, **state)

np.savez = killed
train(settings(), examples(4), examples(2, 1), Path({run!r}))
"""


def test_a_kill_between_model_and_state_leaves_the_model_that_the_state_names(
    tmp_path, undisturbed
):
    code = KILLED.format(tests=str(Path(__file__).parents[1]), run=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert (tmp_path / "best-1.keras").exists()

    resumed = train(settings(), examples(4), examples(2, 1), tmp_path)

    assert resumed.best_epoch == undisturbed.best_epoch
    for one, two in zip(
        weights(resumed.model), weights(undisturbed.model), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_a_state_of_another_network_is_refused_with_a_remedy(tmp_path):
    train(settings(epochs=1), examples(4), examples(2, 1), tmp_path)
    other = replace(settings(), model=ModelConfig(LANDMARKS[:1]))
    one = examples(4).map(lambda e: {**e, "landmarks": e["landmarks"][:1]})

    with pytest.raises(ValueError, match=r"state.npz: .* Start a new run"):
        train(other, one, one, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_damaged_state_is_refused_with_a_remedy(tmp_path, content):
    (tmp_path / "state.npz").write_bytes(content)

    with pytest.raises(ValueError, match=r"state.npz: .* Start a new run"):
        train(settings(), examples(4), examples(2, 1), tmp_path)


def test_a_time_limit_needs_a_backend_that_follows_it(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")

    with pytest.raises(
        ValueError, match=r"Received: jax\. Unset KERAS_BACKEND, or give"
    ):
        train(settings(), examples(4), examples(2, 1), tmp_path, time_limit=60)


def test_ctrl_c_waits_for_the_end_of_what_must_not_be_interrupted():
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("went on")
        steps.append("never")

    assert steps == ["went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    thread = threading.Thread(target=lambda: uninterrupted().__enter__())
    thread.start()
    thread.join()


def without(data, name):
    index = LANDMARKS.index(name)

    def drop(example):
        points = example["landmarks"]
        known = tf.range(len(LANDMARKS))[:, None] != index
        return {**example, "landmarks": tf.where(known, points, np.nan)}

    return data.map(drop)


@pytest.mark.parametrize("purpose", ["training", "validation"])
def test_a_landmark_that_is_nowhere_annotated_is_found_before_training(
    tmp_path, purpose
):
    data = {"training": examples(4), "validation": examples(2, 1)}
    data[purpose] = without(data[purpose], LANDMARKS[1])

    with pytest.raises(ValueError, match=f"^{purpose}: .* annotated: {LANDMARKS[1]}"):
        train(settings(), *data.values(), tmp_path)

    assert not list(tmp_path.iterdir())


class Source:
    name = "drawn"

    def count(self, folds):
        return 3 * (0 in folds)


@pytest.mark.parametrize(
    ("folds", "named"),
    [
        (Folds([0], [0], [1]), "test fold 1"),
        (Folds([0, 1], [2], []), "validation fold 2"),
        (Folds([1, 2], [0], []), "training fold 1 or 2"),
    ],
)
def test_a_fold_without_images_is_found_before_training(folds, named):
    with pytest.raises(ValueError, match=f"drawn: .* in the {named}. Received none"):
        require_images(Source(), folds)


def test_folds_with_images_are_taken():
    require_images(Source(), Folds([0, 1], [0], []))
