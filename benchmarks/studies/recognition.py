"""Which images a model recognises: right ones, other views, no hearts at all.

    python benchmarks/studies/recognition.py --model models/phdnet_sa --right acdc_sa
        --wrong bivme_4ch

Of the right folder, whose columns name the model's landmarks, the images are taken
that the model has not learnt from. No DICOM file below a wrong folder should be
recognised, and none of pydicom's test files, of drawn noise, emptiness and water.
"""

import argparse
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
from results import print_header
from scipy import ndimage

from phdnet_tf.config import FOLDS
from phdnet_tf.startup import load_tensorflow

SPACING = (1.4, 1.4)
"""Of images that tell none, in mm."""

Image = tuple[np.ndarray, tuple[float, float]]


def pydicom_files() -> Iterator[Image]:
    """The first frame of every different image among pydicom's test files."""
    # Of what is broken on purpose pydicom says much, with tracebacks.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="pydicom")
    seen = set()
    for file in sorted(pydicom.data.get_testdata_files()):
        try:
            ds = pydicom.dcmread(file)
            pixels = ds.pixel_array
        except Exception:  # noqa: BLE001, S112 - many of them are broken on purpose.
            continue
        if ds.get("SamplesPerPixel", 1) > 1:
            pixels = pixels.mean(axis=-1)
        if pixels.ndim == 3:
            pixels = pixels[0]
        pixels = pixels.astype(np.float32)
        if min(pixels.shape) < 16 or pixels.tobytes() in seen:
            continue
        seen.add(pixels.tobytes())
        spacing = tuple(map(float, ds.get("PixelSpacing") or SPACING))
        plausible = 0.02 <= min(spacing) <= max(spacing) <= 20
        yield pixels, spacing if plausible else SPACING


def noise() -> Iterator[Image]:
    """Normal, Rician and smooth noise."""
    rng = np.random.default_rng(0)
    for number in range(10):
        yield rng.normal(100, 20, (200, 200)), SPACING
        yield np.abs(rng.normal(0, 20, (256, 216))), SPACING
        smooth = ndimage.gaussian_filter(rng.normal(0, 1, (200, 200)), 3 + number)
        yield smooth * 1000 + 500, SPACING


def bottles() -> Iterator[Image]:
    """Nothing, and round bottles of water."""
    rng = np.random.default_rng(0)
    yield np.zeros((200, 200)), SPACING
    yield np.full((200, 200), 700.0), SPACING
    y, x = np.mgrid[:200, :200]
    for radius in (30, 50, 80):
        disc = ((x - 100) ** 2 + (y - 100) ** 2 < radius**2) * 500
        yield disc + rng.normal(0, 10, (200, 200)), SPACING


def main() -> None:
    """Prints, for each kind of image, how many are recognised, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--right", type=Path, help="default: the phantom")
    parser.add_argument("--wrong", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    load_tensorflow()
    import tensorflow as tf

    from phdnet_tf.datasets.annotated import open_dataset
    from phdnet_tf.dicom.read import read_image
    from phdnet_tf.evaluation.unseen import Unseen
    from phdnet_tf.export.description import load_description
    from phdnet_tf.export.saved_model import load_signatures
    from phdnet_tf.export.seen_images import load_seen_images
    from phdnet_tf.export.versions import resolve_version
    from phdnet_tf.trust.recognition import image_confidence

    version = resolve_version(options.model)
    locate = load_signatures(version)["serving_default"]
    view = load_description(version)["view"]

    def folder(path: Path) -> Iterator[Image]:
        for file in sorted(path.rglob("*.dcm")):
            image = read_image(file)
            yield image.pixels, image.pixel_spacing

    def right() -> Iterator[Image]:
        source = open_dataset(options.right, view)
        examples = source.examples([*range(FOLDS)], source.landmarks)
        seen = load_seen_images(version)
        for example in Unseen(examples.as_numpy_iterator(), seen):
            yield example["image"], example["pixel_spacing"]

    kinds = [
        (f"right: {view}, not learnt from", right()),
        *((path.resolve().name, folder(path)) for path in options.wrong),
        ("pydicom's test files", pydicom_files()),
        ("noise", noise()),
        ("nothing, water", bottles()),
    ]
    print_header("images", "number", "recognised", "image confidence, median")
    for kind, images in kinds:
        recognised, confidence = [], []
        for pixels, spacing in images:
            found = locate(
                image=tf.constant(pixels[None], tf.float32),
                pixel_spacing=tf.constant([spacing], tf.float32),
            )
            recognised.append(bool(found["recognised"][0]))
            confidence.append(image_confidence(found["confidence"].numpy())[0])
        print(
            f"| {kind} | {len(recognised)} | {sum(recognised)} "
            f"({np.mean(recognised):.1%}) | {np.median(confidence):.3f} |"
        )


if __name__ == "__main__":
    main()
