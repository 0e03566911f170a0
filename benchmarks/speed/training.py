"""What a training step takes, and what was done to make it faster.

    python benchmarks/speed/training.py

Keras's batch normalisation with deterministic operations ("before"), what training does
by default ("now"), and `--precision bfloat16`. Determinism is for a whole process, so
they take turns in processes of their own. It prints the median time of a step, and of
its CPU, and how many times as fast as "before" it is.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

from phdnet_tf.startup import load_tensorflow

PRESETS = ("default", "phdnet-small")
WAYS = ("before", "now", "bfloat16")
ROUNDS = 5
STEPS = 30


def steps(preset: str, way: str) -> dict[str, float]:
    """Seconds a step, and seconds of CPU, of one network on drawn noise."""
    load_tensorflow()
    import keras
    import tensorflow as tf
    from untrained import training_on_noise

    from phdnet_tf.models import normalisation
    from phdnet_tf.presets import VIEWS, make_config

    if way == "before":
        tf.config.experimental.enable_op_determinism()
        normalisation.FusedBatchNormalization = keras.layers.BatchNormalization
    precision = "bfloat16" if way == "bfloat16" else "float32"
    config = make_config(preset, "sa", VIEWS["sa"], precision=precision)
    model, batches = training_on_noise(config)
    model.make_train_function()
    for _ in range(5):
        model.train_function(batches)
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(STEPS):
        logs = model.train_function(batches)
    float(logs["loss"])
    end = resource.getrusage(resource.RUSAGE_SELF)
    cpu = end.ru_utime + end.ru_stime - used.ru_utime - used.ru_stime
    return {"step": (time.perf_counter() - started) / STEPS, "cpu": cpu / STEPS}


def compare(preset: str) -> None:
    """Lets all take turns, and prints their medians and ratios."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for which, results in found.items():
            command = [sys.executable, __file__, "--preset", preset, "--one", which]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True
            )
            results.append(json.loads(done.stdout.splitlines()[-1]))
    for what in ("step", "cpu"):
        times = {
            way: 1000 * statistics.median(result[what] for result in results)
            for way, results in found.items()
        }
        told = [
            f"{time:.0f} {way} ({times['before'] / time:.2f} times as fast)"
            for way, time in times.items()
        ]
        print(f"{preset}, ms a training step ({what}): {', '.join(told)}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, action="append")
    parser.add_argument(
        "--one", choices=WAYS, help="time this one only, in this process"
    )
    options = parser.parse_args()
    for preset in options.preset or PRESETS:
        if options.one:
            print(json.dumps(steps(preset, options.one)))
        else:
            compare(preset)


if __name__ == "__main__":
    main()
