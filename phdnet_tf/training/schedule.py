"""The learning rate over a training."""

from phdnet_tf.config import TrainingConfig

WARM_UP = 100
"""Steps in which a learning rate that is not constant rises."""

SETTLING_SHARE = 0.8
"""Share of the time limit, or of the epochs, in which it falls."""


def learning_rate(
    settings: TrainingConfig,
    step: int,
    steps: int,
    share_of_time: float | None,
) -> float:
    """The learning rate of a step.

    The paper's is constant (section 3). Under a time limit it rises, to
    `TrainingConfig.time_limit_boost` times as much, and then falls evenly to zero, so
    that a short training comes far and ends settled; with `TrainingConfig.decay` it
    does the same over the epochs. With both, what comes first decides.

    Args:
        settings: Of the training.
        step: Steps that are done.
        steps: Those of all epochs together.
        share_of_time: Part of the time limit that is spent, or None without one.

    Returns:
        The learning rate.
    """
    rate, left = settings.learning_rate, 1.0
    if share_of_time is None and not settings.decay:
        return rate
    if settings.decay:
        left = 1 - step / steps
    if share_of_time is not None:
        left = min(left, max(1 - share_of_time, 0))
        rate *= settings.time_limit_boost
    return rate * min((step + 1) / WARM_UP, 1) * min(left / SETTLING_SHARE, 1)
