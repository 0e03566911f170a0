"""Keeps a published model's Keras networks beside its graph, for further training."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from phdnet_tf.export.checksums import require_complete
from phdnet_tf.models.normalisation import FusedBatchNormalization

NETWORKS = "networks"
"""Folder below that of a version, with one file per network."""


def save_networks(version: Path, networks: Sequence[keras.Model]) -> None:
    """Writes the networks into the folder of a version that is being exported.

    The graph's batch normalisation is folded, so the graph cannot be trained.

    Args:
        version: Folder of the version.
        networks: The networks, in the order of the graph.

    Raises:
        OSError: If the networks cannot be written.
    """
    if networks:
        (version / NETWORKS).mkdir()
    for number, network in enumerate(networks, 1):
        network.save(version / NETWORKS / f"{number:03}.keras")


def load_network(file: Path) -> keras.Model:
    """A network that was saved, for inference or as a start.

    Keras finds a layer of ours by its name only if this module has imported it.

    Args:
        file: A `.keras` file.

    Returns:
        The network, not compiled.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If it has a layer of another package.
        ValueError: If it is no network.
    """
    layers = {"FusedBatchNormalization": FusedBatchNormalization}
    return keras.models.load_model(file, layers, compile=False)


def load_networks(version: Path) -> list[keras.Model]:
    """The networks of a version, with their weights, not compiled.

    Args:
        version: Folder of the version.

    Returns:
        One network, or the members of a model of several.

    Raises:
        ValueError: If a file is missing or was changed, or there are none that this
            version of phdnet-tf can read.
    """
    require_complete(version)
    files = sorted((version / NETWORKS).glob("*.keras"))
    try:
        networks = [load_network(file) for file in files]
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
    """Copies the weights of a trained network to a new one.

    Args:
        network: The new network.
        weights: The trained network.

    Raises:
        ValueError: If the two have different architectures.
    """
    shapes, others = (
        [tuple(variable.shape) for variable in each.variables]
        for each in (network, weights)
    )
    if shapes != others:
        raise ValueError(
            f"initial weights: expected {_size(network)} numbers, by the settings. "
            f"Received {_size(weights)}, or other shapes. Give the --preset that the "
            "weights were trained with, and the same number of landmarks."
        )
    network.set_weights(weights.get_weights())


def _size(network: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in network.variables)
