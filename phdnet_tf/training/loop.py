"""Training: from batches to the best model, with all that is needed to go on later."""

import contextlib
import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import tensorflow as tf

from phdnet_tf.config import Config
from phdnet_tf.devices import take_memory_as_needed, training_strategy
from phdnet_tf.export.disk_errors import plain_disk_errors
from phdnet_tf.export.networks import load_network, start_from
from phdnet_tf.files import whole_file
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import USUAL_ORIENTATIONS
from phdnet_tf.training import input_pipeline
from phdnet_tf.training.checks import require_annotated
from phdnet_tf.training.keeper import Keeper
from phdnet_tf.training.kept import CACHE_MEMORY, Kept
from phdnet_tf.training.losses import ContainsLoss, DisplacementLoss, HeatmapLoss
from phdnet_tf.training.progress import Outcome, Progress
from phdnet_tf.training.schedule import learning_rate


def compile_model(
    config: Config, steps: int, *, time_limit: bool = False
) -> keras.Model:
    """The network with the paper's loss and optimiser, weights drawn from the seed.

    Sets the seeds of Python, NumPy and TensorFlow.

    Args:
        config: Settings.
        steps: Those of all epochs together.
        time_limit: Whether there is one; see `schedule.learning_rate`.

    Returns:
        The model, compiled.
    """
    keras.utils.set_random_seed(config.training.seed)
    model = build_network(config.model, config.training.precision)
    classifies = config.model.mapping == "binary"
    losses = {
        "heatmap": ContainsLoss() if classifies else HeatmapLoss(),
        "displacement": DisplacementLoss(),
    }
    model.compile(
        optimizer=keras.optimizers.Adam(
            learning_rate(config.training, steps, time_limit=time_limit)
        ),
        # L_A = L_d + L_h: the sum is Keras's own.
        loss={name: losses[name] for name in model.output},
    )
    # Here, for several devices share what is made within their strategy's scope.
    model.optimizer.build(model.trainable_variables)
    return model


def train(
    config: Config,
    training: tf.data.Dataset,
    validation: tf.data.Dataset | None,
    run: Path,
    *,
    init: keras.Model | None = None,
    time_limit: float | None = None,
    cache_memory: float = CACHE_MEMORY,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Trains until the epochs, the patience or the time are used up, or Ctrl-C.

    The folder `run` holds what was learnt: `best-N.keras`, the model with the lowest
    validation loss, that of epoch N; `log.csv` and `tensorboard/`, the learning curves;
    `state.npz`, with which a run that was killed goes on from its last complete epoch,
    as if it had not been: to the same result, if `TrainingConfig.deterministic`. A new
    run is made where there is no such state.

    Args:
        config: Settings.
        training: Examples to train on, as `input_pipeline.normalised` takes them. Their
            `cardinality` is known; nothing is read to count them.
        validation: Examples to validate on, of the same form. Without, nothing ends
            training early, and the best model is the last.
        run: Folder of the run; it must exist.
        init: A network with whose weights it begins, of the same kind.
        time_limit: Most seconds to spend, earlier parts of a resumed run included. The
            learning rate follows it; see `schedule.learning_rate`. The last epoch is
            cut short where it would not end by then.
        cache_memory: Most bytes of decoded images to hold in memory. The rest goes to
            disk; see `kept.Kept`.
        on_progress: Called after every step and every epoch.

    Returns:
        The outcome. After Ctrl-C, with what there was.

    Raises:
        KeyboardInterrupt: If it comes before there is a model to keep.
        OSError: If the run's folder cannot be written.
        ValueError: If there are no examples to train or validate on, their number is
            not known, a landmark is annotated in none of them, `init` is of another
            kind, the loss is no longer a number before there is a model to keep, or a
            time limit is given to another of Keras's backends than TensorFlow.
    """
    if time_limit is not None and keras.backend.backend() != "tensorflow":
        # Others compile the planned steps into the step, and would keep the first plan.
        raise ValueError(
            f"a time limit: expected Keras's backend tensorflow. Received: "
            f"{keras.backend.backend()}. Unset KERAS_BACKEND, or give no time limit."
        )
    take_memory_as_needed()
    if config.training.deterministic:
        # For the whole process, which is why it is not on by default.
        tf.config.experimental.enable_op_determinism()
    count = _count(training, "training")
    require_annotated(training, config.model.landmarks, "training")
    if validation is not None:
        _count(validation, "validation")
        require_annotated(validation, config.model.landmarks, "validation")
    crops = max(count, config.training.epoch_size)
    steps = math.ceil(crops / config.training.batch_size)
    with training_strategy().scope():
        model = compile_model(
            config,
            steps * config.training.epochs,
            time_limit=time_limit is not None,
        )
        if init is not None:
            start_from(model, init)
    keeper = Keeper(config, run, model, steps, time_limit, on_progress)
    _forget_epochs_after(run / "log.csv", keeper.epoch)
    # The log comes before the state: what the state knows is logged.
    log = keras.callbacks.CSVLogger(run / "log.csv", append=keeper.epoch > 0)
    interrupted = False
    if not keeper.ended_by:
        try:
            with (
                plain_disk_errors(run),
                _batches(
                    config, training, validation, cache_memory, keeper.epoch * steps
                ) as (batches, validation_batches),
            ):
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
                        keras.callbacks.TensorBoard(
                            run / "tensorboard", write_graph=False
                        ),
                        keeper,
                    ],
                )
        except KeyboardInterrupt:
            if not keeper.best_epoch:
                raise
            interrupted = True
        finally:
            if log.csv_file:
                log.csv_file.close()
    if keeper.diverged and not keeper.best_epoch:
        raise ValueError(
            f"{run}: the loss was no longer a number in epoch {keeper.epoch + 1}, "
            "before there was a model to keep. Check the data with 'phdnet-tf dataset "
            "check', or try another --seed."
        )
    ended_by = keeper.ended_by or "epochs"
    if keeper.diverged:
        ended_by = "diverged"
    elif interrupted:
        ended_by = "interrupt"
    return Outcome(
        model=load_network(keeper.best_path),
        epochs=keeper.epoch,
        steps=keeper.steps,
        best_epoch=keeper.best_epoch,
        validation_loss=None if validation is None else keeper.best_loss,
        seconds=keeper.seconds,
        ended_by=ended_by,
    )


@contextlib.contextmanager
def _batches(
    config: Config,
    training: tf.data.Dataset,
    validation: tf.data.Dataset | None,
    cache_memory: float,
    first_batch: int,
) -> Iterator[tuple[tf.data.Dataset, tf.data.Dataset | None]]:
    """Those to train on and to validate on, whose images share the memory."""
    usual = USUAL_ORIENTATIONS.get(config.view, ())
    with contextlib.ExitStack() as stack:

        def keep(examples: tf.data.Dataset, memory: float) -> Kept:
            return stack.enter_context(Kept(examples, memory))

        images = keep(input_pipeline.normalised(training, usual), cache_memory)
        batches = input_pipeline.training_batches(
            images,
            config.model,
            config.crops,
            config.training.batch_size,
            config.training.seed,
            first_batch,
        )
        if validation is None:
            yield batches, None
            return
        normalised = input_pipeline.normalised(validation, usual)
        canvases = input_pipeline.canvases(normalised, config.model)
        drawn = keep(canvases, cache_memory - images.in_memory)
        yield batches, input_pipeline.validation_batches(drawn, config.model)


def _count(examples: tf.data.Dataset, purpose: str) -> int:
    count = int(examples.cardinality())
    if count < 0:
        raise ValueError(
            f"{purpose}: expected images of known number. Received a data set that "
            "does not tell it: apply tf.data.experimental.assert_cardinality."
        )
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
    # A power cut may have left a row of anything.
    known = [row for row in rows if row and row[0].isdecimal() and int(row[0]) < epoch]
    with whole_file(log) as partial, partial.open("w", newline="") as file:
        csv.writer(file).writerows([header, *known])
