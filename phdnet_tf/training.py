"""Training: from batches to the best model, with all that is needed to go on later."""

import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from phdnet_tf import pipeline
from phdnet_tf.config import Config, ModelConfig
from phdnet_tf.hourglass import build_hourglass
from phdnet_tf.losses import DisplacementLoss, HeatmapLoss
from phdnet_tf.model import build_phdnet
from phdnet_tf.unet import build_unet

WARM_UP = 100
"""Steps in which a learning rate that is not constant rises."""

SETTLING_SHARE = 0.8
"""Share of the time limit, or of the epochs, in which it falls."""


@dataclass(frozen=True)
class Progress:
    """Where training stands, after a step or an epoch.

    Attributes:
        epoch: Epochs that are complete.
        epochs: Most epochs there will be.
        step: Steps of the current epoch that are done.
        steps: Steps an epoch.
        seconds: Time spent on training, earlier parts of a resumed run included.
        seconds_left: Most time it can still take, or None while that is unknown.
        losses: After an epoch, its losses by name; after a step, None.
        best_epoch: The epoch, counted from 1, of the best model; 0 before there is one.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds: float
    seconds_left: float | None
    losses: dict[str, float] | None
    best_epoch: int


@dataclass(frozen=True)
class Outcome:
    """What training led to.

    Attributes:
        model: The Keras model with the lowest validation loss.
        epochs: Epochs that were trained.
        steps: Steps that were trained.
        best_epoch: The epoch of the model, counted from 1.
        validation_loss: Its validation loss.
        seconds: Time spent on training.
        ended_by: "epochs", "patience", "time limit" or "interrupt".
    """

    model: keras.Model
    epochs: int
    steps: int
    best_epoch: int
    validation_loss: float
    seconds: float
    ended_by: str


def build_network(model: ModelConfig) -> keras.Model:
    """The network of the settings, with new weights."""
    landmarks = len(model.landmarks)
    match model.network:
        case "hourglass":
            return build_hourglass(landmarks)
        case "unet":
            return build_unet(landmarks)
        case _:
            return build_phdnet(
                landmarks, model.filters, model.dilations, model.strided
            )


def compile_model(config: Config) -> keras.Model:
    """The network with the paper's loss and optimiser, weights drawn from the seed.

    Sets the seeds of Python, NumPy and TensorFlow.
    """
    keras.utils.set_random_seed(config.training.seed)
    model = build_network(config.model)
    losses = {"heatmap": HeatmapLoss(), "displacement": DisplacementLoss()}
    weights = {"heatmap": 1.0, "displacement": config.training.displacement_weight}
    model.compile(
        optimizer=keras.optimizers.Adam(config.training.learning_rate),
        # L_A = L_d + L_h, with weights of 1: the sum is Keras's own.
        loss={name: losses[name] for name in model.output},
        loss_weights={name: weights[name] for name in model.output},
    )
    return model


def train(
    config: Config,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    run: Path,
    *,
    time_limit: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Trains until the epochs, the patience or the time are used up, or Ctrl-C.

    The folder `run` holds what was learnt: `best.keras`, the model with the lowest
    validation loss; `log.csv` and `tensorboard/`, the learning curves; `state/`, with
    which a run that was killed goes on from its last complete epoch, to the same result
    as if it had not been. A new run is made where there is no such state.

    Args:
        config: Settings.
        training: Examples to train on, as `pipeline.normalised` takes them.
        validation: Examples to validate on, of the same form.
        run: Folder of the run; it must exist.
        time_limit: Most seconds to spend, earlier parts of a resumed run included. The
            paper's learning rate is constant; under a time limit it rises, to
            `TrainingConfig.haste` times as much, and then falls evenly to zero, so that
            a short training comes far and ends settled; where the settings have it fall
            over the epochs, by what comes first. The last epoch is cut short where it
            would not end by then.
        on_progress: Called after every step and every epoch.

    Returns:
        The outcome. After Ctrl-C, with what there was.

    Raises:
        KeyboardInterrupt: If it comes before there is a model to keep.
        ValueError: If there are no examples to train or validate on, or the loss is no
            longer a number.
    """
    # The order of floating-point sums must not depend on which thread comes first.
    tf.config.experimental.enable_op_determinism()
    model = compile_model(config)
    count = _count(training, "training")
    validation_count = _count(validation, "validation")
    crops = max(count, config.training.epoch_size)
    steps = math.ceil(crops / config.training.batch_size)
    keeper = _Keeper(config, run, model, steps, time_limit, on_progress)
    _forget_epochs_after(run / "log.csv", keeper.epoch)
    batches = pipeline.training_batches(
        pipeline.normalised(training),
        count,
        config.model,
        config.crops,
        config.training.batch_size,
        config.training.seed,
        first_batch=keeper.epoch * steps,
    )
    validation_batches = pipeline.validation_batches(
        pipeline.normalised(validation), validation_count, config.model
    )
    # The log comes before the state: what the state knows is logged.
    log = keras.callbacks.CSVLogger(run / "log.csv", append=keeper.epoch > 0)
    interrupted = False
    if not keeper.ended_by:
        try:
            model.fit(
                batches,
                steps_per_epoch=steps,
                initial_epoch=keeper.epoch,
                epochs=config.training.epochs,
                validation_data=validation_batches,
                shuffle=False,  # The batches come shuffled.
                verbose=0,
                callbacks=[
                    log,
                    keras.callbacks.TensorBoard(run / "tensorboard", write_graph=False),
                    keeper,
                ],
            )
        except KeyboardInterrupt:
            if not keeper.best_epoch:
                raise
            interrupted = True
        finally:
            log.csv_file.close()
    if not math.isfinite(keeper.best_loss):
        raise ValueError(
            f"{run}: the validation loss is not a number after {keeper.epoch} epochs. "
            "Check the data with 'phdnet-tf dataset check'."
        )
    return Outcome(
        model=keras.models.load_model(keeper.best_path, compile=False),
        epochs=keeper.epoch,
        steps=int(model.optimizer.iterations),
        best_epoch=keeper.best_epoch,
        validation_loss=keeper.best_loss,
        seconds=keeper.seconds,
        ended_by="interrupt" if interrupted else keeper.ended_by or "epochs",
    )


def _count(examples: tf.data.Dataset, purpose: str) -> int:
    count = int(examples.reduce(0, lambda number, example: number + 1))
    if count == 0:
        raise ValueError(
            f"{purpose}: expected at least one image. Received none: fewer than eight "
            "subjects leave folds empty; choose other folds."
        )
    return count


def _forget_epochs_after(log: Path, epoch: int) -> None:
    """Drops the rows of epochs that a killed run logged, but will train again."""
    if not log.exists():
        return
    with log.open(newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    with log.open("w", newline="") as file:
        csv.writer(file).writerows([header, *(r for r in rows if int(r[0]) < epoch)])


class _Keeper(keras.callbacks.Callback):
    """Keeps the best model and the state of the run, and says when to stop.

    Keras's own EarlyStopping, ModelCheckpoint and BackupAndRestore forget, when a run
    is resumed, which model was best and how long ago, and a kill in the wrong moment
    leaves a file half-written. Here all of it is one TensorFlow checkpoint.
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
        super().__init__()
        self.best_path = run / "best.keras"
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
        self._step = 0

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        optimizer, settings = self.model.optimizer, self._settings
        if self._time_limit is None and not settings.falling:
            return
        done, rate, left = int(optimizer.iterations), settings.learning_rate, 1.0
        if settings.falling:
            left = 1 - done / (settings.epochs * self._steps)
        if self._time_limit is not None:
            left = min(left, max(1 - self._now() / self._time_limit, 0))
            rate *= settings.haste
        warm = min((done + 1) / WARM_UP, 1)
        optimizer.learning_rate.assign(rate * warm * min(left / SETTLING_SHARE, 1))

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._step += 1
        self._report(None)
        if self._out_of_time(self._now()):
            self.model.stop_training = True

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._validation_started = self._now()

    def on_test_end(self, logs: dict | None = None) -> None:
        seconds = self._now() - self._validation_started
        self._progress["validation_seconds"].assign(seconds)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        losses = {name: float(value) for name, value in (logs or {}).items()}
        self._progress["epoch"].assign(epoch + 1)
        self._progress["seconds"].assign(self._now())
        if losses["val_loss"] < self.best_loss:
            self._progress["best_loss"].assign(losses["val_loss"])
            self._progress["best_epoch"].assign(epoch + 1)
            unfinished = self.best_path.with_name("best.unfinished.keras")
            self.model.save(unfinished)
            os.replace(unfinished, self.best_path)
        self._checkpoints.save()
        self._step = 0
        self._report(losses)
        if self.ended_by or not math.isfinite(losses["loss"]):
            self.model.stop_training = True

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
