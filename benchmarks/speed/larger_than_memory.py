"""Does a data set of twice the memory budget train as fast as one that fits?

    python benchmarks/speed/larger_than_memory.py

Half of the images, drawn noise, are held in memory, and half lie on the disk, as
`phdnet-tf train --cache-memory` has it. Against all in memory it takes turns, in one
process. Before each turn the system forgets what it remembers of the file, so that the
disk is read, as it is where memory is short. It prints the median times of a training
step and their ratio, which has to be 0.9 or more, and exits with 1 if it is not.
"""

import argparse
import os
import statistics
import sys
import time

from phdnet_tf.startup import load_tensorflow

load_tensorflow()

import numpy as np
import tensorflow as tf

from phdnet_tf.presets import PRESETS, VIEWS, make_config
from phdnet_tf.training import input_pipeline
from phdnet_tf.training.kept import Kept
from phdnet_tf.training.loop import compile_model

BAR = 0.9
SHAPE = (256, 216)


def drawn(count: int) -> tf.data.Dataset:
    """Images of noise, as `input_pipeline.normalised` returns them."""

    def generate() -> object:
        noise = np.random.default_rng(0)
        for _ in range(count):
            yield {
                "image": noise.random(SHAPE, "f4"),
                "pixel_spacing": np.array([1.5, 1.5], "f4"),
                "landmarks": np.array([[100, 100], [120, 90], [90, 130]], "f4"),
            }

    return tf.data.Dataset.from_generator(
        generate,
        output_signature={
            "image": tf.TensorSpec(SHAPE, tf.float32),
            "pixel_spacing": tf.TensorSpec([2], tf.float32),
            "landmarks": tf.TensorSpec([3, 2], tf.float32),
        },
    )


def forget(images: Kept) -> None:
    """Has the system drop what it remembers of the file."""
    if images._file:
        os.fsync(images._file.fileno())
        os.posix_fadvise(images._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=list(PRESETS), default="default")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="of a round")
    options = parser.parse_args()

    config = make_config(options.preset, "sa", VIEWS["sa"])
    all_in_memory = Kept(drawn(options.images), float("inf"))
    half_on_disk = Kept(drawn(options.images), all_in_memory.in_memory / 2)
    model = compile_model(config, 1_000_000)
    model.make_train_function()
    streams = {
        images: iter(
            input_pipeline.training_batches(
                images, config.model, config.crops, config.training.batch_size, 0
            )
        )
        for images in (all_in_memory, half_on_disk)
    }
    times: dict[Kept, list[float]] = {images: [] for images in streams}
    for turn in range(options.rounds + 1):
        for images, stream in streams.items():
            forget(images)
            started = time.perf_counter()
            for _ in range(options.steps):
                logs = model.train_function(stream)
            float(logs["loss"])  # Waits for the last step.
            if turn:  # In the first one TensorFlow compiles.
                times[images].append(time.perf_counter() - started)
    fits, larger = (
        1000 * statistics.median(each) / options.steps for each in times.values()
    )
    ratio = fits / larger
    size = all_in_memory.in_memory / 1e6
    print(
        f"{options.preset}, {options.images} images, {size:.0f} MB: {fits:.0f} ms a "
        f"step if they fit, {larger:.0f} ms if half do; {ratio:.2f} of the "
        f"speed, and {BAR} is the bar."
    )
    return ratio < BAR


if __name__ == "__main__":
    sys.exit(main())
