import os
import shutil

import pytest
from support.folders import replace, write

from phdnet_tf.datasets.folder.check import inspect
from phdnet_tf.datasets.folder.fingerprint import content, fingerprint


def test_the_fingerprint_stays_if_nothing_changes(folder):
    (folder / "notes.txt").touch()
    assert fingerprint(folder) == fingerprint(folder)


@pytest.mark.parametrize("change", ["cell", "image", "touch", "gone"])
def test_the_fingerprint_changes_with_the_table_and_the_images(folder, change):
    before = fingerprint(folder)
    image = folder / "DICOM/s3/a.dcm"
    if change == "cell":
        replace(folder, "s4/a.dcm,4", "s4/a.dcm,5")
    elif change == "image":
        status = image.stat()
        write(image, seed=3, shape=(17, 20))
        os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "touch":
        os.utime(image, (1, 1))
    else:
        image.unlink()

    assert fingerprint(folder) != before


def test_a_copy_has_the_same_content(folder, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy") / "data"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)

    assert fingerprint(copy) != fingerprint(folder)
    assert content(copy, inspect(copy)) == content(folder, inspect(folder))


@pytest.mark.parametrize("change", ["cell", "pixels", "spacing"])
def test_the_content_changes_with_the_table_pixels_and_spacing(folder, change):
    before = content(folder, inspect(folder))
    if change == "cell":
        replace(folder, "s4/a.dcm,4", "s4/a.dcm,5")
    elif change == "pixels":
        write(folder / "DICOM/s3/a.dcm", seed=30)
    else:
        write(folder / "DICOM/s3/a.dcm", seed=3, spacing=(1.5, 1.25))

    assert content(folder, inspect(folder)) != before
