"""Settings of trainings that take seconds."""

from phdnet_tf.config import Config, CropConfig, ModelConfig, TrainingConfig
from support.drawn import LANDMARKS

SHAPE = {"filters": (8, 8, 16), "dilations": (1, 2), "strided": True}
RECIPE = {"decay": True, "learning_rate": 0.003}


def settings(shape=SHAPE, **changes):
    """Those of the default in form, but for a network and a training that are small."""
    values = {"batch_size": 2, "epochs": 3, "epoch_size": 4, "seed": 5}
    return Config(
        "sa",
        ModelConfig(LANDMARKS, **shape),
        CropConfig(size=64, stretch=0.2),
        TrainingConfig(**values | RECIPE | changes),
    )
