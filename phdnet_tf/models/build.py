"""Builds the network that the settings ask for."""

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
