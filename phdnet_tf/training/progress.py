"""The progress of a training, and its outcome."""

from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Progress:
    """The progress of a training, after a step or an epoch.

    Attributes:
        epoch: Number of complete epochs.
        epochs: Largest number of epochs.
        step: Number of complete steps of the current epoch.
        steps: Steps per epoch.
        seconds: Time spent on training, with earlier parts of a resumed run.
        seconds_left: The shortest and the longest time that it can still take. It takes
            the shortest if no later model is better.
        losses: After an epoch, its losses by name; after a step, None.
        best_epoch: The epoch, counted from 1, of the best model; 0 before there is one.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds: float
    seconds_left: tuple[float, float]
    losses: dict[str, float] | None
    best_epoch: int


@dataclass(frozen=True)
class Outcome:
    """The outcome of a training.

    Attributes:
        model: The Keras model with the lowest validation loss.
        epochs: Number of trained epochs.
        steps: Number of trained steps.
        best_epoch: The epoch of the model, counted from 1.
        validation_loss: The model's validation loss; None without validation.
        seconds: Time spent on training, in seconds.
        ended_by: "epochs", "patience", "time limit", "interrupt", or "diverged" if the
            loss became NaN.
    """

    model: keras.Model
    epochs: int
    steps: int
    best_epoch: int
    validation_loss: float | None
    seconds: float
    ended_by: str
