"""A model that nobody trained: its speed is that of any other."""

from pathlib import Path

import keras

from phdnet_tf.config import Config, ModelConfig
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.export.saved_model import export
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import VIEWS

VIEW = "4ch"
CONFIG = Config(VIEW, ModelConfig(VIEWS[VIEW]))
"""Of the paper's network."""


def export_untrained(models: Path) -> tuple[keras.Model, Path]:
    """Exports the paper's network with random weights.

    Args:
        models: Folder of models.

    Returns:
        The network, and the folder of its first version below `models`.
    """
    network = build_network(CONFIG.model)
    served = ServedGraph([network], CONFIG, [0.0] * len(VIEWS[VIEW]))
    description = {"view": VIEW, "landmarks": list(VIEWS[VIEW])}
    return network, export(served, description, models / f"phdnet_{VIEW}", {})
