"""Trainings on workers: the same numbers as one after the other, whatever is killed."""

import csv
import functools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from distributed import Reschedule
from filelock import FileLock
from support.training import Drawn, settings
from support.workers import drawn, drawn_and_killed_once

from phdnet_tf.comparison.cross_validation import PREDICTIONS, train_and_test
from phdnet_tf.comparison.side_by_side import Turn, train_and_test_all
from phdnet_tf.comparison.systems import system_config
from phdnet_tf.training import alone, folder_lock, worker
from phdnet_tf.training import side_by_side as client_side
from phdnet_tf.training.crossfit import train_crossfit
from phdnet_tf.training.data import Folds
from phdnet_tf.training.members import one_after_the_other
from phdnet_tf.training.networks import networks_of
from phdnet_tf.training.progress import Progress
from phdnet_tf.training.side_by_side import side_by_side
from phdnet_tf.training.worker import Workplace
from phdnet_tf.workers import engine


@pytest.fixture(scope="module")
def cluster():
    """Two workers, and what they tell."""
    told = []
    with engine.local_cluster(2) as client:
        with engine.listening(client, told.append) as topic:
            yield functools.partial(engine.run_on, client), topic, told


def workplace(topic="", open_source=drawn, fingerprint="0"):
    # As many threads as a training has in this process.
    threads = len(os.sched_getaffinity(0))
    return Workplace(open_source, fingerprint, 1e9, threads, topic)


def epochs(folder):
    with (folder / "log.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_workers_train_to_the_same_weights_also_when_one_is_killed(cluster, tmp_path):
    run_on, topic, _ = cluster
    single, beside = tmp_path / "single", tmp_path / "beside"
    flag, state = tmp_path / "killed", beside / "without_0" / "state.npz"
    place = workplace(topic, functools.partial(drawn_and_killed_once, flag, state))
    config = settings(epochs=3)

    def crossfit(run, trainer):
        return train_crossfit(config, Drawn(), [0, 1], run, trainer)

    outcomes, parts = crossfit(beside, functools.partial(side_by_side, run_on, place))
    expected, judged = crossfit(single, functools.partial(one_after_the_other, Drawn()))

    assert flag.exists()
    for name in ("without_0", "without_1", "all"):
        assert epochs(beside / name) == [0, 1, 2]
    for one, other in zip(outcomes, expected, strict=True):
        assert (one.epochs, one.steps) == (other.epochs, other.steps)
        assert (one.ended_by, one.best_epoch) == (other.ended_by, other.best_epoch)
        for found, weight in zip(
            one.model.variables, other.model.variables, strict=True
        ):
            np.testing.assert_array_equal(found, weight)
    for part, other in zip(parts, judged, strict=True):
        np.testing.assert_array_equal(part.errors, other.errors)

    # What one way has begun the other takes over, here at its end: nothing is trained.
    def fail(progress):
        raise AssertionError("trained again")

    trainer = functools.partial(one_after_the_other, Drawn(), on_progress=fail)
    [again], _ = crossfit(beside, trainer)
    for found, weight in zip(
        again.model.variables, expected[0].model.variables, strict=True
    ):
        np.testing.assert_array_equal(found, weight)


@pytest.mark.slow
def test_a_benchmark_on_workers_predicts_what_it_does_one_after_the_other(
    cluster, tmp_path
):
    run_on, topic, _ = cluster
    # A network for each landmark: two to train, and then what is left of the turn.
    config = system_config("baseline", "sa", ("bright", "grey"), deterministic=True)
    config = replace(
        config,
        model=replace(config.model, filters=(8, 8, 8)),
        training=replace(config.training, batch_size=2, epochs=1, epoch_size=4),
    )
    turn = Turn("baseline", 1, config, tmp_path / "beside", None)

    done = list(train_and_test_all(run_on, workplace(topic), [turn]))
    train_and_test("baseline", 1, config, Drawn(), tmp_path / "alone")

    assert done == [(turn, None)]
    one, other = ((tmp_path / n / PREDICTIONS).read_text() for n in ("beside", "alone"))
    assert one == other and one.count("\n") > 4


def test_a_scheduler_loads_no_tensorflow():
    # What is sent to a worker is unpacked by the scheduler, too.
    code = (
        "import sys, phdnet_tf.training.worker, phdnet_tf.comparison.side_by_side, "
        "phdnet_tf.training.alone, phdnet_tf.cli.open_data; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_landmarks_networks_wait_for_comes_when_all_are_trained(tmp_path):
    several = system_config("phdnet", "sa", ("a", "b"))
    one = system_config("phdnet-small", "sa", ("a", "b"))
    turns = [
        Turn("phdnet", 0, several, tmp_path / "x", 60.0),
        Turn("phdnet-small", 0, one, tmp_path / "y", None),
        Turn("phdnet", 1, several, tmp_path / "z", None),
    ]
    asked = []

    def run_on(task, numbers, then):
        waiting = list(numbers)
        while waiting:
            number = waiting.pop(0)
            asked.append(number)
            # The second network of the last turn cannot be trained.
            result = "no space" if number == 6 else {}
            waiting += then(number, result)
            yield number, result

    done = list(train_and_test_all(run_on, workplace(), turns))

    # Turns are 0 to 2, the networks of the first 3 and 4, those of the last 5 and 6.
    assert asked == [3, 4, 1, 5, 6, 0]
    trouble = f"{tmp_path / 'z/run/b'}: no space"
    assert done == [(turns[1], None), (turns[2], trouble), (turns[0], None)]


def test_outcomes_come_in_the_order_of_the_networks(tmp_path, monkeypatch):
    monkeypatch.setattr(client_side, "best_model", lambda folder: folder.name)
    monkeypatch.setattr(client_side, "load_network", lambda name: name)
    networks = networks_of(settings(), Folds([1], [], []), tmp_path, 3)
    result = dict(epochs=1, steps=2, best_epoch=1, validation_loss=0.1, seconds=3)

    def run_on(task, numbers):
        for number in (2, 0, 1):
            yield number, result | {"ended_by": f"end {number}"}

    outcomes = list(side_by_side(run_on, workplace(), networks))

    assert [outcome.ended_by for outcome in outcomes] == ["end 0", "end 1", "end 2"]
    assert [outcome.model for outcome in outcomes] == [f"member_{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("own", [True, False])
def test_a_training_that_cannot_be_done_is_named(tmp_path, own):
    networks = networks_of(settings(), Folds([1], [], []), tmp_path, 2)
    folder = tmp_path / "member_2"

    def run_on(task, numbers):
        yield 1, f"{folder}: diverged" if own else "diverged"

    with pytest.raises(ValueError, match=f"^{folder}: diverged$"):
        list(side_by_side(run_on, workplace(), networks))


def test_members_and_landmarks_are_networks_with_folders_of_their_own(tmp_path):
    config = settings(seed=5)
    each = replace(config, model=replace(config.model, one_each=True))
    folds = Folds([1], [0], [])

    [alone] = networks_of(config, folds, tmp_path, time_limit=60)
    networks = networks_of(each, folds, tmp_path, 2, time_limit=60)

    assert alone.config == config and alone.folder == tmp_path
    assert [str(n.folder.relative_to(tmp_path)) for n in networks] == [
        f"member_{member}/{name}" for member in (1, 2) for name in ("bright", "grey")
    ]
    assert [n.config.training.seed for n in networks] == [5, 5, 6, 6]
    assert [n.config.model.landmarks for n in networks] == 2 * [("bright",), ("grey",)]
    assert [n.time_limit for n in networks] == [15] * 4


def test_work_that_nobody_waits_for_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "is_wanted", lambda: False)

    with pytest.raises(Reschedule):
        worker.at_work(workplace(), tmp_path / "run", print)

    # Its process is no longer there.
    with FileLock(tmp_path / "run" / ".phdnet-tf.lock", timeout=0):
        pass


@pytest.fixture
def here(monkeypatch):
    """Work in this process, which has loaded TensorFlow."""
    monkeypatch.setattr(alone, "load_tensorflow", lambda: None)


@pytest.mark.usefixtures("here")
def test_what_cannot_be_done_is_told_in_words(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(folder_lock, "NOTICE_SECONDS", 0.1)
    monkeypatch.setattr(folder_lock, "LOCK_SECONDS", 0.1)

    def told(work=lambda source, on_progress: {"epochs": 3}, **options):
        return alone.do(workplace(**options), tmp_path / "run", work, print)

    assert told() == {"epochs": 3}
    assert "expected the data of the command" in told(fingerprint="other")
    other = replace(workplace(), version="0.0.1")
    refused = alone.do(other, tmp_path / "run", lambda *_: {}, print)
    assert "expected the phdnet-tf 0.0.1 of the command" in refused
    assert not caplog.messages
    with FileLock(tmp_path / "run" / ".phdnet-tf.lock"):
        assert "another phdnet-tf trains there now" in told()
    assert caplog.messages == [
        f"{tmp_path / 'run'}: waiting for another phdnet-tf there to end"
    ]

    def fail(source, on_progress):
        raise ValueError("nowhere annotated")

    assert told(fail) == "nowhere annotated"


@pytest.mark.usefixtures("here")
def test_progress_is_told_now_and_then_with_the_last_losses(tmp_path, monkeypatch):
    messages, clock = [], [0.0]
    monkeypatch.setattr(alone.time, "monotonic", lambda: clock[0])

    def work(source, on_progress):
        for seconds in range(0, 100, 10):
            clock[0] = seconds
            losses = {"loss": 0.5} if seconds == 10 else None
            left = 9.0, 9.0
            on_progress(Progress(0, 9, seconds, 100, float(seconds), left, losses, 0))
        return {}

    alone.do(workplace(), tmp_path, work, messages.append)

    # More than half a minute apart.
    assert [message["step"] for message in messages] == [40, 80]
    assert all(message["losses"] == {"loss": 0.5} for message in messages)
    assert messages[0]["folder"] == str(tmp_path)
