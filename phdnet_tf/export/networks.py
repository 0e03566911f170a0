"""The Keras networks of a published model, kept beside its graph to train on from."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

NETWORKS = "networks"
"""Folder, in that of a version, of one file a network."""


def save_networks(version: Path, networks: Sequence[keras.Model]) -> None:
    """Writes the networks into the folder of a version that is being exported.

    The graph has their batch normalisation folded, so that it cannot be trained.

    Args:
        version: Its folder.
        networks: The networks, in the order of the graph.

    Raises:
        OSError: If they cannot be written.
    """
    if networks:
        (version / NETWORKS).mkdir()
    for number, network in enumerate(networks, 1):
        network.save(version / NETWORKS / f"{number:03}.keras")


def load_networks(version: Path) -> list[keras.Model]:
    """The networks of a version, with their weights, not compiled.

    Args:
        version: Its folder.

    Returns:
        One, or the members of a model of several.

    Raises:
        ValueError: If it has none that this version of phdnet-tf can read.
    """
    files = sorted((version / NETWORKS).glob("*.keras"))
    try:
        networks = [keras.models.load_model(file, compile=False) for file in files]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(version, str(error).splitlines()[0]) from error
    if not networks:
        raise _unreadable(version, f"no {NETWORKS}/*.keras")
    return networks


def _unreadable(version: Path, reason: str) -> ValueError:
    return ValueError(
        f"{version}: expected a model that this version of phdnet-tf exported. "
        f"Received another: {reason}. Train it again."
    )


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
