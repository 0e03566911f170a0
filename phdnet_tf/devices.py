"""The accelerators of this machine, and how they are used."""

import tensorflow as tf


def take_memory_as_needed() -> None:
    """Has TensorFlow take a GPU's memory as it needs it, not all there is at once.

    It must be said before TensorFlow uses the GPU. Where a program has begun to, its
    own choice stands.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            return


def training_strategy() -> tf.distribute.Strategy:
    """How a training is spread: over all GPUs, where there are several.

    Each gets an equal part of every batch, and they share their batch normalisation's
    statistics and their gradients.
    """
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def whole_canvases_at_once() -> int:
    """Whole canvases in a batch: on a CPU more take more memory and are no faster."""
    return 32 if tf.config.list_logical_devices("GPU") else 4
