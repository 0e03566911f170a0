"""Builds the network that the settings ask for."""

from pathlib import Path

import keras

from phdnet_tf.config import ModelConfig
from phdnet_tf.models.hourglass import build_hourglass
from phdnet_tf.models.phdnet import build_phdnet
from phdnet_tf.models.unet import build_unet

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Keras's dtype policy for each precision."""


def build_network(model: ModelConfig, precision: str = "float32") -> keras.Model:
    """The network of the settings, with new weights.

    Args:
        model: The settings. If each landmark has its own network, it is built for one
            landmark.
        precision: See `TrainingConfig`. Weights and heads are always float32.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        return _build(model)
    finally:
        keras.config.set_dtype_policy(before)


def _build(model: ModelConfig) -> keras.Model:
    landmarks = 1 if model.one_each else len(model.landmarks)
    match model.network:
        case "hourglass":
            return build_hourglass(landmarks)
        case "unet":
            return build_unet(landmarks)
        case _:
            return build_phdnet(
                landmarks,
                model.filters,
                model.dilations,
                model.strided,
                model.pool_last,
            )


def load_network(file: Path) -> keras.Model:
    """A network that was saved, for inference or as a start.

    Keras finds the layers of a saved network by name, so this module, which imports
    them, has to be the one that loads it.

    Args:
        file: A `.keras` file.

    Returns:
        The network, not compiled.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is of another version, or of another package.
    """
    return keras.models.load_model(file, compile=False)
