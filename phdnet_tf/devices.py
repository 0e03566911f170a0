"""How the accelerators of this machine are used."""

import tensorflow as tf


def take_memory_as_needed() -> None:
    """Makes TensorFlow allocate GPU memory as it needs it, not all of it at once.

    Call it before TensorFlow uses the GPU. If a program already uses it, that program's
    own choice stays.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            return


def training_strategy() -> tf.distribute.Strategy:
    """The distribution strategy of a training: all GPUs, if there are several.

    Each GPU gets an equal part of every batch. The GPUs share their gradients and the
    statistics of batch normalisation.
    """
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def whole_canvases_at_once() -> int:
    """Number of whole canvases per batch. On a CPU, more are no faster."""
    return 32 if tf.config.list_logical_devices("GPU") else 4


def images_a_call() -> int:
    """Number of images per call of a published model's graph.

    On one thread of a CPU, eight a call take a sixth less time than one, for 100 MB
    more (`docs/results/batch.md`). A GPU has more to do with more of them.
    """
    return 32 if tf.config.list_logical_devices("GPU") else 8
