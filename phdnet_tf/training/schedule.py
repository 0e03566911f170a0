"""The learning rate over a training."""

from typing import Any

import keras
from keras import ops

from phdnet_tf.config import TrainingConfig

WARM_UP = 100
"""Number of steps in which the learning rate rises, unless it is constant."""

SETTLING_SHARE = 0.8
"""Share of the planned steps in which the learning rate falls."""


@keras.saving.register_keras_serializable(package="phdnet_tf")
class WarmUpAndDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in `WARM_UP` steps, stays, and falls evenly to zero.

    Args:
        peak: The highest learning rate.
        planned_steps: The step at which the learning rate reaches zero.

    Attributes:
        planned_steps: float32 scalar. Under a time limit it follows the speed of the
            training; see `keeper.Keeper`.
    """

    def __init__(self, peak: float, planned_steps: int) -> None:
        """Keeps the arguments."""
        super().__init__()
        self.peak = peak
        self.planned_steps = keras.Variable(
            float(planned_steps), trainable=False, dtype="float32", name="planned_steps"
        )

    def __call__(self, step: object) -> object:
        """The learning rate after `step` steps, a float32 scalar."""
        done = ops.cast(step, "float32")
        risen = ops.minimum((done + 1) / WARM_UP, 1.0)
        left = ops.maximum(1 - done / self.planned_steps, 0.0)
        return self.peak * risen * ops.minimum(left / SETTLING_SHARE, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for Keras."""
        return {
            "peak": self.peak,
            "planned_steps": int(ops.convert_to_numpy(self.planned_steps)),
        }


def learning_rate(
    settings: TrainingConfig, steps: int, *, time_limit: bool
) -> float | WarmUpAndDecay:
    """The learning rate of the optimiser, or its schedule.

    The paper's learning rate is constant (section 3). With `TrainingConfig.decay` it
    warms up and falls over the epochs. Under a time limit it warms up and falls over
    the steps that fit into the time, and its peak is `TrainingConfig.time_limit_boost`
    times as high. A short training thus makes fast progress, and still converges.

    Args:
        settings: Settings of the training.
        steps: Number of steps in all epochs.
        time_limit: Whether there is a time limit.

    Returns:
        The constant learning rate, or the schedule.
    """
    if not time_limit and not settings.decay:
        return settings.learning_rate
    boost = settings.time_limit_boost if time_limit else 1.0
    return WarmUpAndDecay(settings.learning_rate * boost, steps)
