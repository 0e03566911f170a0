"""A model that nobody trained, and a training on noise: as fast as any other."""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from phdnet_tf.config import Config, ModelConfig
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.export.saved_model import export
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import VIEWS
from phdnet_tf.training import input_pipeline
from phdnet_tf.training.kept import Kept
from phdnet_tf.training.loop import compile_model

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


def training_on_noise(config: Config) -> tuple[keras.Model, Iterator]:
    """A compiled network, and an endless iterator over its batches.

    Args:
        config: Settings, of a view with three landmarks.
    """
    noise = np.random.default_rng(0)
    example = {
        "image": 900 * noise.random((256, 216), "f4"),
        "pixel_spacing": np.array([1.5, 1.5], "f4"),
        "landmarks": np.array([[100, 100], [120, 90], [90, 130]], "f4"),
    }
    batches = input_pipeline.training_batches(
        Kept(tf.data.Dataset.from_tensors(example)),
        config.model,
        config.crops,
        config.training.batch_size,
        seed=0,
    )
    return compile_model(config, 1000), iter(batches)
