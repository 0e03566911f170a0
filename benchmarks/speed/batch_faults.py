"""A batch of 348 real images of 49 studies, and everything that can end it.

    python benchmarks/speed/batch_faults.py --data acdc_sa --model models/phdnet_sa

The studies are drawn with the first seed that gives 348 images. What `predict` finds,
one worker, two, a slice without Dask, and every run after a fault are compared: rows
with `predict` within the digits that are written, parts with each other byte by byte.
Faults are real: processes are killed with SIGKILL, stopped with SIGSTOP, or abort.
"""

import argparse
import contextlib
import csv
import functools
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from pyarrow import parquet

from phdnet_tf.batch import worker
from phdnet_tf.batch.layout import MANIFEST
from phdnet_tf.batch.manifest import load_manifest
from phdnet_tf.batch.run import finish, slice_of, summarise
from phdnet_tf.batch.shard import run_shard
from phdnet_tf.workers import engine

STUDIES, IMAGES, SHARDS = 49, 348, 15
COMMAND = [str(Path(sys.executable).with_name("phdnet-tf"))]


def chosen(data, studies):
    """Folders of the studies, their images, and the seed."""
    folders = sorted(path for path in (data / "DICOM").iterdir() if path.is_dir())
    images = {folder: len(list(folder.glob("*.dcm"))) for folder in folders}
    for seed in itertools.count():
        picked = random.Random(seed).sample(folders, studies)
        total = sum(images[folder] for folder in picked)
        if total == IMAGES or studies != STUDIES:
            return sorted(picked), total, seed


class Batch:
    """Runs of the same batch, each in a folder of its own."""

    def __init__(self, work, data, model, studies):
        """Chooses the studies."""
        self.work, self.model = work, model
        self.folders, images, seed = chosen(data, studies)
        self.shard_images = max(1, images // SHARDS)
        self.listed = work / "list.txt"
        self.listed.write_text("".join(f"{folder}\n" for folder in self.folders))
        print(f"{images} images of {studies} studies, seed {seed}", flush=True)

    def command(self, output, *arguments):
        """The command, as a user types it."""
        return [
            *(*COMMAND, "batch", "run", "--list", str(self.listed)),
            *("--output", str(output), "--model", str(self.model), "--frames", "all"),
            *("--shard-images", str(self.shard_images), *arguments),
        ]

    def start(self, output, *arguments):
        """Starts the command."""
        return subprocess.Popen(
            self.command(output, *arguments), stderr=subprocess.DEVNULL
        )

    def run(self, output, *arguments):
        """Exit code and seconds of the command."""
        began = time.perf_counter()
        code = self.start(output, *arguments).wait()
        return code, time.perf_counter() - began


def parts(output):
    """The bytes of each part."""
    return {path.name: path.read_bytes() for path in (output / "parts").glob("part-*")}


def rows(output):
    """The rows of all parts."""
    found = sorted((output / "parts").glob("part-*.parquet"))
    return [row for path in found for row in parquet.read_table(path).to_pylist()]


def check(name, output, reference, leave_out=()):
    """Prints whether every image is there once, and the bytes are the same."""
    seen = [(row["image"], row["landmark"]) for row in rows(output)]
    wanted = [
        (row["image"], row["landmark"])
        for row in rows(reference)
        if Path(row["image"]).parent.name not in leave_out
    ]
    errors = parquet.read_table(output / "errors.parquet").to_pylist()
    same = parts(output) == parts(reference)
    fine = seen == wanted and len(errors) == len(leave_out)
    fine = fine and (same or bool(leave_out))
    print(
        f"{'ok  ' if fine else 'FAIL'} {name}: {len(set(seen)) // 3} images, "
        f"{len(seen) - len(set(seen))} rows twice, {len(errors)} errors, parts "
        f"{'the same' if same else 'not the same'}",
        flush=True,
    )


def wait_for_share(output, share, process):
    """Waits until so much of the shards is done; tells whether it still runs."""
    while process.poll() is None:
        if (output / "manifest.json").exists():
            shards = len(json.loads((output / "manifest.json").read_text())["shards"])
            if len(list((output / "parts").glob("part-*"))) >= share * shards:
                return True
        time.sleep(0.02)
    return False


def workers(process):
    """Processes of the workers, by what they have in memory."""
    found = psutil.Process(process.pid).children(recursive=True)
    return [p for p in found if p.memory_info().rss > 300e6]


def against_predict(batch, output, work):
    """Compares the rows with those of `predict`, and prints its time."""
    began = time.perf_counter()
    subprocess.run(
        [*COMMAND, "predict", *map(str, batch.folders), "--model", str(batch.model)]
        + ["--frames", "all", "--format", "csv", "--output", str(work / "predict")],
        check=True,
        capture_output=True,
    )
    seconds = time.perf_counter() - began
    with (work / "predict" / "predictions.csv").open(newline="") as file:
        expected = {
            (str(Path(row["image"]).resolve()), row["landmark"]): row
            for row in csv.DictReader(file)
        }
    pixels = confidence = 0.0
    flags = 0
    for row in rows(output):
        other = expected.pop((str(Path(row["image"]).resolve()), row["landmark"]))
        pixels = max(pixels, *(abs(row[n] - float(other[n])) for n in "xy"))
        confidence = max(
            confidence, abs(row["confidence"] - float(other["confidence"]))
        )
        flags += int(row["high_confidence"]) != int(other["high_confidence"])
    print(
        f"predict: {seconds:.1f} s; largest differences {pixels:.5f} pixels, "
        f"{confidence:.6f} of confidence, {flags} flags; {len(expected)} rows missing",
        flush=True,
    )


class Aborting:
    """A model that ends its process at the images of a study."""

    def __init__(self, locator, study):
        """Wraps a model."""
        self._locator, self._study = locator, study

    def __getattr__(self, name):
        """Is the model in all else."""
        return getattr(self._locator, name)

    def predict_many(self, images, names):
        """Aborts at the study."""
        if any(self._study in name for name in names):
            os.abort()
        return self._locator.predict_many(images, names)


@functools.cache
def aborting_tools(folder, study):
    """What a worker has, with such a model."""
    manifest, locators, sandbox = worker._tools(folder, (folder / MANIFEST).read_text())
    return manifest, {v: Aborting(m, study) for v, m in locators.items()}, sandbox


def task_that_aborts(folder, study, shard):
    """Does a shard with such a model."""
    return run_shard(folder, shard, *aborting_tools(folder, study))


def faults(batch, work, reference):
    """Every fault, one after the other."""
    for share in (0.3, 0.6, 0.9):
        output = work / f"killed_{share}"
        process = batch.start(output, "--workers", "2")
        wait_for_share(output, share, process)
        for victim in workers(process)[:1]:
            victim.kill()
        process.wait()
        check(f"a worker killed at {share:.0%}", output, reference)

    output = work / "frozen"
    process = batch.start(output, "--workers", "2")
    wait_for_share(output, 0.4, process)
    began = time.perf_counter()
    workers(process)[0].send_signal(signal.SIGSTOP)
    process.wait()
    name = f"a worker stopped, {time.perf_counter() - began:.0f} s before the end"
    check(name, output, reference)

    for share in (0.3, 0.6, 0.9):
        output = work / f"client_{share}"
        process = batch.start(output, "--workers", "2")
        wait_for_share(output, share, process)
        process.kill()
        process.wait()
        batch.run(output, "--workers", "2")
        check(f"the client killed at {share:.0%}, and a rerun", output, reference)

    output = work / "scheduler"
    for again in (False, True):
        with cluster(work / f"scheduler_{again}.json") as (scheduler, address):
            process = batch.start(output, "--scheduler", address)
            if not again:
                wait_for_share(output, 0.5, process)
                scheduler.kill()
            code = process.wait()
    check(f"the scheduler killed, and a rerun ({code})", output, reference)

    output = work / "aborts"
    process = batch.start(output, "--workers", "1")
    while not (output / "manifest.json").exists():
        time.sleep(0.02)
    process.kill()
    process.wait()
    study = batch.folders[len(batch.folders) // 2].name
    manifest = load_manifest(output)
    with engine.local_cluster(2) as client:
        task = functools.partial(task_that_aborts, output, study)
        for _ in engine.run_on(client, task, slice_of(manifest, output)):
            pass
    finish(output, summarise(output, manifest))
    check("a study that aborts its process", output, reference, leave_out=[study])


@contextlib.contextmanager
def cluster(file):
    """A Dask scheduler and two workers."""
    dask = [sys.executable, "-m", "dask"]
    file.unlink(missing_ok=True)
    quiet = {"stderr": subprocess.DEVNULL, "cwd": file.parent}
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        + ["--scheduler-file", str(file)],
        **quiet,
    )
    processes = [scheduler]
    try:
        while not file.exists():
            time.sleep(0.1)
        for _ in range(2):
            command = ["worker", "--scheduler-file", str(file), "--nthreads", "1"]
            command += ["--no-dashboard", "--death-timeout", "20"]
            processes.append(subprocess.Popen([*dask, *command], **quiet))
        yield scheduler, json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def main():
    """Prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--studies", type=int, default=STUDIES)
    arguments = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="batch_faults-", dir=arguments.work))
    try:
        batch = Batch(
            work, arguments.data.resolve(), arguments.model.resolve(), arguments.studies
        )
        one, two = work / "one", work / "two"
        seconds = {}
        for output, count in ((one, "1"), (two, "2")):
            code, seconds[count] = batch.run(output, "--workers", count)
            took = [
                json.loads(path.read_text())["seconds"]
                for path in (output / "records").iterdir()
            ]
            print(
                f"{count} workers: {seconds[count]:.1f} s, of which shards took "
                f"{sum(took) / int(count):.1f} s each; exit code {code}",
                flush=True,
            )
        print(f"two against one: {seconds['1'] / seconds['2']:.2f}", flush=True)
        check("two workers against one", two, one)
        against_predict(batch, one, work)
        shutil.copytree(one, work / "slices")
        shutil.rmtree(work / "slices" / "parts")
        for number in (1, 2, 3):
            batch.run(work / "slices", "--shard", f"{number}/3")
        check("three slices without Dask", work / "slices", one)
        faults(batch, work, one)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
