import csv
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from support.acdc import (
    POINTS,
    RAW,
    REFERENCE,
    bytes_of,
    masks,
    run,
    save,
    stack,
    with_data,
    without,
    write_subject,
)

from phdnet_tf.datasets.acdc.importer import find_subjects, import_folder, read_subject
from phdnet_tf.datasets.folder.check import inspect
from phdnet_tf.datasets.folder.folds import assign_folds
from phdnet_tf.datasets.folder.table import read_table
from phdnet_tf.dicom.read import read_image
from phdnet_tf.presets import VIEWS


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ([""], ""),
        (["training", "testing"], ""),
        (["database/training", "database/testing"], ""),
        (["database/training"], "database/training"),
    ],
)
def test_every_layout_of_the_challenge_is_found(tmp_path, parts, named):
    for number, part in enumerate(parts):
        (tmp_path / part / f"patient10{number}").mkdir(parents=True)
        (tmp_path / part / "MANDATORY_CITATION.md").touch()

    found = find_subjects(tmp_path / named)

    assert [path.name for path in found] == [f"patient10{n}" for n in range(len(parts))]


def test_a_folder_without_subjects_and_one_with_twice_the_same_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected the folders patient001, patient002"):
        find_subjects(tmp_path)
    for part in ("training", "database/training"):
        (tmp_path / part / "patient001").mkdir(parents=True)
    with pytest.raises(ValueError, match="expected each subject once. Received:"):
        find_subjects(tmp_path)


def test_uncompressed_stacks_give_the_same_folder(tmp_path):
    write_subject(tmp_path / "a")
    write_subject(tmp_path / "b", suffix=".nii")

    for name in "ab":
        import_folder(tmp_path / name, tmp_path / f"{name}_out")

    assert bytes_of(tmp_path / "a_out") == bytes_of(tmp_path / "b_out")


def test_the_folder_is_an_aspire_style_one(tmp_path):
    for number in range(1, 9):
        write_subject(tmp_path / "acdc/training", f"patient{number:03d}", seed=number)

    report = import_folder(tmp_path / "acdc", tmp_path / "out")

    inspection = inspect(tmp_path / "out", "sa")
    assert inspection.problems == []
    assert inspection.table.landmarks == VIEWS["sa"]
    assert len(inspection.images) == report.images == 48  # 3 slices, 2 phases
    for row in inspection.table.rows:
        np.testing.assert_allclose(row.points, POINTS, atol=5e-3)
    with open(tmp_path / "out/landmarks.csv", newline="") as file:
        assert {row["group"] for row in csv.DictReader(file)} == {"DCM"}


def test_nothing_but_the_name_of_the_folder_tells_the_subject(tmp_path):
    folder = write_subject(tmp_path / "acdc")
    for path in folder.glob("*.nii.gz"):
        image = nibabel.load(path)
        image.header["descrip"] = b"Jane Doe 1950-01-01"
        image.header["db_name"] = b"Jane Doe"
        nibabel.save(image, path)

    import_folder(tmp_path / "acdc", tmp_path / "out")

    for name, content in bytes_of(tmp_path / "out").items():
        assert b"Jane" not in content and b"184" not in content.split(b"\xe0\x7f")[0]
        if name.endswith(".dcm"):
            ds = pydicom.dcmread(tmp_path / "out" / name)
            assert ds.PatientID == "patient001"
            assert not ds.PatientName and not ds.StudyDate and not ds.PatientBirthDate


def test_a_scan_under_two_names_stays_in_one_fold(tmp_path):
    # patient074 and patient076 of ACDC are one scan, segmented twice.
    for number in range(1, 9):
        write_subject(tmp_path / "acdc", f"patient{number:03d}", seed=number)
    twin = write_subject(tmp_path / "acdc", "patient009", seed=4)
    mask = masks()
    mask[:, 8:10][mask[:, 8:10] == 1] = 0
    save(twin / "patient009_frame01_gt.nii.gz", mask)

    import_folder(tmp_path / "acdc", tmp_path / "out")

    inspection = inspect(tmp_path / "out", "sa")
    (problem,) = inspection.problems
    assert "subjects patient004 and patient009 share a scan" in problem.message
    hashes = {name: facts.content_hash for name, facts in inspection.images.items()}
    folds = assign_folds(inspection.table, hashes)
    assert folds["patient004"] == folds["patient009"]
    assert len(set(folds.values())) == 8


def test_importing_again_gives_the_same_bytes_and_touches_nothing(tmp_path):
    write_subject(tmp_path / "acdc")
    import_folder(tmp_path / "acdc", tmp_path / "out")
    import_folder(tmp_path / "acdc", tmp_path / "other")
    (tmp_path / "out/notes.txt").write_text("mine")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}

    report = import_folder(tmp_path / "acdc", tmp_path / "out")

    assert report.unchanged
    assert times == {path: p.st_mtime_ns for path in times for p in [path.stat()]}
    (tmp_path / "out/notes.txt").unlink()
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "other")
    assert sorted(os.listdir(tmp_path)) == ["acdc", "other", "out"]


def fill_with_other_files(out):
    out.mkdir()
    (out / "thesis.docx").write_text("years of work")


def correct_a_point(out):
    table = out / "landmarks.csv"
    table.write_text(table.read_text().replace("11.50,7.50", "12.00,7.00", 1))


def lose_an_image(out):
    (out / "DICOM/patient001/ED_slice02.dcm").unlink()


@pytest.mark.parametrize(
    "change", [fill_with_other_files, correct_a_point, lose_an_image]
)
def test_a_folder_with_anything_else_is_left_as_it_is(tmp_path, change):
    write_subject(tmp_path / "acdc")
    out = tmp_path / "out"
    if change is not fill_with_other_files:
        import_folder(tmp_path / "acdc", out)
    change(out)
    before = bytes_of(out)

    result = run(tmp_path / "acdc", out)

    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert "Received other content. Choose another folder" in line
    assert bytes_of(out) == before
    assert sorted(os.listdir(tmp_path)) == ["acdc", "out"]


def test_a_subject_that_broke_since_is_named_where_a_folder_is_refused(tmp_path):
    for name in ("patient001", "patient002"):
        write_subject(tmp_path / "acdc", name)
    import_folder(tmp_path / "acdc", tmp_path / "out")
    before = bytes_of(tmp_path / "out")
    (tmp_path / "acdc/patient002/Info.cfg").unlink()

    with pytest.raises(ValueError, match="skipped this time: 1; patient002: Info.cfg"):
        import_folder(tmp_path / "acdc", tmp_path / "out")

    assert bytes_of(tmp_path / "out") == before


def test_stopping_midway_leaves_nothing(tmp_path):
    for name in ("patient001", "patient002"):
        write_subject(tmp_path / "acdc", name)

    def stop():
        # What is written so far is hidden, and does not look whole.
        (partial,) = (p for p in tmp_path.iterdir() if p.name != "acdc")
        assert partial.name.startswith(".unfinished-")
        assert any(partial.rglob("*.dcm"))
        assert not (partial / "landmarks.csv").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_folder(tmp_path / "acdc", tmp_path / "out", on_subject=stop)

    assert os.listdir(tmp_path) == ["acdc"]


# Bad input


def no_masks(folder):
    for path in folder.glob("*_gt.nii.gz"):
        path.unlink()


def cut_off(folder):
    path = folder / "patient002_frame12.nii.gz"
    path.write_bytes(path.read_bytes()[:5000])


def cut_off_uncompressed(folder):
    stem = folder / "patient002_frame12"
    stem.with_suffix(".nii.gz").unlink()
    save(stem.with_suffix(".nii"), stack())
    os.truncate(stem.with_suffix(".nii"), 3000)


def not_nifti(folder):
    (folder / "patient002_frame01.nii.gz").write_text("404 not found")


def no_info(folder):
    (folder / "Info.cfg").unlink()


def info(text):
    def write(folder):
        (folder / "Info.cfg").write_text(text)

    write.__name__ = text.replace("\n", ", ")
    return write


def voxels(name, values):
    def write(folder):
        save(folder / f"patient002_frame{name}.nii.gz", values)

    return write


HALVES = stack() + np.float32(0.5)
NAN = np.where(stack() == 3, np.nan, stack()).astype(np.float32)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (no_masks, "has no mask patient002_frame01_gt.nii.gz"),
        (cut_off, "patient002_frame12.nii.gz: not readable as NIfTI"),
        (cut_off_uncompressed, "patient002_frame12.nii: not readable as NIfTI"),
        (not_nifti, "patient002_frame01.nii.gz: not readable as NIfTI"),
        (no_info, "Info.cfg cannot be read: No such file"),
        (info("ES: 12\nGroup: DCM"), "'ED: <frame number>'. Received: none"),
        (info("ED: 1"), "'ES: <frame number>'. Received: none"),
        (info("ED: one\nES: 12"), "'ED: <frame number>'. Received: one"),
        (voxels("12_gt", (4 - masks()) % 4), "in another order, such as that of M&Ms"),
        (info("ED: 1\nES: 13"), "has no stack of images patient002_frame13.nii.gz"),
        (voxels("12", HALVES), "whole numbers from 0 to 65535"),
        (voxels("12", NAN), "whole numbers from 0 to 65535"),
        (voxels("12", -stack()), "whole numbers from 0 to 65535"),
        (voxels("12", stack()[:, :, 0]), "a stack of slices, .* Received: 40 x 32"),
        (voxels("12", stack(5)), "mask as large as its images, 40 x 32 x 5"),
        (voxels("12_gt", masks() * 2), "the labels 0 to 3. Received: 6"),
        (voxels("12_gt", masks() * 0), None),
        (voxels("01_gt", masks() * 0), None),
    ],
)
def test_a_damaged_subject_is_named_and_the_others_are_imported(
    tmp_path, damage, reason
):
    for name in ("patient001", "patient002", "patient003"):
        write_subject(tmp_path / "acdc", name)
    damage(tmp_path / "acdc/patient002")

    result = run(tmp_path / "acdc", tmp_path / "out")

    subjects = [row.subject for row in read_table(tmp_path / "out").rows]
    if reason is None:  # one phase without any label: the other one remains
        assert result.exit_code == 0
        assert subjects.count("patient002") == 3
        return
    assert result.exit_code == 1
    skipped, summary = result.stdout.splitlines()
    assert skipped.startswith("subject skipped: patient002: ")
    assert re.search(reason, skipped)
    assert "12 images of 2 subjects; 0 slices left out; 1 subject skipped." in summary
    assert set(subjects) == {"patient001", "patient003"}
    assert not (tmp_path / "out/DICOM/patient002").exists()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_byte_order_mark_in_the_info_is_skipped(tmp_path, line_end):
    folder = write_subject(tmp_path / "acdc")
    text = line_end.join(["ED: 1", "ES: 12", "Group: DCM"])
    (folder / "Info.cfg").write_bytes(b"\xef\xbb\xbf" + text.encode())

    group, slices, _ = read_subject(folder)

    assert group == "DCM" and len(slices) == 6


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("name", ["write_bytes", "mkdir"])
def test_a_disk_that_cannot_be_written_is_one_line_with_the_folder(
    tmp_path, monkeypatch, number, name
):
    write_subject(tmp_path / "acdc")
    out = tmp_path / "out"

    def fail(path, *arguments, **keywords):
        # A full disk names no file, a read-only one its hidden name.
        named = [str(path)] if number == errno.EROFS else []
        raise OSError(number, os.strerror(number), *named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, name, fail)
        result = run(tmp_path / "acdc", out)

    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert line == f"Error: {out}: {os.strerror(number)}."
    assert os.listdir(tmp_path) == ["acdc"]


def test_a_slice_without_landmarks_is_left_out_with_the_reason(tmp_path):
    folder = write_subject(tmp_path / "acdc")
    mask = masks()
    mask[:, :, 2] = without(1).T
    save(folder / "patient001_frame01_gt.nii.gz", mask)

    result = run(tmp_path / "acdc", tmp_path / "out")

    assert result.exit_code == 0  # it is a matter of the mask, not a failure
    left_out, summary = result.stdout.splitlines()
    assert left_out.startswith(
        "slice left out: patient001 ED slice 2: its mask has no RV"
    )
    assert "5 images of 1 subject; 1 slice left out; 0 subjects skipped." in summary
    assert not (tmp_path / "out/DICOM/patient001/ED_slice02.dcm").exists()


def test_a_subject_without_any_landmark_is_skipped_with_a_reason(tmp_path):
    folder = write_subject(tmp_path / "acdc")
    for path in folder.glob("*_gt.nii.gz"):
        save(path, np.where(masks() == 1, 0, masks()).astype(np.uint8))

    result = run(tmp_path / "acdc", tmp_path / "out")

    assert result.exit_code == 1
    assert "ED slice 1: its mask has no RV cavity" in result.stdout
    assert "0 images of 0 subjects" in result.stdout
    assert "nothing was written" in result.stdout
    assert os.listdir(tmp_path) == ["acdc"]


@pytest.mark.parametrize("arguments", [[], ["."], ["nowhere", "out"], [".", __file__]])
def test_a_slip_in_the_command_is_exit_code_two(arguments):
    assert run(*arguments).exit_code == 2


def test_a_source_without_subjects_is_one_line(tmp_path):
    result = run(tmp_path, tmp_path / "out")

    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"Error: {tmp_path}: expected the folders patient001")


def test_importing_needs_no_tensorflow():
    program = (
        "import sys, phdnet_tf.datasets.acdc.importer;"
        "sys.exit(any('tensorflow' in name for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


# The challenge's own files


@with_data
def test_three_subjects_of_acdc_are_those_of_the_reference(tmp_path):
    report = import_folder(RAW, tmp_path / "out")

    assert (report.subjects, report.skipped, report.refused) == (3, (), ())
    table = read_table(tmp_path / "out")
    subjects = {row.subject for row in table.rows}
    expected = [row for row in read_table(REFERENCE).rows if row.subject in subjects]
    assert [row.image for row in table.rows] == [row.image for row in expected]
    for row, reference in zip(table.rows, expected, strict=True):
        np.testing.assert_array_equal(row.points[:2], reference.points[:2])
        image, twin = (read_image(f / row.image) for f in (tmp_path / "out", REFERENCE))
        np.testing.assert_array_equal(image.pixels, twin.pixels)
        assert image.pixel_spacing == twin.pixel_spacing
        # The reference has the RV's extreme pixel, from which the outline's nearly
        # extreme part reaches a few mm to both sides.
        moved = (np.array(row.points) - reference.points)[2] * image.pixel_spacing[::-1]
        assert np.linalg.norm(moved) < 6


@with_data
def test_slices_of_acdc_are_as_far_apart_as_its_header_says(tmp_path):
    import_folder(RAW, tmp_path / "out")

    images = [
        read_image(tmp_path / f"out/DICOM/patient035/ED_slice{k:02d}.dcm")
        for k in (3, 4)
    ]
    lower, upper = (np.array(image.position) for image in images)
    np.testing.assert_allclose(upper - lower, [0, 0, 5])


@with_data
def test_imported_folders_become_folds_of_tfds(tmp_path):
    from phdnet_tf.datasets.aspire_cmr import prepare

    import_folder(RAW, tmp_path / "out")

    builder = prepare(tmp_path / "out", "sa", tmp_path / "cache")

    (first, *others) = builder.as_dataset(split="fold_0").as_numpy_iterator()
    assert len(others) == 5  # patient001
    assert first["image"].shape[:2] == (256, 216)
    np.testing.assert_allclose(first["pixel_spacing"], 1.5625)
    assert not np.isnan(first["landmarks"]).any()
