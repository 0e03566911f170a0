"""The network of the settings."""

import keras

from phdnet_tf.config import ModelConfig
from phdnet_tf.models.hourglass import build_hourglass
from phdnet_tf.models.phdnet import build_phdnet
from phdnet_tf.models.unet import build_unet


def build_network(model: ModelConfig) -> keras.Model:
    """The network of the settings, with new weights.

    With a network for each landmark, it is one of these.
    """
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
