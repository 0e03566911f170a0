"""The best model and the state of a run, kept so that a killed run goes on."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from phdnet_tf.config import Config
from phdnet_tf.files import whole_file
from phdnet_tf.training.interrupts import uninterrupted
from phdnet_tf.training.progress import Progress
from phdnet_tf.training.schedule import learning_rate

BEST = "best-{}.keras"
"""File of the best model, with its epoch, counted from 1."""


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
    leaves a file half-written. Here all of it is one TensorFlow checkpoint.

    Args:
        config: Settings.
        run: Folder of the run; it must exist.
        model: The network, compiled.
        steps: Steps an epoch.
        time_limit: Most seconds to spend, or None.
        on_progress: Called after every step and every epoch.

    Attributes:
        diverged: Whether the loss is no longer a number. Nothing is kept of that epoch.
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
        self.diverged = False
        self._settings = config.training
        self._steps = steps
        self._time_limit = time_limit
        self._on_progress = on_progress
        model.optimizer.build(model.trainable_variables)
        variables = model.variables + model.optimizer.variables
        self._progress = {
            "epoch": tf.Variable(0, dtype=tf.int64),
            "best_epoch": tf.Variable(0, dtype=tf.int64),
            "best_loss": tf.Variable(math.inf, dtype=tf.float64),
            "seconds": tf.Variable(0.0, dtype=tf.float64),
            "validation_seconds": tf.Variable(0.0, dtype=tf.float64),
        }
        self._checkpoints = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                variables=[variable.value for variable in variables], **self._progress
            ),
            str(run / "state"),
            max_to_keep=1,
        )
        self._checkpoints.restore_or_initialize()
        self._remove_others()
        self._earlier = self.seconds
        self._first_epoch = self.epoch
        self._started = time.monotonic()

    epoch = property(lambda self: int(self._progress["epoch"]))
    best_epoch = property(lambda self: int(self._progress["best_epoch"]))
    best_loss = property(lambda self: float(self._progress["best_loss"]))
    seconds = property(lambda self: float(self._progress["seconds"]))
    validation_seconds = property(
        lambda self: float(self._progress["validation_seconds"])
    )

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
        if self.epoch > 0 and self._out_of_time(self.seconds):
            return "time limit"
        return ""

    def _out_of_time(self, seconds: float) -> bool:
        """Whether no step can follow, if the epoch's validation is to end in time."""
        if self._time_limit is None:
            return False
        return seconds + self.validation_seconds >= self._time_limit

    def _now(self) -> float:
        return self._earlier + time.monotonic() - self._started

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Starts to count steps."""
        self._step = 0

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Sets the learning rate, where it is not constant."""
        if self._time_limit is None and not self._settings.decay:
            return
        spent = None if self._time_limit is None else self._now() / self._time_limit
        optimizer = self.model.optimizer
        done = int(optimizer.iterations)
        steps = self._settings.epochs * self._steps
        optimizer.learning_rate.assign(
            learning_rate(self._settings, done, steps, spent)
        )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Ends the epoch where its validation would otherwise come too late."""
        self._step += 1
        self._report(None)
        # The mean of the epoch so far, which no later step makes a number again.
        self.diverged = not math.isfinite((logs or {}).get("loss", 0.0))
        if self.diverged or self._out_of_time(self._now()):
            self.model.stop_training = True

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Notes when validation began."""
        self._validation_started = self._now()

    def on_test_end(self, logs: dict | None = None) -> None:
        """Notes how long validation took."""
        seconds = self._now() - self._validation_started
        self._progress["validation_seconds"].assign(seconds)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keeps the model, if it is the best yet, and the state of the run."""
        losses = {name: float(value) for name, value in (logs or {}).items()}
        self._step = 0
        self.diverged |= not all(map(math.isfinite, losses.values()))
        if self.diverged:
            # The weights are lost. The state of the epoch before is on the disk.
            self.model.stop_training = True
            return
        with uninterrupted():
            self._keep(epoch + 1, losses["val_loss"])
        self._report(losses)
        if self.ended_by:
            self.model.stop_training = True

    def _keep(self, epoch: int, loss: float) -> None:
        """Writes the model, if it is the best, and the state, which names it.

        The model comes first, under a name of its own: whenever a kill comes, the state
        names a model that is there.
        """
        if loss < self.best_loss:
            with whole_file(self._run / BEST.format(epoch)) as path:
                self.model.save(path)
            self._progress["best_loss"].assign(loss)
            self._progress["best_epoch"].assign(epoch)
        self._progress["epoch"].assign(epoch)
        self._progress["seconds"].assign(self._now())
        self._checkpoints.save()
        self._remove_others()

    def _remove_others(self) -> None:
        """Removes models that the state does not name."""
        for other in self._run.glob(BEST.format("*")):
            if other != self.best_path:
                other.unlink()

    def _report(self, losses: dict[str, float] | None) -> None:
        seconds = self._now()
        done = self.epoch + self._step / self._steps
        left = None
        if done > self._first_epoch:
            rate = (seconds - self._earlier) / (done - self._first_epoch)
            stop = min(self._settings.epochs, self.best_epoch + self._settings.patience)
            left = rate * max(stop - done, 0)
        if self._time_limit is not None:
            remaining = max(self._time_limit - seconds, 0)
            left = remaining if left is None else min(left, remaining)
        self._on_progress(
            Progress(
                epoch=self.epoch,
                epochs=self._settings.epochs,
                step=self._step,
                steps=self._steps,
                seconds=seconds,
                seconds_left=left,
                losses=losses,
                best_epoch=self.best_epoch,
            )
        )
