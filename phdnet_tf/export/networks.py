"""The Keras networks of a published model, made again from what its graph holds."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from phdnet_tf.config import ModelConfig
from phdnet_tf.export.description import load_description
from phdnet_tf.models.build import build_network


def load_networks(version: Path) -> list[keras.Model]:
    """The networks of a version, with their weights, not compiled.

    Args:
        version: Its folder.

    Returns:
        One, or the members of a model of several.

    Raises:
        ValueError: If it is no model of this version of phdnet-tf.
    """
    description = load_description(version)
    try:
        model = ModelConfig.from_dict(description["config"]["model"])
        members = len(description["training"]["members"])
        saved = tf.train.load_checkpoint(str(version / "variables" / "variables"))
        networks = [build_network(model) for _ in range(members)]
        variables = [v for network in networks for v in network.variables]
        for number, variable in enumerate(variables):
            # As `graph.ServedGraph` holds them.
            name = f"_variables/{number}/.ATTRIBUTES/VARIABLE_VALUE"
            variable.assign(saved.get_tensor(name))
    except (KeyError, TypeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{version}: expected a model that this version of phdnet-tf exported. "
            f"Received another: {reason}. Train it again."
        ) from error
    return networks


def start_from(network: keras.Model, weights: keras.Model) -> None:
    """Gives a new network the weights of one that was trained before.

    Args:
        network: The new one.
        weights: The other.

    Raises:
        ValueError: If they are not of one kind.
    """
    shapes, others = (
        [tuple(variable.shape) for variable in each.variables]
        for each in (network, weights)
    )
    if shapes != others:
        raise ValueError(
            f"initial weights: expected {_size(network)} numbers, as the settings have "
            f"it. Received {_size(weights)}, or others in shape: give the --preset "
            "that they were trained with, and as many landmarks."
        )
    network.set_weights(weights.get_weights())


def _size(network: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in network.variables)
