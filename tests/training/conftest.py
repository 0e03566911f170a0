import numpy as np
import pytest
import tensorflow as tf
from support.training import bare_network

from phdnet_tf.training import input_pipeline, loop
from phdnet_tf.training.kept import Kept


def spot_images(count=6, seed=0):
    """Images of any size and spacing with a soft bright spot at each landmark."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        height, width = rng.integers(150, 300, 2)
        spacing = rng.uniform(0.8, 1.8, 2)
        landmarks = rng.uniform(40, 110, (2, 2))
        y, x = np.mgrid[:height, :width]
        image = np.full((height, width), 0.1)
        for px, py in landmarks:
            # Round in millimetres, 4 mm wide, so that interpolation hardly matters.
            squared = ((x - px) * spacing[1]) ** 2 + ((y - py) * spacing[0]) ** 2
            image += np.exp(-squared / 32)
        if number % 3 == 2:
            landmarks[1] = np.nan
        yield {
            "image": image.astype("f4"),
            "pixel_spacing": spacing.astype("f4"),
            "orientation": np.full(6, np.nan, "f4"),
            "landmarks": landmarks.astype("f4"),
        }


@pytest.fixture(scope="module")
def images():
    signature = {
        "image": tf.TensorSpec([None, None], tf.float32),
        "pixel_spacing": tf.TensorSpec([2], tf.float32),
        "orientation": tf.TensorSpec([6], tf.float32),
        "landmarks": tf.TensorSpec([None, 2], tf.float32),
    }
    data = tf.data.Dataset.from_generator(spot_images, output_signature=signature)
    return input_pipeline.normalised(data, ()).cache()


@pytest.fixture(scope="module")
def examples(images):
    return Kept(images)


@pytest.fixture
def bare(monkeypatch):
    """Trainings of a network that is hardly one."""
    monkeypatch.setattr(loop, "build_network", bare_network)
