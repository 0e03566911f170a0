"""What an accelerator gains, in less than eight minutes: one command, prepared.

    python benchmarks/speed/accelerator.py weights/phdnet_tf_weights/sa-acdc

On whatever TensorFlow finds, a GPU or only the CPU, it times training steps of the
default by precision, with and without XLA, and with `--deterministic`; the input
pipeline alone, which has to be faster than the steps; and answers of the model by
images a call. It then locates landmarks on the device and on the CPU, and exits with 1
if they are more than 0.1 pixels apart. Everything has a process of its own, while
`nvidia-smi`, where there is one, tells how busy the GPU is.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from phdnet_tf.startup import load_tensorflow

SECONDS = 15.0
"""How long each of them is timed."""

TOGETHER = 5
"""Steps between two looks at the loss."""

WAYS = ("float32", "no XLA", "deterministic", "bfloat16")
SIZES = (1, 8, 32)
BAR = 0.1
IMAGES = 16


def steps(way: str) -> dict[str, float]:
    """Steps and crops a second of a training on drawn noise, and of its input alone."""
    load_tensorflow()
    import tensorflow as tf
    from untrained import training_on_noise

    from phdnet_tf.presets import VIEWS, make_config

    if way == "deterministic":
        tf.config.experimental.enable_op_determinism()
    precision = "bfloat16" if way == "bfloat16" else "float32"
    config = make_config(
        "default",
        "sa",
        VIEWS["sa"],
        precision=precision,
        deterministic=way == "deterministic",
    )
    model, batches = training_on_noise(config)
    if way == "no XLA":
        model.jit_compile = False
    model.make_train_function()

    def train() -> None:
        for _ in range(TOGETHER):
            logs = model.train_function(batches)
        float(logs["loss"])  # Waits for the device, as training does only now and then.

    trained = TOGETHER * _a_second(train)
    return {
        "steps": trained,
        "crops": trained * config.training.batch_size,
        "input": _a_second(lambda: next(batches)),
    }


def _a_second(work: Callable[[], object]) -> float:
    """How often it is done in a second, after the first time, which compiles."""
    work()
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        work()
        done += 1
    return done / spent


def points(model: Path) -> dict[str, object]:
    """GPUs, and landmarks of drawn images."""
    load_tensorflow()
    import numpy as np
    import tensorflow as tf

    from phdnet_tf.export.saved_model import load_signatures
    from phdnet_tf.export.versions import resolve_version
    from phdnet_tf.phantom.draw import draw

    locate = load_signatures(resolve_version(model))["serving_default"]
    found = []
    for number in range(IMAGES):
        image = draw("sa", np.random.default_rng(number))
        answer = locate(
            image=tf.constant(image.pixels[None], tf.float32),
            pixel_spacing=tf.constant([image.pixel_spacing], tf.float32),
        )
        found.append(answer["landmarks"].numpy()[0].tolist())
    return {
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
        "points": found,
    }


@contextlib.contextmanager
def watched() -> Iterator[list[float]]:
    """How busy the GPU is, in percent, told every second; nothing without one."""
    told: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader"]
        while shutil.which(command[0]) and not ended.wait(1):
            said = subprocess.run(command, capture_output=True, text=True).stdout
            told.extend(float(line.split()[0]) for line in said.splitlines()[:1])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        thread.join()


def apart(*arguments: str, cpu: bool = False) -> tuple[dict, str]:
    """The last line of a process, and how busy the GPU was."""
    hidden = {"CUDA_VISIBLE_DEVICES": "-1"} if cpu else {}
    command = [sys.executable, *arguments]
    with watched() as told:
        done = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | hidden,
        )
    # Its start, in which the GPU has nothing to do, is left out.
    busy = [each for each in told if each > 0]
    said = f"GPU {statistics.median(busy):.0f} % busy" if busy else "no GPU seen busy"
    return json.loads(done.stdout.splitlines()[-1]), said


def main() -> int:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a model, or a version")
    parser.add_argument("--steps", choices=WAYS, help="time these, in this process")
    parser.add_argument("--points", action="store_true", help="locate, in this process")
    options = parser.parse_args()
    if not options.model.is_dir():
        parser.error(f"{options.model}: expected the folder of a model. Found none.")
    if options.steps:
        print(json.dumps(steps(options.steps)))
        return 0
    if options.points:
        print(json.dumps(points(options.model)))
        return 0

    import numpy as np

    model = str(options.model)
    on_device, _ = apart(__file__, model, "--points")
    on_cpu, _ = apart(__file__, model, "--points", cpu=True)
    print(f"devices: {', '.join(on_device['gpus']) or 'no GPU, the CPU alone'}")
    off = np.abs(np.subtract(on_device["points"], on_cpu["points"])).max()
    print(f"landmarks of {IMAGES} drawn images: {off:.4f} px from the CPU's at most")
    for way in WAYS:
        found, busy = apart(__file__, model, "--steps", way)
        print(
            f"default, {way}: {found['steps']:.1f} steps, {found['crops']:.0f} crops a "
            f"second; its input alone {found['input']:.1f} steps; {busy}",
            flush=True,
        )
    images_a_call = Path(__file__).with_name("images_a_call.py")
    for size in SIZES:
        found, busy = apart(str(images_a_call), model, "--size", str(size))
        print(f"{size} images a call: {1000 / found['ms']:.1f} a second; {busy}")
    return int(off > BAR)


if __name__ == "__main__":
    sys.exit(main())
