"""The same answer by every way, on real images; and how long a restart takes.

    python benchmarks/speed/serving_proof.py --models models --sa acdc_sa
        --4ch bivme_4ch

Every way is compared with `Predictor`, which is `phdnet-tf predict`: the C++
runtime that TF Serving loads models with, and `phdnet-tf serve` as a process of its
own. The folders are searched for `*.dcm`. Prints tables of `docs/results/serving.md`.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

# First, because it loads TensorFlow as a command does.
from serving import ServerProcess, serving

from phdnet_tf.client.client import Client
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.read import read_image
from phdnet_tf.inference.predictor import Predictor
from phdnet_tf.inference.results import Prediction
from phdnet_tf.presets import VIEWS

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from support.runtime import Runtime, build

AT_ONCE = 16


def images_of(folder: Path, count: int) -> list[MRImage]:
    """Images of a folder, from all of it."""
    files = sorted(folder.rglob("*.dcm"))
    if not files:
        raise SystemExit(f"{folder}: found no *.dcm. Give a folder of DICOM files.")
    places = np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)
    return [read_image(files[place]) for place in places]


def numbers(predictions: list[Prediction]) -> np.ndarray:
    """float64[B, L, 4]: x and y in pixels, confidence, whether it is high."""
    return np.array(
        [
            [(m.x, m.y, m.confidence, m.high_confidence) for m in each.landmarks]
            for each in predictions
        ]
    )


def ways(
    server: ServerProcess, predictor: Predictor, images: list[MRImage]
) -> Iterator[tuple[str, np.ndarray]]:
    """The name of each way to ask, and what it gives, as `numbers` has it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # Moved, so that nothing can be found where the model was exported.
        version = folder / "moved" / "7"
        shutil.copytree(predictor.version, version)
        found = Runtime(build(folder), version, folder).run(
            (
                "serving_default",
                {"image": each.pixels[None], "pixel_spacing": [each.pixel_spacing]},
            )
            for each in images
        )
        keys = "confidence", "high_confidence"
        yield (
            "C++ runtime without Python, XLA disabled",
            np.array(
                [
                    np.column_stack([o["landmarks"][0], *(o[key][0] for key in keys)])
                    for o in found
                ]
            ),
        )
    for name, address in (("REST", server.rest), ("gRPC", f"grpc://{server.grpc}")):
        with Client(address, predictor.view) as client:
            answers = [client.predict(each) for each in images]
            yield f"{name}, one by one", numbers(answers)
            together = client.predict_many(images, [""] * len(images))
            yield (
                f"{name}, in batches",
                numbers([each for each in together if isinstance(each, Prediction)]),
            )
    with (
        Client(f"grpc://{server.grpc}", predictor.view) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        answers = list(pool.map(client.predict, images))
        yield f"gRPC, {AT_ONCE} at once, which the server merges", numbers(answers)


def equality(models: Path, folders: dict[str, Path], count: int) -> None:
    """Prints the largest differences of every way, for each view."""
    with serving(models) as server:
        for view, folder in folders.items():
            predictor = Predictor(models / f"phdnet_{view}")
            images = images_of(folder, count)
            wanted = numbers([predictor.predict(each) for each in images])
            print(f"\n{predictor.name}, {len(images)} images of {folder.name}:\n")
            print("| | px | confidence | high confidence that differs |")
            print("| --- | --- | --- | --- |")
            for name, found in ways(server, predictor, images):
                apart = np.abs(found - wanted)
                print(
                    f"| {name} | {apart[..., :2].max():.2g} "
                    f"| {apart[..., 2].max():.1g} "
                    f"| {int(apart[..., 3].sum())} of {apart[..., 3].size} |",
                    flush=True,
                )


def restarts(models: Path, count: int) -> None:
    """Prints how long after `kill -9` the server answers again."""
    print("\n| from the command to the first answer, s | of the processor, s | load |")
    print("| --- | --- | --- |")
    server = ServerProcess(models)
    for _ in range(count):
        server.end(signal.SIGKILL)
        load = os.getloadavg()[0]
        server = ServerProcess(models)
        print(
            f"| {server.start_seconds:.1f} | {server.start_cpu_seconds:.1f} "
            f"| {load:.1f} |",
            flush=True,
        )
    server.end()


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True, help="of both views")
    for view in VIEWS:
        parser.add_argument(f"--{view}", type=Path, required=True, help="DICOM files")
    parser.add_argument("--images", type=int, default=33, help="at most, of each")
    parser.add_argument("--restarts", type=int, default=5)
    arguments = parser.parse_args()
    folders = {view: getattr(arguments, view) for view in VIEWS}
    equality(arguments.models, folders, arguments.images)
    restarts(arguments.models, arguments.restarts)


if __name__ == "__main__":
    main()
