"""Archives for batches, and a model whose images can end the process they are in."""

import functools
import os
import signal
import time
from pathlib import Path

import numpy as np
from pyarrow import parquet

from phdnet_tf.batch.layout import part
from phdnet_tf.batch.manifest import Model, claim, load_manifest
from phdnet_tf.batch.plan import plan
from phdnet_tf.batch.run import summarise
from phdnet_tf.batch.shard import run_shard
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.dicom.write import write_image
from phdnet_tf.inference.results import Landmark, Prediction

STUB = Model("sa", "stub/1", "/nowhere", "0" * 64)


def write_study(folder, name, images=2, **keywords):
    """Images of a study, one slice each, whose brightest pixel is known."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(images):
        write_image(
            folder / f"{name}_{number}.dcm",
            _bright(number),
            (1.5, 1.5),
            uid_seed=name,
            series_description="short axis",
            patient_id=f"patient of {name}",
            position=(0, 0, 10 * number),
            **keywords,
        )


def _bright(number):
    pixels = np.zeros((16, 20), np.uint16)
    pixels[5, 7 + number] = 900
    return pixels


def planned(tmp_path, names, images=2, shard_images=4):
    """An archive of studies, planned: the output folder and its manifest."""
    for name in names:
        write_study(tmp_path / "archive" / name, name, images)
    folder = tmp_path / "out"
    plan([tmp_path / "archive"], None, folder, readers=1)
    return folder, claim(folder, [STUB], "sa", None, None, shard_images)


class Stub:
    """Finds the brightest pixel, unless the name of the file asks for a fault.

    Of a study with "once" or "twice" in its name it comes no more often.
    """

    view, landmarks, name, at_once = "sa", ("bright",), STUB.name, 2

    def __init__(self, flags: Path):
        self.flags = flags
        self.seen = []

    def predict_many(self, images, names):
        return [self._predict(*each) for each in zip(images, names, strict=True)]

    def _predict(self, image, name):
        self.seen.append(name)
        name = Path(name).name
        study = name.rpartition("_")[0]
        earlier = len(list(self.flags.glob(f"{study}.*")))
        if earlier < (1 if "once" in study else 2 if "twice" in study else 99):
            self.flags.mkdir(exist_ok=True, parents=True)
            (self.flags / f"{study}.{earlier}").touch()
            _fault(study)
        y, x = np.unravel_index(image.pixels.argmax(), image.pixels.shape)
        radii = {"50": 1.00049, "90": 2.0, "95": 3.0}
        landmark = Landmark("bright", x + 0.12345, float(y), 1.23456, True, radii)
        recognised = "strange" not in name
        return Prediction(
            name, "sa", self.name, image.pixel_spacing, recognised, (landmark,)
        )


def _fault(name):
    if "abort" in name:
        os.abort()
    if "kill" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "term" in name:
        os.kill(os.getpid(), signal.SIGTERM)
    if "freeze" in name:
        os.kill(os.getpid(), signal.SIGSTOP)
    if "raise" in name:
        raise RuntimeError("a library did not think of this")
    if "slow" in name:
        time.sleep(0.3)


@functools.cache
def _tools(folder):
    return load_manifest(folder), {"sa": Stub(folder.parent / "flags")}, Sandbox()


def do_with_stub(folder, shard):
    """What `worker.do_shard` does, with the stub."""
    return run_shard(folder, shard, *_tools(folder))


def landmarks(folder):
    """All rows of all parts."""
    paths = sorted((folder / "parts").glob("*.parquet"))
    return [row for path in paths for row in parquet.read_table(path).to_pylist()]


def images(folder):
    """File names of the images with rows, in the order of the rows."""
    return [Path(row["image"]).name for row in landmarks(folder)]


def files_of(names, count=2):
    return [f"{name}_{number}.dcm" for name in names for number in range(count)]


def failed(folder, manifest):
    """Names of the files in errors."""
    errors = summarise(folder, manifest).record.errors
    return [Path(file).name for _, file, _ in errors]


def wait_for(condition, seconds=60):
    """Waits until it is true, and fails where it does not become so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def part_bytes(folder, shards):
    return [part(folder, shard).read_bytes() for shard in range(shards)]
