import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from nibabel.affines import apply_affine
from nibabel.eulerangles import euler2mat

from phdnet_tf.cli import main
from phdnet_tf.datasets.acdc.importer import find_subjects, import_folder, read_subject
from phdnet_tf.datasets.acdc.landmarks import derive_landmarks, mid_ventricular
from phdnet_tf.datasets.folder.check import inspect
from phdnet_tf.datasets.folder.folds import assign_folds
from phdnet_tf.datasets.folder.table import read_table
from phdnet_tf.dicom.read import read_image
from phdnet_tf.presets import VIEWS

DATA = Path(__file__).parents[3] / "shared" / "data"
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
# the lateral reflection is the RV's bottom left corner.
POINTS = [[11.5, 7.5], [11.5, 20.5], [4, 20]]
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


# Landmarks from masks


def test_landmarks_are_where_the_drawn_rv_meets_the_lv():
    np.testing.assert_allclose(derive_landmarks(DRAWN, SPACING, TOP), POINTS)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_landmarks_stay_on_the_anatomy_however_the_image_lies(turns, mirrored):
    def lie(rows):
        rows = np.rot90(rows, turns)
        return rows[:, ::-1] if mirrored else rows

    y, x = (lie(index) for index in np.indices(DRAWN.shape).astype(float))
    # The direction in which the former y falls.
    up = (-(y[0, 1] - y[0, 0]), -(y[1, 0] - y[0, 0]))

    found = derive_landmarks(lie(DRAWN), SPACING, up)

    # Look up where the found point was before: exact, for both are linear.
    former = [
        [x[0, 0] + (x[0, 1] - x[0, 0]) * px + (x[1, 0] - x[0, 0]) * py,
         y[0, 0] + (y[0, 1] - y[0, 0]) * px + (y[1, 0] - y[0, 0]) * py]
        for px, py in found
    ]  # fmt: skip
    np.testing.assert_allclose(former, POINTS)


def test_45_degrees_are_measured_in_mm_not_in_pixels():
    # The lower left edge of this RV runs from (4, 14) to (10, 20), along the diagonal:
    # in pixels both are as far in the direction (-1, 1), -4 + 14 = -10 + 20, so that
    # the spacing decides which is further out.
    mask = DRAWN.copy()
    mask[mask == 1] = 0
    for row in range(8, 21):
        mask[row, 4 + max(0, row - 14) : 12] = 1

    wide = derive_landmarks(mask, (1.5, 1.8), TOP)[2]
    tall = derive_landmarks(mask, (1.8, 1.5), TOP)[2]

    np.testing.assert_allclose(wide, [4, 14])
    np.testing.assert_allclose(tall, [10, 20])


def test_stray_pixels_of_the_rv_do_not_count():
    mask = DRAWN.copy()
    mask[22:24, 10:12] = 1  # touches the LV below, and the RV not at all
    mask[21, 3] = 1  # touches the RV by a corner

    np.testing.assert_allclose(derive_landmarks(mask, SPACING, TOP), POINTS)


def test_the_ends_of_an_arc_are_not_the_points_furthest_apart():
    # A ring from 10 to 13 pixels around (30, 30), and an RV that hugs it but for 45
    # degrees on either side of the upper right diagonal.
    y, x = np.indices((60, 60)) - 30
    radius = np.hypot(x, y)
    mask = np.zeros((60, 60), np.uint8)
    mask[radius < 13] = 2
    mask[radius < 10] = 3
    mask[(radius >= 13) & (radius < 18) & ~((x > 0) & (y < 0))] = 1

    superior, inferior, _ = derive_landmarks(mask, SPACING, TOP)

    # The RV begins at x = 0 above the LV and ends at y = 0 right of it.
    np.testing.assert_allclose(superior, [30.5, 17], atol=0.5)
    np.testing.assert_allclose(inferior, [43, 29.5], atol=0.5)


def without(label):
    return np.where(DRAWN == label, 0, DRAWN)


def apart():
    mask = DRAWN.copy()
    mask[:, 10:12] = 0
    return mask


def short():
    mask = DRAWN.copy()
    mask[:11][mask[:11] == 1] = 0
    mask[17:][mask[17:] == 1] = 0
    return mask


@pytest.mark.parametrize(
    ("mask", "up", "reason"),
    [
        (without(1), TOP, r"no RV cavity \(label 1\)"),
        (without(2), TOP, r"no LV myocardium \(label 2\)"),
        (without(3), TOP, r"no LV cavity \(label 3\)"),
        (apart(), TOP, "the RV does not touch the LV myocardium"),
        # From (11.5, 10.5) to (11.5, 16.5) are 6 pixels of 1.5 mm.
        (short(), TOP, "over 9 mm. Expected at least 15 mm"),
        (DRAWN, (1.0, 0.0), "neither is the superior one"),
    ],
)
def test_a_mask_that_determines_no_landmarks_is_refused(mask, up, reason):
    with pytest.raises(ValueError, match=reason):
        derive_landmarks(mask, SPACING, up)


@pytest.mark.parametrize(
    ("first", "count", "kept"),
    [
        # Of 11 levels 0 to 100 % in steps of 10.
        (0, 11, [2, 3, 4, 5, 6]),
        (2, 11, [4, 5, 6, 7, 8]),
        # 0, 20, 40, 60, 80, 100 %.
        (1, 6, [2, 3, 4]),
        # 0, 12.5, 25, 37.5, 50, 62.5, ... %.
        (1, 9, [3, 4, 5]),
        (0, 1, [0]),
        (0, 0, []),
    ],
)
def test_mid_ventricular_is_20_to_60_percent_of_the_lv_cavity(first, count, kept):
    mask = np.zeros((4, 4, 15), np.uint8)
    mask[..., :] = 2  # myocardium alone does not count
    mask[1, 1, first : first + count] = 3

    assert mid_ventricular(mask) == kept


# Geometry


def oblique(spacing=(1.4, 1.7, 9.0)):
    """An affine turned about all axes, with a handedness that is not DICOM's."""
    turned = euler2mat(0.3, -0.4, 0.5) @ np.diag([-1, -1, 1])
    affine = np.eye(4)
    affine[:3, :3] = turned * spacing
    affine[:3, 3] = (12.5, -80.25, 33)
    return affine


@pytest.mark.parametrize(
    "affine", [STRAIGHT, oblique(), oblique() @ np.diag([1, 1, -1, 1])]
)
def test_pixels_lie_in_the_patient_where_nibabel_says(tmp_path, affine):
    source, dest = tmp_path / "acdc", tmp_path / "out"
    write_subject(source, affine=affine)

    import_folder(source, dest)

    # Mid-ventricular of 6 slices, 0 to 100 %, are 1, 2 and 3.
    for k in (1, 2, 3):
        image = read_image(dest / f"DICOM/patient001/ED_slice{k:02d}.dcm")
        np.testing.assert_array_equal(image.pixels, stack(seed=[0, 0])[:, :, k].T)
        assert image.position and image.orientation
        along_x, along_y = np.reshape(image.orientation, (2, 3))
        spacing_y, spacing_x = image.pixel_spacing
        for x, y in ((0, 0), (39, 0), (0, 31), (17, 23)):
            # PS3.3 C.7.6.2.1.1, and RAS to LPS.
            lps = image.position + along_x * spacing_x * x + along_y * spacing_y * y
            ras = apply_affine(affine, (x, y, k))
            np.testing.assert_allclose(lps, ras * (-1, -1, 1), atol=1e-4)


def test_points_and_pixels_have_the_same_orientation(tmp_path):
    # The mask itself as image: what a point should touch can be read off the pixels.
    folder = write_subject(tmp_path / "acdc")
    save(folder / "patient001_frame01.nii.gz", masks().astype(np.int16))

    _, slices, _ = read_subject(folder)

    np.testing.assert_array_equal(slices[0].pixels, DRAWN)
    np.testing.assert_allclose(slices[0].landmarks, POINTS)


def test_superior_is_nearer_to_the_head_in_a_stack_stored_upside_down(tmp_path):
    folder = write_subject(tmp_path / "acdc")
    # Rows from the feet up: the same anatomy, so the points are mirrored, not swapped.
    flip = np.diag([1.0, -1, 1, 1])
    for name, voxels in (("01", stack()), ("01_gt", masks())):
        path = folder / f"patient001_frame{name}.nii.gz"
        save(path, voxels[:, ::-1], affine=STRAIGHT @ flip)

    _, slices, _ = read_subject(folder)

    expected = [[x, 31 - y] for x, y in POINTS]
    np.testing.assert_allclose(slices[0].landmarks, expected)


def test_unit_columns_hold_directions_and_the_header_the_spacing(tmp_path):
    # As ACDC's own files.
    affine = np.diag([-1.0, -1, 1, 1])
    folder = write_subject(
        tmp_path / "acdc", affine=affine, zooms=(1.67969, 1.5625, 10.0)
    )

    _, slices, _ = read_subject(folder)

    assert slices[0].pixel_spacing == (1.5625, 1.67969)  # rows first, decimals meant
    assert slices[0].orientation == (1, 0, 0, 0, 1, 0)
    assert [s.position for s in slices[:3]] == [(0, 0, 10), (0, 0, 20), (0, 0, 30)]


def sheared():
    affine = STRAIGHT.copy()
    affine[:3, 1] = (0.9, -1.2, 0)  # of length 1.5, and 53 degrees from the x axis
    return affine


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"code": 0}, "does not say how the images lie"),
        ({"zooms": (1.5, 1.2, 8)}, r"agree. Received: 1.5 x 1.5 x 8 mm and 1.5 x 1.2"),
        ({"affine": sheared()}, r"right angles. Received: .* 126.9 degrees"),
        (
            {"affine": np.diag([-0.0015, -0.0015, 0.008, 1])},
            "expected a pixel spacing of 0.02 to 20 mm",
        ),
    ],
)
def test_a_stack_without_true_geometry_is_refused(tmp_path, kwargs, reason):
    folder = write_subject(tmp_path / "acdc", **kwargs)

    with pytest.raises(ValueError, match=rf"^patient001_frame01.nii.gz: .*{reason}"):
        read_subject(folder)


# Folders


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
    with pytest.raises(ValueError, match="expected folders patient001, patient002"):
        find_subjects(tmp_path)
    for part in ("training", "database/training"):
        (tmp_path / part / "patient001").mkdir(parents=True)
    with pytest.raises(ValueError, match="expected each subject once, but there are"):
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
        np.testing.assert_allclose(row.points, POINTS)
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
    assert "There is something else; choose another folder" in line
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
        assert partial.name.startswith(".out.")
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
        (info("ES: 12\nGroup: DCM"), "'ED: <number of a frame>'. Received: none"),
        (info("ED: 1"), "'ES: <number of a frame>'. Received: none"),
        (info("ED: one\nES: 12"), "'ED: <number of a frame>'. Received: one"),
        (info("ED: 1\nES: 13"), "has no stack of images patient002_frame13.nii.gz"),
        (voxels("12", HALVES), "whole numbers from 0 to 65535"),
        (voxels("12", NAN), "whole numbers from 0 to 65535"),
        (voxels("12", -stack()), "whole numbers from 0 to 65535"),
        (voxels("12", stack()[:, :, 0]), "a stack of slices, .* Received: 40 x 32"),
        (voxels("12", stack(5)), "mask of the size of its images, 40 x 32 x 5"),
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
    assert "nothing to write" in result.stdout
    assert os.listdir(tmp_path) == ["acdc"]


@pytest.mark.parametrize("arguments", [[], ["."], ["nowhere", "out"], [".", __file__]])
def test_a_slip_in_the_command_is_exit_code_two(arguments):
    assert run(*arguments).exit_code == 2


def test_a_source_without_subjects_is_one_line(tmp_path):
    result = run(tmp_path, tmp_path / "out")

    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith(f"Error: {tmp_path}: expected folders patient001")


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
        np.testing.assert_array_equal(row.points, reference.points)
        image, twin = (read_image(f / row.image) for f in (tmp_path / "out", REFERENCE))
        np.testing.assert_array_equal(image.pixels, twin.pixels)
        assert image.pixel_spacing == twin.pixel_spacing


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
