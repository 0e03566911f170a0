import time

import pytest
from support.drawn import examples
from support.training import settings

from phdnet_tf.training.keeper import Keeper
from phdnet_tf.training.loop import train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("bare")]


def test_training_stops_when_the_validation_loss_no_longer_falls(tmp_path):
    # A step this large never leads anywhere: the first epochs stay the best.
    config = settings(epochs=40, patience=1, learning_rate=3.0)
    told = []

    outcome = train(config, examples(4), examples(2), tmp_path, on_progress=told.append)

    assert outcome.ended_by == "patience"
    assert outcome.epochs == outcome.best_epoch + 1 < 40
    # Half of the first epoch is done. It is the best until a later one is better.
    shortest, longest = told[0].seconds_left
    assert longest / shortest == pytest.approx(39.5 / 1.5)
    assert told[-1].seconds_left[0] == 0 < told[-1].seconds_left[1]


def test_the_time_limit_ends_training(tmp_path):
    config = settings(epochs=500, epoch_size=200_000)
    started = time.monotonic()
    told = []

    outcome = train(
        config,
        examples(4),
        examples(2),
        tmp_path,
        time_limit=1,
        on_progress=told.append,
    )

    assert outcome.ended_by == "time limit"
    assert outcome.best_epoch == outcome.epochs == 1
    assert all(0 <= left <= 1 for now in told for left in now.seconds_left)
    assert time.monotonic() - started < 60


def test_without_validation_no_patience_shortens_the_time_that_is_left(tmp_path):
    told = []

    def interrupt(progress):
        told.append(progress)
        if progress.epoch == 2:
            raise KeyboardInterrupt

    config = settings(epochs=40, patience=1)
    train(config, examples(4), None, tmp_path, on_progress=interrupt)

    shortest, longest = told[-1].seconds_left
    assert shortest == longest > 0


def test_steps_are_those_that_were_trained_where_an_epoch_was_cut_short(
    tmp_path, monkeypatch
):
    kept = []
    keep = Keeper._keep

    def spy(keeper, *arguments):
        keep(keeper, *arguments)
        kept.append(int(keeper.model.optimizer.iterations))

    monkeypatch.setattr(Keeper, "_keep", spy)
    config = settings(epochs=500, epoch_size=200_000)
    first = train(config, examples(4), examples(2), tmp_path, time_limit=1)

    more = first.seconds + 1
    second = train(config, examples(4), examples(2), tmp_path, time_limit=more)

    assert [first.steps, second.steps] == kept and second.steps > first.steps


def test_a_resumed_run_remembers_that_validation_takes_time(tmp_path):
    def interrupt(progress):
        if (progress.epoch, progress.step) == (1, 1):
            raise KeyboardInterrupt

    first = train(
        settings(epochs=9), examples(4), examples(2), tmp_path, on_progress=interrupt
    )

    again = train(
        settings(epochs=9),
        examples(4),
        examples(2),
        tmp_path,
        # Time is left, but less than the validation takes.
        time_limit=first.seconds + 0.001,
    )

    assert (again.epochs, again.ended_by) == (1, "time limit")
