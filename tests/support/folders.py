"""Drawn ASPIRE-style folders, and what the check says of them."""

from pathlib import Path

import numpy as np
import pytest

from phdnet_tf.datasets.folder.check import check
from phdnet_tf.dicom.write import write_image

DATA = Path(__file__).parents[3] / "shared" / "data"
HEADER = "subject,image,apex_x,apex_y"

with_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"real images: no {DATA}")


def write(path, seed, spacing=(1.5, 1.5), shape=(16, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 4096, shape, np.uint16)
    write_image(
        path,
        pixels,
        spacing,
        uid_seed="test",
        series_description="drawn",
        patient_id="phantom",
    )


def write_table(folder, *lines, name="landmarks.csv", encoding="utf-8"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n", encoding=encoding)
    return folder


def append(folder, *lines):
    with (folder / "landmarks.csv").open("a") as table:
        table.writelines(f"{line}\n" for line in lines)


def replace(folder, old, new):
    table = folder / "landmarks.csv"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))


def lines(folder, view=None):
    return [f"{p.severity}: {p}" for p in check(folder, view)]


def the_problem(folder, view=None):
    """The only problem of a folder, as one line."""
    (line,) = lines(folder, view)
    assert "\n" not in line
    return line
