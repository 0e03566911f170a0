"""ASPIRE-style folders of noise, such as the dummy data of the TFDS builder."""

from pathlib import Path

import numpy as np

from phdnet_tf.config import FOLDS
from phdnet_tf.dicom.write import write_image
from phdnet_tf.presets import VIEWS

DUMMY_DATA = Path(__file__).parents[2] / "datasets" / "aspire_cmr" / "dummy_data"
EVERY_FOLD = "+".join(f"fold_{fold}" for fold in range(FOLDS))


def make_source(folder, landmarks=VIEWS["sa"], subjects=FOLDS, seed="dummy"):
    """An ASPIRE-style folder of noise, with the first landmark of the first row absent.

    Run this file to write the package's dummy data anew.
    """
    header = ["subject", "image"]
    header += [f"{name}_{axis}" for name in landmarks for axis in "xy"]
    lines = [",".join(header)]
    for number in range(1, subjects + 1):
        subject = f"subject_{number}"
        image = f"DICOM/{subject}/phase_1.dcm"
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng([number, *seed.encode()])
        height, width = 15 + number, 14 + 2 * number
        write_image(
            folder / image,
            generator.integers(0, 4096, (height, width), np.uint16),
            (1 + number / 8, 1.5),
            uid_seed=seed,
            series_description="drawn",
            patient_id=subject,
        )
        points = generator.integers(0, 10, 2 * len(landmarks)).astype(str)
        if number == 1:
            points[:2] = ""
        lines.append(",".join([subject, image, *points]))
    (folder / "landmarks.csv").write_text("\n".join(lines) + "\n")
    return folder


def examples(builder, split=EVERY_FOLD):
    found = builder.as_dataset(split=split).as_numpy_iterator()
    return {example["image_id"].decode(): example for example in found}


def move_landmark(folder, cell):
    """Writes another x for the last landmark of the last subject."""
    table = folder / "landmarks.csv"
    lines = table.read_text().splitlines()
    cells = lines[-1].split(",")
    cells[-2] = cell
    table.write_text("\n".join([*lines[:-1], ",".join(cells)]) + "\n")


if __name__ == "__main__":
    for name, landmarks in VIEWS.items():
        make_source(DUMMY_DATA / name, landmarks, seed=name)
