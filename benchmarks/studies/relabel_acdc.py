"""ACDC's landmarks derived anew from its masks, for images that are DICOM already.

    python benchmarks/studies/relabel_acdc.py acdc_sa --masks acdc_masks --output new

The new folder has the same rows in the same order, the folds of the old one written
down, and links to its images. Slice k of `acdc_masks/patient001/ED.nii.gz`, from 0,
belongs to `DICOM/patient001/ED_slice<k>.dcm`. The table at the end says by landmark how
far each label moved, and what it was for: how far it is from the middle of those in the
two slices beside it (as in `labels.py`), before and after.
"""

import argparse
import csv
import re
from pathlib import Path

import nibabel
import numpy as np
from labels import jumps
from results import print_header

from phdnet_tf.datasets.acdc.landmarks import UP, derive_landmarks
from phdnet_tf.datasets.folder.check import inspect
from phdnet_tf.datasets.folder.folds import assign_folds
from phdnet_tf.dicom.read import read_image
from phdnet_tf.files import unfinished_folder
from phdnet_tf.presets import VIEWS

README = """\
{images} mid-ventricular short-axis images of {subjects} subjects of the ACDC challenge
(Bernard et al., IEEE TMI 2018; non-commercial research; cite it), as in {data}.
What changed: landmarks.csv was derived anew from the expert masks by phdnet-tf. The
inferior RV lateral reflection is no longer the RV's one most extreme pixel, but the
mean of its smoothed outline's points within 1.4 mm of the extreme; the insertions are
as before but in {moved} images, in which a rule for stray pixels moved them. The column
fold has the folds that the images had without it.
"""


def main() -> None:
    """Writes the folder, and prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="from 'phdnet-tf dataset import acdc'")
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    options = parser.parse_args()
    if options.output.exists():
        raise SystemExit(f"{options.output}: expected a new folder. Choose another.")

    inspection = inspect(options.data, "sa")
    hashes = {name: facts.content_hash for name, facts in inspection.images.items()}
    folds = assign_folds(inspection.table, hashes)
    columns = [f"{name}_{axis}" for name in VIEWS["sa"] for axis in "xy"]
    with open(options.data / "landmarks.csv", newline="") as file:
        rows = list(csv.DictReader(file))

    before, after = {}, {}
    stacks: dict[str, np.ndarray] = {}
    for row in rows:
        name = f"{row['subject']}/{Path(row['image']).name[:2]}"
        if name not in stacks:
            stack = nibabel.load(options.masks / f"{name}.nii.gz")
            stacks[name] = np.asarray(stack.dataobj)
        index = int(re.search(r"_slice(\d+)\.dcm", row["image"])[1])
        image = read_image(options.data / row["image"])
        mask = stacks[name][:, :, index].T
        if mask.shape != image.pixels.shape:
            raise SystemExit(
                f"{row['image']}: expected a mask of its size, {image.pixels.shape}. "
                f"Received: {mask.shape}, slice {index} of {name}.nii.gz."
            )
        across, down = np.reshape(image.orientation, (2, 3))
        points = derive_landmarks(mask, image.pixel_spacing, (UP @ across, UP @ down))
        old = np.reshape([float(row[column]) for column in columns], (-1, 2))
        size = np.array(image.pixel_spacing)[::-1]
        before[name, index], after[name, index] = old * size, points * size
        cells = [f"{value:.2f}" for value in points.ravel()]
        row.update(zip(columns, cells, strict=True), fold=folds[row["subject"]])

    moved = np.array([np.linalg.norm(after[k] - before[k], axis=-1) for k in before])
    with unfinished_folder(options.output) as partial:
        (partial / "DICOM").symlink_to((options.data / "DICOM").resolve())
        with open(partial / "landmarks.csv", "w", newline="") as file:
            table = csv.DictWriter(file, [*rows[0]], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        (partial / "README.md").write_text(
            README.format(
                images=len(rows),
                subjects=len(folds),
                data=options.data.resolve().name,
                # Closer than the table's two decimals is the same.
                moved=(moved[:, :2] > 0.02).any(axis=1).sum(),
            )
        )
        partial.rename(options.output)

    print_header("landmark", "moved", "most", "jump before", "jump after", "labels")
    ways = [np.stack(list(jumps(places).values())) for places in (before, after)]
    for k, landmark in enumerate(VIEWS["sa"]):
        both = ways[0][:, k, 1] == 2
        old, new = (np.median(way[both, k, 0]) for way in ways)
        print(
            f"| {landmark} | {(moved[:, k] > 0.02).mean():.0%} | "
            f"{moved[:, k].max():.1f} mm | {old:.2f} mm | {new:.2f} mm | {both.sum()} |"
        )


if __name__ == "__main__":
    main()
