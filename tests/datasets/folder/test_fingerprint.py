import os
import shutil

import pydicom
import pytest
from support.folders import replace, write, write_table

from phdnet_tf.datasets.folder.check import inspect
from phdnet_tf.datasets.folder.fingerprint import content, fingerprint
from phdnet_tf.datasets.folder.folds import write_folds


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
    assert content(inspect(copy)) == content(inspect(folder))


@pytest.mark.parametrize("change", ["cell", "pixels", "spacing", "orientation"])
def test_the_content_changes_with_the_table_and_what_images_hold(folder, change):
    before = content(inspect(folder))
    if change == "cell":
        replace(folder, "s4/a.dcm,4", "s4/a.dcm,5")
    elif change == "pixels":
        write(folder / "DICOM/s3/a.dcm", seed=30)
    elif change == "orientation":
        ds = pydicom.dcmread(folder / "DICOM/s3/a.dcm")
        ds.ImageOrientationPatient = [1, 0, 0, 0, -1, 0]
        ds.save_as(folder / "DICOM/s3/a.dcm")
    else:
        write(folder / "DICOM/s3/a.dcm", seed=3, spacing=(1.5, 1.25))

    assert content(inspect(folder)) != before


def resave(folder, change):
    """The same table and images, in another file."""
    table = folder / "landmarks.csv"
    header, *rows = (line.split(",") for line in table.read_text().splitlines())
    if change == "line ends":
        table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))
    elif change == "byte order mark":
        table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    elif change == "semicolons":
        table.write_text(table.read_text().replace(",", ";").replace(".5", ",5"))
    elif change == "decimals":
        replace(folder, ",7.5", ",7.500")
    elif change == "order of the columns":
        write_table(folder, *(",".join(row[::-1]) for row in (header, *rows)))
    elif change == "a column of text":
        write_table(folder, *(",".join([*row, "site"]) for row in (header, *rows)))
    elif change == "written folds":
        inspection = inspect(folder)
        write_folds(folder, inspection.table, inspection.folds)
    elif change == "compressed images":
        for path in folder.rglob("*.dcm"):
            ds = pydicom.dcmread(path)
            ds.compress(pydicom.uid.RLELossless)
            ds.save_as(path)
    else:
        for path in folder.rglob("*.dcm"):
            ds = pydicom.dcmread(path)
            ds.PatientID, ds.SOPInstanceUID = "anonymous", pydicom.uid.generate_uid()
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.save_as(path)


@pytest.mark.parametrize(
    "change",
    [
        "line ends",
        "byte order mark",
        "semicolons",
        "decimals",
        "order of the columns",
        "a column of text",
        "written folds",
        "compressed images",
        "anonymised images",
    ],
)
def test_the_content_stays_while_the_table_says_the_same(folder, change):
    header, *rows = (folder / "landmarks.csv").read_text().splitlines()
    write_table(folder, f"{header},crux_x,crux_y", *(f"{row},3,4" for row in rows))
    before = content(inspect(folder))
    bytes_before = {path: path.read_bytes() for path in folder.rglob("*.*")}

    resave(folder, change)

    assert bytes_before != {path: path.read_bytes() for path in folder.rglob("*.*")}
    assert content(inspect(folder)) == before


@pytest.mark.parametrize("change", ["subject", "fold", "landmark", "row", "absent"])
def test_the_content_changes_with_what_the_table_says(folder, change):
    before = content(inspect(folder))
    if change == "subject":
        replace(folder, "s4,", "s04,")
    elif change == "fold":
        inspection = inspect(folder)
        write_folds(folder, inspection.table, inspection.folds | {"s4": 7})
    elif change == "landmark":
        replace(folder, "apex", "crux")
    elif change == "row":
        replace(folder, "s8,DICOM/s8/a.dcm,8,7.5\n", "")
    else:
        replace(folder, "s4/a.dcm,4,7.5", "s4/a.dcm,,")

    assert content(inspect(folder)) != before
