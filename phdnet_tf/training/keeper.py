"""The best model and the state of a run, kept so that a killed run goes on."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from phdnet_tf.config import Config
from phdnet_tf.files import UNFINISHED, whole_file
from phdnet_tf.training.interrupts import uninterrupted
from phdnet_tf.training.progress import Progress
from phdnet_tf.training.schedule import WarmUpAndDecay

BEST = "best-{}.keras"
"""File of the best model, with its epoch, counted from 1."""

STATE = "state.npz"
"""File of the state: every variable, and how far training has come."""

FINAL = ("epochs", "patience")
"""Ends after which a run never goes on: its state needs no variables."""

FIRST_STEPS = 50
"""Steps that show how fast this machine is. Fewer than `schedule.WARM_UP`: the learning
rate does not depend on the plan before there is one."""

SLOW_STEPS = 5
"""Of these, the first are not counted: TensorFlow compiles."""


def best_model(run: Path) -> Path:
    """File of the best model of a run that has ended.

    Raises:
        ValueError: If there is none.
    """
    [*found] = run.glob(BEST.format("*"))
    if len(found) != 1:
        raise ValueError(
            f"{run}: expected a run that has ended, with one {BEST.format('N')}. "
            f"Received {len(found)}: train it to its end."
        )
    return found[0]


class Keeper(keras.callbacks.Callback):
    """Keeps the best model and the state of the run, and says when to stop.

    Keras's own EarlyStopping, ModelCheckpoint and BackupAndRestore forget, when a run
    is resumed, which model was best and how long ago, and a kill in the wrong moment
    leaves a file half-written. Here all of it is one file, of NumPy's, so that a run
    can be trained by one of Keras's backends and be taken up by another.

    Args:
        config: Settings.
        run: Folder of the run; it must exist.
        model: The network, compiled, and its optimiser built.
        steps: Steps an epoch.
        time_limit: Most seconds to spend, or None.
        on_progress: Called after every step and every epoch.

    Attributes:
        diverged: Whether the loss is no longer a number. Nothing is kept of that epoch.
        epoch: Epochs that are complete.
        best_epoch: The epoch of the best model, counted from 1; 0 before there is one.
        best_loss: Its validation loss.
        steps: Steps that are done.
        seconds: Time spent by the end of the last complete epoch.

    Raises:
        ValueError: If the state is of another network, or cannot be read.
    """

    def __init__(
        self,
        config: Config,
        run: Path,
        model: keras.Model,
        steps: int,
        time_limit: float | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Restores the state of the run, if there is one."""
        super().__init__()
        self._run = run
        self.diverged = self._time_is_up = False
        self._settings = config.training
        self._steps = steps
        self._time_limit = time_limit
        self._on_progress = on_progress
        self._variables = [*model.variables, *model.optimizer.variables]
        self._schedule = model.optimizer._learning_rate
        self.epoch = self.best_epoch = self.steps = 0
        self.best_loss = math.inf
        self.seconds = self._validation_seconds = 0.0
        self._restore()
        self._remove_others()
        # What a kill left half-written.
        for partial in run.glob(f"{UNFINISHED}*"):
            partial.unlink()
        self._first_epoch, self._first_step = self.epoch, self.steps
        self._earlier = self.seconds
        self._step = 0
        self._started = time.monotonic()
        self._timed_from: tuple[int, float] | None = None

    @property
    def best_path(self) -> Path:
        """File of the best model, if there is one: the state says which it is."""
        return self._run / BEST.format(self.best_epoch)

    @property
    def ended_by(self) -> str:
        """Why no further epoch should be trained, or nothing if one should be."""
        if self.epoch >= self._settings.epochs:
            return "epochs"
        if self.epoch - self.best_epoch >= self._settings.patience:
            return "patience"
        if self.epoch > 0 and (self._time_is_up or self._out_of_time(self.seconds)):
            return "time limit"
        return ""

    @property
    def _done(self) -> int:
        """Steps that are done. A time limit may have cut an earlier epoch short."""
        return self.steps + self._step

    def _out_of_time(self, seconds: float) -> bool:
        """Whether no step can follow, if the epoch's validation is to end in time."""
        if self._time_limit is None:
            return False
        return seconds + self._validation_seconds >= self._time_limit

    def _now(self) -> float:
        return self._earlier + time.monotonic() - self._started

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Ends the epoch where its validation would otherwise come too late."""
        self._step = batch + 1
        self._report(None)
        trained = self._done - self._first_step
        if trained == SLOW_STEPS:
            self._timed_from = self._done, self._now()
        elif trained == FIRST_STEPS:
            self._plan()
        if self._step % FIRST_STEPS == 0:
            # The mean of the epoch so far, which no later step makes a number again.
            # Reading it waits for the device, so it is not read at every step.
            self.diverged = not math.isfinite((logs or {}).get("loss", 0.0))
        self._time_is_up = self._out_of_time(self._now())
        if self.diverged or self._time_is_up:
            self.model.stop_training = True

    def _plan(self) -> None:
        """Has the learning rate fall to zero when the time is up."""
        if self._time_limit is None or self._timed_from is None:
            return
        step, seconds = self._timed_from
        speed = (self._done - step) / (self._now() - seconds)
        left = self._time_limit - self._validation_seconds - self._now()
        planned = self._done + max(speed * left, 1)
        if self._settings.decay:
            epochs = self._settings.epochs - self.epoch
            planned = min(planned, self.steps + epochs * self._steps)
        self._schedule.planned_steps.assign(planned)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Notes when validation began."""
        self._validation_started = self._now()

    def on_test_end(self, logs: dict | None = None) -> None:
        """Notes how long validation took."""
        self._validation_seconds = self._now() - self._validation_started

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keeps the model, if it is the best yet, and the state of the run."""
        losses = {name: float(value) for name, value in (logs or {}).items()}
        self.diverged |= not all(map(math.isfinite, losses.values()))
        if self.diverged:
            # The weights are lost. The state of the epoch before is on the disk.
            self.model.stop_training = True
            return
        # Validation takes its time, too, which the first steps did not show.
        self._plan()
        with uninterrupted():
            # Without validation the newest model is the best.
            self._keep(epoch + 1, losses.get("val_loss", -math.inf))
        self._report(losses)
        if self.ended_by:
            self.model.stop_training = True

    def _keep(self, epoch: int, loss: float) -> None:
        """Writes the model, if it is the best, and the state, which names it.

        The model comes first, under a name of its own: whenever a kill comes, the state
        names a model that is there.
        """
        if loss < self.best_loss or loss == -math.inf:
            with whole_file(self._run / BEST.format(epoch)) as path:
                # A model that is not compiled: the optimiser is the state's.
                keras.Model(
                    self.model.inputs, self.model.output, name=self.model.name
                ).save(path)
            self.best_loss, self.best_epoch = loss, epoch
        self.steps, self._step = self._done, 0
        self.epoch, self.seconds = epoch, self._now()
        progress: dict[str, Any] = {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "steps": self.steps,
            "best_loss": self.best_loss,
            "seconds": self.seconds,
            "validation_seconds": self._validation_seconds,
        }
        if isinstance(self._schedule, WarmUpAndDecay):
            planned = self._schedule.planned_steps
            progress["planned_steps"] = keras.ops.convert_to_numpy(planned)
        variables: dict[str, Any] = {}
        if self.ended_by not in FINAL:
            variables = {
                _key(number): keras.ops.convert_to_numpy(variable)
                for number, variable in enumerate(self._variables)
            }
        with whole_file(self._run / STATE) as path, path.open("wb") as file:
            np.savez(file, **progress, **variables)
        self._remove_others()

    def _restore(self) -> None:
        path = self._run / STATE
        if not path.exists():
            return
        try:
            # NumPy leaves a damaged file open that it has opened itself.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as state:
                self.epoch = int(state["epoch"])
                self.best_epoch = int(state["best_epoch"])
                self.steps = int(state["steps"])
                self.best_loss = float(state["best_loss"])
                self.seconds = float(state["seconds"])
                self._validation_seconds = float(state["validation_seconds"])
                if isinstance(self._schedule, WarmUpAndDecay):
                    self._schedule.planned_steps.assign(state["planned_steps"])
                if self.ended_by not in FINAL:
                    for number, variable in enumerate(self._variables):
                        variable.assign(state[_key(number)])
        except (KeyError, ValueError, OSError, EOFError, BadZipFile) as error:
            raise ValueError(
                f"{path}: expected the state of a training of this network. "
                f"Received: {error}. Start a new run."
            ) from error

    def _remove_others(self) -> None:
        """Removes models that the state does not name."""
        for other in self._run.glob(BEST.format("*")):
            if other != self.best_path:
                other.unlink()

    def _report(self, losses: dict[str, float] | None) -> None:
        seconds = self._now()
        done = self.epoch + self._step / self._steps
        rate = (seconds - self._earlier) / (done - self._first_epoch)
        last = self._settings.epochs
        # Before there is a best epoch: the first will be. Without validation every
        # epoch is the best, and patience never ends the training.
        validated = self.best_loss > -math.inf
        patient = max(self.best_epoch, 1) + self._settings.patience
        earliest = min(last, patient) if validated else last
        limit = math.inf if self._time_limit is None else self._time_limit
        shortest, longest = (
            max(min(rate * (stop - done), limit - seconds), 0)
            for stop in (earliest, last)
        )
        self._on_progress(
            Progress(
                epoch=self.epoch,
                epochs=self._settings.epochs,
                step=self._step,
                steps=self._steps,
                seconds=seconds,
                seconds_left=(shortest, longest),
                losses=losses,
                best_epoch=self.best_epoch,
            )
        )


def _key(number: int) -> str:
    return f"variable_{number:04}"
