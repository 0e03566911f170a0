"""A folder of 300 files, from the disk to landmarks, against the bare graph.

    python benchmarks/speed/cine_speed.py --model models/phdnet_4ch
        --source bivme_4ch/DICOM

The folder is a cine whose phases are repeated, as twelve slices, until there are 300
files. Both sides are timed in turn, several times, for the machine's speed varies.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from phdnet_tf.startup import load_tensorflow

load_tensorflow()

import pydicom
from pydicom.uid import generate_uid

from phdnet_tf.dicom.read import read_image
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.dicom.survey import survey
from phdnet_tf.inference.many_images import plan, predict_jobs
from phdnet_tf.inference.predictor import Predictor


def fill(folder: Path, source: Path, count: int) -> list[Path]:
    """Copies of a cine, each file an image of its own, at another place a cine."""
    phases = sorted(path for path in source.iterdir() if path.is_file())
    paths = []
    for number in range(count):
        ds = pydicom.dcmread(phases[number % len(phases)])
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, z + 8 * (number // len(phases))]
        paths.append(folder / f"image_{number:03d}.dcm")
        ds.save_as(paths[-1])
    return paths


def resident() -> float:
    """Memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Prints the times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model)
    view = predictor.view
    with tempfile.TemporaryDirectory() as name, Sandbox() as sandbox:
        paths = fill(Path(name), arguments.source, arguments.files)
        images = [read_image(path) for path in paths]
        predictor.predict(images[0])
        ratios, survey_share = [], []
        for _ in range(arguments.repeats):
            started = time.perf_counter()
            for image in images:
                predictor.predict(image)
            bare = time.perf_counter() - started

            memory = []
            started = time.perf_counter()
            found = survey([Path(name)], sandbox)
            looked = time.perf_counter() - started
            planned = plan(found.cines, [view], view, "all")
            steps = predict_jobs(planned.jobs, {view: predictor}, sandbox)
            for number, _ in enumerate(steps, 1):
                if number % 100 == 0:
                    memory.append(resident())
            whole = time.perf_counter() - started
            ratios.append(bare / whole)
            survey_share.append(looked)
            print(
                f"bare graph {bare:.2f} s; folder {whole:.2f} s, of it {looked:.2f} s "
                f"to read the headers; speed {bare / whole:.2f}, without the headers "
                f"{bare / (whole - looked):.2f}; memory at each 100 files "
                + ", ".join(f"{m:.0f}" for m in memory)
                + " MB"
            )
    print(
        f"median of the speed against the bare graph: {statistics.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
