"""Settings and networks of trainings that take seconds."""

import functools
from dataclasses import replace

import keras
from keras import layers, ops

from phdnet_tf.config import Config, CropConfig, ModelConfig, TrainingConfig
from phdnet_tf.presets import PRESETS
from support.drawn import LANDMARKS, examples

SHAPE = {"filters": (8, 8, 16), "dilations": (1, 2), "strided": True}
RECIPE = {"decay": True, "learning_rate": 0.003, "deterministic": True}


def settings(shape=SHAPE, **changes):
    """Those of the default in form, but for a network and a training that are small."""
    values = {"batch_size": 2, "epochs": 3, "epoch_size": 4, "seed": 5}
    return Config(
        "sa",
        ModelConfig(LANDMARKS, **shape),
        CropConfig(size=64, stretch=0.2),
        TrainingConfig(**values | RECIPE | changes),
    )


class Drawn:
    """Drawn images by fold, two a fold, as `AnnotatedImages`."""

    name = "drawn"
    drawn = True
    fingerprint = "0"

    def examples(self, folds, landmarks):
        order = [LANDMARKS.index(name) for name in landmarks]
        parts = [examples(2, 2 * fold) for fold in folds]
        data = functools.reduce(lambda one, two: one.concatenate(two), parts)

        def choose(example):
            points = [example["landmarks"][place] for place in order]
            return {**example, "landmarks": points}

        return data.map(choose)

    def count(self, folds):
        return 2 * len(folds)

    def content_hashes(self, folds):
        return [f"{fold}{half}" for fold in folds for half in "ab"]


def bare_network(model: ModelConfig, precision: str = "float32") -> keras.Model:
    """PHD-Net's inputs and outputs and nothing between, for what is around a network.

    Most of a short training is tracing, which takes the longer, the more layers.
    """
    landmarks = 1 if model.one_each else len(model.landmarks)
    image = keras.Input((None, None, 1))
    patches = layers.AveragePooling2D(8)(image)
    heatmap = layers.Conv2D(landmarks, 1)(patches)
    flat = layers.Conv2D(2 * landmarks, 1)(patches)
    displacement = ops.stack(ops.split(flat, 2, axis=-1), axis=-1)
    return keras.Model(image, {"heatmap": heatmap, "displacement": displacement})


def shrink(patch, preset: str, **shape) -> None:
    """Has trainings by a preset take few crops at a time, which are done sooner.

    Args:
        patch: What puts the preset back, a `pytest.MonkeyPatch`.
        preset: One of `PRESETS`.
        shape: Attributes of the preset that make its network smaller.
    """
    row = PRESETS[preset]
    training = replace(row.training, batch_size=2, epoch_size=400)
    patch.setitem(PRESETS, preset, replace(row, training=training, **shape))
