"""Many trainings side by side on one accelerator, where TensorFlow has none.

TensorFlow's package for CPUs reads the examples; Keras trains with JAX, which finds the
accelerator. The loop, the network, the crops and the losses are the package's own, and
so are the folders: `phdnet-tf benchmark` takes a run that ended here and publishes and
tests it.

    python benchmarks/accelerator/train.py pack DATA examples.npz --view sa
    KERAS_BACKEND=jax python benchmarks/accelerator/train.py run examples.npz OUTPUT \
        --workers 8 phdnet/5 unet/5 default/all

A training is SYSTEM/FOLD, as `phdnet-tf benchmark` has it, the fold before being its
validation; default/without-K, on all folds but K, and default/all, on all, validate on
nothing and keep the last epoch.
"""

import argparse
import functools
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

FIELDS = ("image", "pixel_spacing", "landmarks", "orientation")


def pack(data: Path | None, file: Path, view: str, subjects: int | None) -> None:
    """Writes the examples of a folder, as training is given them, into one file."""
    if subjects:
        from phdnet_tf.phantom.folder import write_folder

        data = file.with_suffix("")
        write_folder(data, view, subjects)
    from phdnet_tf.datasets.annotated import open_dataset

    source = open_dataset(data, view)
    arrays = {"names": np.array(source.landmarks), "view": np.array(view)}
    for fold in range(8):
        examples = source.examples([fold], source.landmarks).as_numpy_iterator()
        for number, example in enumerate(examples):
            for field in FIELDS:
                value = example[field]
                if field == "image" and np.array_equal(value, value.astype(np.uint16)):
                    value = value.astype(np.uint16)
                arrays[f"{fold}/{number}/{field}"] = value
    np.savez_compressed(file, **arrays)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


def train_one(file: Path, output: Path, job: str) -> None:
    """Trains one of the trainings, in this process."""
    import tensorflow as tf

    from phdnet_tf.comparison.claim import claim
    from phdnet_tf.comparison.systems import system_config
    from phdnet_tf.training.data import Folds, cross_validation_folds
    from phdnet_tf.training.members import one_after_the_other, train_members

    tf.config.set_visible_devices([], "GPU")
    # Many processes share the cores.
    tf.config.threading.set_intra_op_parallelism_threads(2)
    system, _, what = job.partition("/")
    with np.load(file) as arrays:
        names = tuple(str(name) for name in arrays["names"])
        view = str(arrays["view"])
        stored = {key: arrays[key] for key in arrays.files if "/" in key}

    def examples(folds: list[int], landmarks: tuple[str, ...]) -> tf.data.Dataset:
        order = [names.index(name) for name in landmarks]
        keys = [key.rpartition("/")[0] for key in stored if key.endswith("/image")]
        keys = [key for key in keys if int(key.partition("/")[0]) in folds]

        def generate() -> object:
            for key in keys:
                yield {
                    field: stored[f"{key}/{field}"].astype(np.float32)
                    for field in FIELDS
                }

        data = tf.data.Dataset.from_generator(
            generate,
            output_signature={
                "image": tf.TensorSpec([None, None], tf.float32),
                "pixel_spacing": tf.TensorSpec([2], tf.float32),
                "landmarks": tf.TensorSpec([len(names), 2], tf.float32),
                "orientation": tf.TensorSpec([6], tf.float32),
            },
        )
        return data.map(
            lambda e: {**e, "landmarks": tf.gather(e["landmarks"], order)}
        ).apply(tf.data.experimental.assert_cardinality(len(keys)))

    if what == "all":
        folds = Folds(list(range(8)), [], [])
    elif what.startswith("without-"):
        folds = Folds(sorted(set(range(8)) - {int(what[-1])}), [], [])
    else:
        folds = cross_validation_folds(int(what))
    fold = f"fold_{what}" if folds.validation else what
    config = system_config(system, view, names)
    # As `phdnet-tf benchmark` claims it, which takes the run from here.
    claim(output / system, {"recipe": config.to_dict()})
    run = output / system / fold / "run"
    run.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    def tell(progress: object) -> None:
        if progress.losses:
            minutes = (time.monotonic() - started) / 60
            print(
                f"{job} {minutes:.1f} min: epoch {progress.epoch}, best "
                f"{progress.best_epoch}, {progress.losses}",
                flush=True,
            )

    outcomes = train_members(
        config,
        folds,
        run,
        functools.partial(
            one_after_the_other, SimpleNamespace(examples=examples), on_progress=tell
        ),
    )
    for outcome in outcomes:
        rate = outcome.steps / outcome.seconds
        print(f"{job}: {outcome.ended_by}, {outcome.steps} steps, {rate:.1f} a second")


def run_all(file: Path, output: Path, jobs: list[str], workers: int) -> int:
    """Runs trainings as processes of their own, so many at a time."""
    waiting, running = list(jobs), {}
    output.mkdir(parents=True, exist_ok=True)
    failed = 0
    while waiting or running:
        while waiting and len(running) < workers:
            job = waiting.pop(0)
            log = (output / f"{job.replace('/', '_')}.log").open("a")
            command = [sys.executable, __file__, "one", str(file), str(output), job]
            running[job] = subprocess.Popen(command, stdout=log, stderr=log)
        time.sleep(0.5)
        for job, process in list(running.items()):
            if process.poll() is not None:
                failed += process.returncode != 0
                print(f"{job}: exit {running.pop(job).returncode}", flush=True)
    return failed


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="write the examples into one file")
    packing.add_argument("data", type=Path, nargs="?")
    packing.add_argument("file", type=Path)
    packing.add_argument("--view", required=True)
    packing.add_argument("--subjects", type=int, help="draw a phantom of so many")
    running = commands.add_parser("run", help="train")
    one = commands.add_parser("one", help="train one, in this process")
    for each in (running, one):
        each.add_argument("file", type=Path)
        each.add_argument("output", type=Path)
    running.add_argument("jobs", nargs="+", metavar="SYSTEM/FOLD")
    running.add_argument("--workers", type=int, default=8)
    one.add_argument("job")
    given = parser.parse_args()
    if given.command == "pack":
        pack(given.data, given.file, given.view, given.subjects)
    elif given.command == "run":
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        sys.exit(run_all(given.file, given.output, given.jobs, given.workers))
    else:
        train_one(given.file, given.output, given.job)


if __name__ == "__main__":
    main()
