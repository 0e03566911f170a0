"""What tests draw for themselves: examples and models that cost no training."""

import shutil

import numpy as np
import tensorflow as tf

from phdnet_tf.config import Config
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.export.saved_model import export
from phdnet_tf.export.versions import publish_version
from phdnet_tf.files import unfinished_folder
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import USUAL_ORIENTATIONS, make_config
from support.shared import shared

LANDMARKS = ("bright", "grey")


def examples(count: int = 8, seed: int = 0) -> tf.data.Dataset:
    """Images of 100 to 140 pixels with a bright and a grey disc, a landmark in each."""
    rng = np.random.default_rng(seed)
    drawn = []
    for number in range(count):
        height, width = (int(n) for n in rng.integers(100, 140, 2))
        points = rng.uniform(25, 75, (2, 2))
        y, x = np.mgrid[:height, :width]
        image = rng.normal(60, 5, (height, width))
        for (px, py), brightness in zip(points, (900, 400), strict=True):
            image[np.hypot(x - px, y - py) < 8] = brightness
        drawn.append(
            {
                "image": image.astype(np.float32),
                "pixel_spacing": rng.uniform(1.2, 1.8, 2).astype(np.float32),
                "orientation": np.full(6, np.nan, np.float32),
                "landmarks": points.astype(np.float32),
                "subject": f"s{number}",
                "image_id": f"DICOM/s{number}.dcm",
            }
        )
    signature = {
        "image": tf.TensorSpec([None, None], tf.float32),
        "pixel_spacing": tf.TensorSpec([2], tf.float32),
        "orientation": tf.TensorSpec([6], tf.float32),
        "landmarks": tf.TensorSpec([None, 2], tf.float32),
        "subject": tf.TensorSpec([], tf.string),
        "image_id": tf.TensorSpec([], tf.string),
    }
    data = tf.data.Dataset.from_generator(lambda: drawn, output_signature=signature)
    return data.apply(tf.data.experimental.assert_cardinality(count))


def random_model(config: Config, seed: int = 0):
    """A network with random weights, and statistics as training would leave them."""
    tf.keras.utils.set_random_seed(seed)
    model = build_network(config.model)
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "moving" in variable.path or "bias" in variable.path:
            variable.assign(rng.uniform(0.2, 1, variable.shape))
    return model


def exported(
    folder,
    view: str = "sa",
    strategy: str | None = None,
    thresholds=(0, 9e9),
    preset: str = "phdnet-small",
):
    """The next version in a model folder, of random weights; the second landmark is
    never high confidence.

    It is a copy: a model is exported once in a test run, which takes seconds.
    """
    name = "_".join(map(str, ("exported", view, strategy, *thresholds, preset)))
    made = shared(
        name, lambda root: export_anew(root, view, strategy, thresholds, preset)
    )
    (complete,) = made.glob("*/1")
    with unfinished_folder(folder / complete.parent.name / "version") as partial:
        shutil.copytree(complete, partial, dirs_exist_ok=True)
        return publish_version(partial, folder / complete.parent.name)


def export_anew(
    folder, view="sa", strategy=None, thresholds=(0, 9e9), preset="phdnet-small"
):
    """As `exported`, and by the exporter itself."""
    config = make_config(preset, view, LANDMARKS, strategy=strategy)
    served = ServedGraph([random_model(config)], config, thresholds)
    description = {
        "view": view,
        "landmarks": list(LANDMARKS),
        "usual_orientations": USUAL_ORIENTATIONS.get(view, ()),
        "data": {
            "fingerprint": "",
            "training_folds": [],
            "validation_folds": [],
            "test_folds": [],
        },
    }
    return export(served, description, folder / f"{config.model.network}_{view}", {})
