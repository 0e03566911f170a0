"""What a batch costs beside its model, from 1,000 to 100,000 studies.

    python benchmarks/speed/batch_scale.py DICOM_FOLDER [WORK_FOLDER]

The archive is simulated: folders with one link each to the files of DICOM_FOLDER, whose
headers and pixels are read for real; a reader stands in that gives each link a study of
its own. The model is a stand-in, too, which takes no time: what is measured is the
rest. Writes docs/results/batch_cost.png, and prints the table of docs/results/batch.md.
"""

import argparse
import contextlib
import functools
import os
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from phdnet_tf.batch import plan as plan_module
from phdnet_tf.batch.layout import unfinished
from phdnet_tf.batch.manifest import Model, claim, load_manifest
from phdnet_tf.batch.plan import plan
from phdnet_tf.batch.run import summarise
from phdnet_tf.batch.shard import run_shard
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.inference.results import Landmark, Prediction
from phdnet_tf.workers import engine

STUDIES = 100_000
SHARD_IMAGES = 50
SIZES = (1_000, 3_000, 10_000, 30_000)
MODEL = Model("sa", "none/1", "/nowhere", "0" * 64)


class Renaming(Sandbox):
    """Reads headers, and says that each file is a study of its own."""

    def header(self, source):
        """A header with a study of its own."""
        return replace(super().header(source), study_uid=str(source))


class Nothing:
    """Takes no time."""

    view, landmarks, name, at_once = "sa", ("a", "b", "c"), MODEL.name, 1

    def predict_many(self, images, names):
        """The brightest pixel, three times."""
        radii = {"50": 1.0, "90": 2.0, "95": 3.0}
        found = []
        for image, name in zip(images, names, strict=True):
            y, x = np.unravel_index(image.pixels.argmax(), image.pixels.shape)
            points = tuple(
                Landmark(landmark, float(x), float(y), 1.0, True, radii)
                for landmark in self.landmarks
            )
            found.append(
                Prediction(name, "sa", self.name, image.pixel_spacing, True, points)
            )
        return found


@functools.cache
def tools(folder):
    """What a worker has, loaded once."""
    return load_manifest(folder), {"sa": Nothing()}, Sandbox()


def task(folder, shard):
    """Does a shard."""
    return run_shard(folder, shard, *tools(folder))


def no_work(shard):
    """A shard that costs nothing."""
    return {"images": shard}


def links(folder, files, count):
    """Makes an archive of so many studies."""
    for number in range(count):
        # As many folders in a folder as a file system likes.
        study = folder / f"{number // 1000:03d}" / f"{number:06d}"
        study.mkdir(parents=True)
        os.symlink(files[number % len(files)], study / "image.dcm")


def planned(archive, folder):
    """Seconds, and the most memory of this process and of a reader, in MB."""
    plan_module.Sandbox = Renaming
    began = time.perf_counter()
    plan([archive], None, folder, readers=len(os.sched_getaffinity(0)))
    seconds = time.perf_counter() - began
    claim(folder, [MODEL], "sa", None, None, SHARD_IMAGES)
    return seconds, peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)


def peak(who):
    """Most memory, in MB."""
    return resource.getrusage(who).ru_maxrss / 1024


def cpu(who):
    """Seconds of CPU."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def run(folder, stop_after=None):
    """Seconds, and those of CPU of client and scheduler, of the shards done."""
    manifest = load_manifest(folder)
    left = unfinished(folder, len(manifest.shards))
    with engine.local_cluster(2) as client:
        began, used = time.perf_counter(), time.process_time()
        done = 0
        results = engine.run_on(client, functools.partial(task, folder), left)
        with contextlib.closing(results):
            for _, result in results:
                assert not isinstance(result, str), result
                done += 1
                if done == stop_after:
                    break
        return done, time.perf_counter() - began, time.process_time() - used


def hundred_thousand(files, work):
    """Plans a large archive, is interrupted at half, and goes on."""
    links(work / "archive", files, STUDIES)
    used = cpu_of_all()
    seconds, own, reader = planned(work / "archive", work / "out")
    used = cpu_of_all() - used
    shards = len(load_manifest(work / "out").shards)
    print(
        f"planning {STUDIES} studies: {seconds:.0f} s, {used:.0f} s of CPU, "
        f"at most {own:.0f} MB here and {reader:.0f} MB in a reader; {shards} shards",
        flush=True,
    )
    with engine.local_cluster(2) as client:
        used = time.process_time()
        for _ in engine.run_on(client, no_work, range(shards)):
            pass
        used = time.process_time() - used
    print(
        f"{shards} shards without work: client and scheduler "
        f"{1000 * used / shards:.1f} ms of CPU a shard",
        flush=True,
    )
    for stop_after in (shards // 2, None):
        done, seconds, used = run(work / "out", stop_after)
        print(
            f"{done} shards: {seconds:.0f} s; client and scheduler "
            f"{1000 * used / done:.1f} ms of CPU a shard, at most "
            f"{peak(resource.RUSAGE_SELF):.0f} MB",
            flush=True,
        )
    summary = summarise(work / "out", load_manifest(work / "out"))
    print(
        f"{summary.record.images} images of {summary.record.studies} studies, "
        f"{len(summary.record.errors)} errors, {summary.missing} shards missing",
        flush=True,
    )


def cost(files, work):
    """The cost of archives of several sizes."""
    from matplotlib.figure import Figure

    seconds = []
    print("| images | s of CPU, planning | s of CPU, all | ms an image |")
    print("| ---: | ---: | ---: | ---: |")
    for size in SIZES:
        folder = work / str(size)
        links(folder / "archive", files, size)
        began = total = cpu_of_all()
        planned(folder / "archive", folder / "out")
        planning = cpu_of_all() - began
        run(folder / "out")
        total = cpu_of_all() - began
        seconds.append(total)
        print(f"| {size} | {planning:.1f} | {total:.1f} | {1000 * total / size:.2f} |")
        sys.stdout.flush()
    slope, start = np.polyfit(SIZES, seconds, 1)
    figure = Figure((5, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(SIZES, seconds, "o", label="measured")
    ends = np.array([0, SIZES[-1]])
    line = f"{start:.0f} s and {1000 * slope:.1f} ms an image"
    axes.plot(ends, start + slope * ends, "--", color="grey", label=line)
    axes.set(xlabel="images", ylabel="seconds of CPU, without a model")
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.legend()
    target = Path(__file__).parents[2] / "docs" / "results" / "batch_cost.png"
    figure.savefig(target, dpi=110)


def cpu_of_all():
    """Of this process and of those that ended, the readers and workers."""
    return cpu(resource.RUSAGE_SELF) + cpu(resource.RUSAGE_CHILDREN)


def main():
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dicom", type=Path, help="folder of a few hundred files")
    parser.add_argument("work", nargs="?", help="folder for what is made meanwhile")
    options = parser.parse_args()
    files = sorted(options.dicom.resolve().rglob("*.dcm"))
    if not files:
        parser.error(f"{options.dicom}: expected *.dcm files. Found none.")
    work = Path(tempfile.mkdtemp(prefix="batch_scale-", dir=options.work))
    try:
        hundred_thousand(files, work / "large")
        cost(files, work)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
