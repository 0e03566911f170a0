"""Drawn subjects of the ACDC challenge, as it is distributed."""

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from phdnet_tf.cli import main
from support.folders import DATA

RAW = DATA / "acdc_raw"
REFERENCE = DATA / "acdc_sa"

with_data = pytest.mark.skipif(not RAW.is_dir(), reason=f"real images: no {RAW}")

# An LV of 13 x 21 pixels with a wall of 3, and left of it an RV of 8 columns. They
# touch between columns 11 and 12, along rows 8 to 20.
DRAWN = np.zeros((32, 40), np.uint8)
DRAWN[4:25, 12:25] = 2
DRAWN[7:22, 15:22] = 3
DRAWN[8:21, 4:12] = 1

# Myocardium touches the RV, by a corner, in rows 7 to 21. Half way from (12, 7) to its
# nearest pixel of the RV, (11, 8), is (11.5, 7.5). The septum runs straight down, so
# the lateral reflection is at the RV's bottom left corner, of edges x = 3.5, y = 20.5.
# Smoothed by 1 mm, a straight edge leaves 0.201 in the first pixel outside, 0.799 and
# 0.993 in the first two inside; at a corner they multiply. So half a pixel inwards of
# one edge the values beside the other are 0.161 and 0.638, and 0.5 is crossed 0.21
# pixels inwards of it; 1.5 pixels inwards, of 0.200 and 0.793, 0.006 inwards. These
# two and their mirror images count, the next ones are more than 1.4 mm less extreme.
# Their mean is (0.5 + 1.5 + 0.21 + 0.006) / 4 = 0.554 inwards of both edges.
POINTS = [[11.5, 7.5], [11.5, 20.5], [4.054, 19.946]]
TOP = (0.0, -1.0)
SPACING = (1.5, 1.5)

# Straight down the septum is the y axis: head and front are at the top of the image.
STRAIGHT = np.diag([-1.5, -1.5, 8, 1])


def stack(slices=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1000, (40, 32, slices)).astype(np.int16)


def masks(slices=6):
    return np.repeat(DRAWN.T[:, :, None], slices, axis=2)


def save(path, voxels, affine=STRAIGHT, zooms=None, code=1):
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=code)
    image.set_qform(None, code=0)
    if zooms:
        image.header.set_zooms(zooms)
    nibabel.save(image, path)


def write_subject(source, name="patient001", suffix=".nii.gz", seed=0, **kwargs):
    folder = source / name
    folder.mkdir(parents=True)
    (folder / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: DCM\nHeight: 184.0\n")
    for phase, frame in enumerate(("01", "12")):
        stem = folder / f"{name}_frame{frame}"
        save(f"{stem}{suffix}", stack(seed=[seed, phase]), **kwargs)
        save(f"{stem}_gt{suffix}", masks(), **kwargs)
    return folder


def bytes_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(*arguments):
    return CliRunner().invoke(
        main,
        ["dataset", "import", "acdc", *map(str, arguments)],
        catch_exceptions=False,
    )


def without(label):
    return np.where(DRAWN == label, 0, DRAWN)
