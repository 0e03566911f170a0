"""A U-Net with a recipe of its own, against the default, at equal time.

    phdnet-tf benchmark --view sa --data acdc_sa --system default --fold 5
        --time-limit 15 --output benchmark
    python benchmarks/studies/unet.py acdc_sa unet --fold 5 --time-limit 15
        --benchmark benchmark

The paper's U-Net (`--preset unet`) learns squared errors of heatmaps that are nearly
empty, from two whole canvases a step, and needs days. Here is what one would do
instead with a quarter of an hour: the classical U-Net (Ronneberger et al., MICCAI
2015) with batch normalisation; the middle 300 mm of the image in pixels of 1.9 mm; the
maps of a softmax over all pixels, and the cross entropy with a narrow Gaussian as loss;
the default's augmentation and learning rate. Finished folds are kept.
"""

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results import error_cells, interval, kept_predictions, print_header

from phdnet_tf.config import FOLDS
from phdnet_tf.presets import USUAL_ORIENTATIONS, make_config
from phdnet_tf.startup import load_tensorflow

SIDE = 160
"""Of what is seen, in pixels of two canvas pixels a side."""

STEP = 2
STD = 1.5
"""Of the Gaussian that is learnt, in pixels."""

SHIFT = 32.0
"""Most that the middle of a training image is moved, in canvas pixels."""

STRATEGIES = {"three looks": "augmented", "one look": "weighted"}
"""Of the default."""


def build(landmarks: int, width: int) -> Any:
    """The U-Net: five levels of `width` to 16 times as many channels."""
    import keras
    from keras import layers

    def twice(x: Any, channels: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        return x

    image = keras.Input((None, None, 1))
    x, skips = image, []
    for level in range(4):
        skips.append(twice(x, width * 2**level))
        x = layers.MaxPooling2D(2)(skips[-1])
    x = twice(x, width * 16)
    for level in reversed(range(4)):
        channels = width * 2**level
        x = layers.Conv2DTranspose(channels, 2, strides=2)(x)
        x = twice(layers.Concatenate()([skips[level], x]), channels)
    return keras.Model(image, layers.Conv2D(landmarks, 1)(x))


def middle(pictures: Any) -> Any:
    """The middle `SIDE` x `SIDE` pixels."""
    start = (pictures.shape[1] - SIDE) // 2
    return pictures[:, start : start + SIDE, start : start + SIDE]


def train_and_test(
    source: Any, fold: int, minutes: float, width: int, batch_size: int, seed: int
) -> dict[str, Any]:
    """Trains beside a fold, and tells the errors on it, in mm."""
    import keras
    import tensorflow as tf

    from phdnet_tf import geometry
    from phdnet_tf.decoding import peak
    from phdnet_tf.evaluation import metrics
    from phdnet_tf.training import crops, input_pipeline
    from phdnet_tf.training.appearance import recoloured
    from phdnet_tf.training.data import cross_validation_folds
    from phdnet_tf.training.kept import Kept
    from phdnet_tf.training.labels import heatmap_labels
    from phdnet_tf.training.schedule import SETTLING_SHARE, WARM_UP

    keras.utils.set_random_seed(seed)
    landmarks = source.landmarks
    model = build(len(landmarks), width)
    config = make_config("default", "sa", landmarks)
    moved = replace(config.crops, shift=SHIFT)
    rate = config.training.learning_rate * config.training.time_limit_boost

    def one(number: tf.Tensor, place: tf.Tensor) -> tuple:
        own = tf.stack([seed, number])
        image, places = crops.random_whole(images.read(place), moved, STEP, own)
        image = recoloured(image[None], moved, own)[0]
        return image, places - (image.shape[0] - SIDE) // 2

    def label(images: tf.Tensor, places: tf.Tensor) -> tuple:
        labels, weights = heatmap_labels(places, SIDE, 1, STD)
        return middle(images), labels["heatmap"] * weights["heatmap"]

    training = cross_validation_folds(fold).training
    images = Kept(
        input_pipeline.normalised(
            source.examples(training, landmarks), USUAL_ORIENTATIONS["sa"]
        )
    )
    batches = (
        tf.data.Dataset.range(len(images))
        .shuffle(len(images), seed=seed)
        .repeat()
        .enumerate()
        .map(one, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, drop_remainder=True)
        .map(label)
        .prefetch(tf.data.AUTOTUNE)
    )

    def loss(truth: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        """Cross entropy over the pixels, the mean of the landmarks."""
        seen = tf.reduce_sum(truth, axis=[1, 2])
        likely = found - tf.reduce_logsumexp(found, axis=[1, 2], keepdims=True)
        entropy = -tf.reduce_sum(truth * likely, axis=[1, 2])
        # One that is not annotated, or far out of sight, has nothing to tell; one just
        # out of sight pulls to the edge that is nearest to it.
        return tf.reduce_mean(tf.math.divide_no_nan(entropy, seen))

    class Clock(keras.callbacks.Callback):
        started, steps = time.monotonic(), 0

        def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
            left = 1 - (time.monotonic() - self.started) / (60 * minutes)
            warm = min((self.steps + 1) / WARM_UP, 1)
            falling = min(max(left, 0) / SETTLING_SHARE, 1)
            self.model.optimizer.learning_rate.assign(rate * warm * falling)
            self.model.stop_training = left <= 0
            self.steps += 1

    clock = Clock()
    model.compile(keras.optimizers.Adam(), loss)
    model.fit(batches, epochs=10_000, steps_per_epoch=50, verbose=0, callbacks=[clock])

    look = tf.function(lambda pictures: model(pictures, training=False))
    rows: dict[str, list] = {"subjects": [], "images": [], "errors": []}
    for example in source.examples([fold], landmarks):
        image, spacing = example["image"][None], example["pixel_spacing"][None]
        canvas = geometry.canvas_from_image(geometry.normalise(image), spacing, STEP)
        logits = look(middle(canvas))
        flat = tf.reshape(logits, [1, SIDE * SIDE, len(landmarks)])
        heat = tf.reshape(tf.nn.softmax(flat, axis=1), logits.shape)
        points, _ = peak.peak(heat, STEP)
        points += (geometry.CANVAS_SIZE - SIDE * STEP) // 2
        points = geometry.canvas_to_image(points, *image.shape[1:], spacing)
        truth = example["landmarks"].numpy()[None]
        errors = metrics.point_errors(points.numpy(), truth, spacing.numpy())
        rows["errors"].append(errors[0])
        rows["subjects"].append(example["subject"].numpy().decode())
        rows["images"].append(example["image_id"].numpy().decode())
    return {"parameters": model.count_params(), "steps": clock.steps, **rows}


def main() -> None:
    """Trains and tests the folds that are not finished, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--fold", type=int, choices=range(FOLDS), action="append", required=True
    )
    parser.add_argument("--time-limit", type=float, required=True, metavar="MINUTES")
    parser.add_argument("--benchmark", type=Path, help="with the default, finished")
    parser.add_argument(
        "--width", type=int, default=8, help="channels of the top level"
    )
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    load_tensorflow()
    from phdnet_tf.datasets.annotated import open_dataset

    source = open_dataset(options.data, "sa")
    settings = {
        name: getattr(options, name)
        for name in ("time_limit", "width", "batch_size", "seed")
    }
    settings["data"] = source.fingerprint
    # What is missing is told before the training.
    references = {
        name: {
            (row["image"], row["landmark"]): float(row["error_mm"])
            for row in kept_predictions(
                options.benchmark, "default", strategy, options.fold
            )
        }
        for name, strategy in (STRATEGIES.items() if options.benchmark else ())
    }
    options.output.mkdir(parents=True, exist_ok=True)
    found = []
    for fold in options.fold:
        file = options.output / f"fold_{fold}.npz"
        if not file.exists():
            values = train_and_test(
                source,
                fold,
                options.time_limit,
                options.width,
                options.batch_size,
                options.seed,
            )
            unfinished = options.output / f"unfinished_{fold}.npz"
            np.savez(unfinished, settings=json.dumps(settings), **values)
            os.replace(unfinished, file)
        kept = np.load(file)
        if json.loads(str(kept["settings"])) != settings:
            raise SystemExit(
                f"{file}: expected a fold of these settings and data. Received one of "
                "others: choose another output."
            )
        found.append(kept)
        print(f"fold {fold}: {kept['steps']} steps", flush=True)

    errors = np.concatenate([each["errors"] for each in found])
    images = np.concatenate([each["images"] for each in found])
    subjects = np.concatenate([each["subjects"] for each in found])
    subjects = np.repeat(subjects[:, None], errors.shape[1], 1)

    print(f"\n{len(images)} images, {found[0]['parameters']:,} parameters. In mm.")
    print("*By fold*, and *without* its worst image: by how much the U-Net is worse.\n")
    print_header(
        "", "mean ± sd [95 %]", "median", "≤ 10 mm", "> 20 mm", "U-Net worse by [95 %]"
    )
    print(f"| U-Net | {error_cells(errors, subjects)} | |")
    fold_of = np.repeat(options.fold, [len(each["images"]) for each in found])
    others = np.arange(len(images)) != np.nanargmax(np.nanmax(errors, axis=1))
    for name, kept in references.items():
        default = np.array(
            [[kept[image, each] for each in source.landmarks] for image in images]
        )
        worse = errors - default
        parts = {f"fold {fold}": fold_of == fold for fold in options.fold}
        parts["without"] = others
        change = ", ".join(
            f"{part}: {np.nanmean(worse[chosen]):+.2f}"
            for part, chosen in parts.items()
        )
        print(
            f"| default, {name} | {error_cells(default, subjects)} | "
            f"{np.nanmean(worse):+.2f} {interval(worse, subjects, '+.2f')}; {change} |"
        )


if __name__ == "__main__":
    main()
