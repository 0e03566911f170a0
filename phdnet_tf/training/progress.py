"""Where training stands, and what it led to."""

from dataclasses import dataclass

import keras


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
        ended_by: "epochs", "patience", "time limit", "interrupt", or "diverged", when
            the loss is no longer a number.
    """

    model: keras.Model
    epochs: int
    steps: int
    best_epoch: int
    validation_loss: float
    seconds: float
    ended_by: str
