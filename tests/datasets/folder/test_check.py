import shutil
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from support.cines import write_cine, write_enhanced
from support.folders import (
    DATA,
    HEADER,
    append,
    lines,
    replace,
    the_problem,
    with_data,
    write,
    write_table,
)

from phdnet_tf.datasets.folder.check import inspect
from phdnet_tf.datasets.folder.folds import assign_folds
from phdnet_tf.dicom.write import write_image


def test_a_good_folder_has_no_problem(folder):
    assert lines(folder) == []


def test_every_problem_is_found_in_one_pass(folder):
    (folder / "DICOM/s1/a.dcm").unlink()
    (folder / "DICOM/s2/a.dcm").write_text("not an image")
    replace(folder, "s3/a.dcm,3", "s3/a.dcm,three")
    replace(folder, "s4/a.dcm,4", "s4/a.dcm,40")
    append(folder, "s5,DICOM/s5/a.dcm,1,2", "s9,../a.dcm,1,2", "s9")

    found = lines(folder)

    for line, expected in zip(
        found,
        [
            "error: DICOM/s1/a.dcm (row 2): no such file",
            "error: DICOM/s2/a.dcm (row 3): not a DICOM file",
            "error: landmarks.csv (row 4): expected a number in apex_x",
            "error: landmarks.csv (row 5): apex at (40, 7.5) lies outside DICOM/s4",
            "error: landmarks.csv (row 10): expected each image once",
            "error: landmarks.csv (row 11): expected a path inside the folder",
            "error: landmarks.csv (row 12): expected 4 cells",
        ],
        strict=True,
    ):
        assert line.startswith(expected)


def test_images_are_looked_at_even_if_a_column_is_wrong(folder):
    replace(folder, "apex_y", "apex_y,crux_x")
    (folder / "DICOM/s1/a.dcm").unlink()
    table = (folder / "landmarks.csv").read_text().splitlines()
    write_table(folder, table[0], *(f"{line},3" for line in table[1:]))

    partner, missing = lines(folder)

    assert "crux_x has no partner crux_y" in partner
    assert "no such file" in missing


def test_a_landmark_that_has_its_columns_twice_is_named(folder):
    table = (folder / "landmarks.csv").read_text().splitlines()
    write_table(
        folder,
        f"{table[0]},apex_x,apex_y",
        *(f"{line},{line.split(',', 2)[2]}" for line in table[1:]),
    )

    x, y = lines(folder)

    assert "there are two columns 'apex_x'. Remove or rename one." in x
    assert "there are two columns 'apex_y'. Remove or rename one." in y


def test_a_column_of_numbers_that_is_no_landmark_is_ignored_aloud(folder):
    replace(folder, HEADER, HEADER + ",group,age,site")
    table = (folder / "landmarks.csv").read_text().splitlines()
    write_table(folder, table[0], *(f"{line},2,51,Sheffield" for line in table[1:]))

    assert "warning: landmarks.csv (row 1): the column 'age'" in the_problem(folder)


def test_a_column_whose_name_is_nearly_fold_is_told_how_it_would_be_read(folder):
    table = (folder / "landmarks.csv").read_text().splitlines()
    write_table(folder, f"{table[0]},Fold", *(f"{line},7" for line in table[1:]))

    line = the_problem(folder)

    assert "the column 'Fold' is ignored" in line
    assert "frame and fold. Rename it" in line


@pytest.mark.parametrize(
    ("x", "inside"), [(-0.5, True), (19.5, True), (-0.6, False), (19.6, False)]
)
def test_an_image_reaches_to_the_edges_of_its_pixels(folder, x, inside):
    replace(folder, "s4/a.dcm,4", f"s4/a.dcm,{x}")  # the image has 20 columns

    assert bool(lines(folder)) != inside


def test_identical_images_of_two_subjects_are_one_warning_that_tells_the_fold(folder):
    shutil.copy(folder / "DICOM/s2/a.dcm", folder / "DICOM/s7/a.dcm")
    for number, name in ((2, "b"), (7, "c")):
        write(folder / f"DICOM/s{number}/{name}.dcm", seed=99)
        append(folder, f"s{number},DICOM/s{number}/{name}.dcm,1,2")

    twins, folds = lines(folder)

    assert twins.startswith("warning: DICOM/s7/a.dcm (row 8): has the same pixels as")
    assert "DICOM/s2/a.dcm (row 3), and 1 more of their images are identical" in twins
    assert "kept in one fold" in twins
    assert "Received: 7, so some folds are empty" in folds


def test_an_image_twice_under_one_subject_is_a_warning(folder):
    write(folder / "DICOM/s2/b.dcm", seed=2)
    append(folder, "s2,DICOM/s2/b.dcm,1,2")

    assert "subject s2 has an image twice. Keep only one" in the_problem(folder)


def test_an_image_that_no_model_takes_is_an_error(folder):
    write(folder / "DICOM/s2/a.dcm", seed=2, shape=(20, 15))

    line = the_problem(folder)

    assert line.startswith("error: DICOM/s2/a.dcm (row 3): expected 16 rows and")
    assert "Received: 20 x 15. Remove the row." in line


def test_intensities_that_no_model_takes_are_an_error(folder):
    path = folder / "DICOM/s2/a.dcm"
    image = pydicom.dcmread(path)
    image.RescaleSlope, image.RescaleIntercept = "1e15", "0"
    image.save_as(path)

    line = the_problem(folder)

    assert line.startswith("error: DICOM/s2/a.dcm (row 3): expected intensities below")
    largest = image.pixel_array.max() * 1e15
    assert f"1e+15. Received: {largest:g}. Correct RescaleSlope and " in line


def test_the_same_scan_with_other_pixels_is_no_twin(folder):
    write(folder / "DICOM/s2/b.dcm", seed=2, shape=(20, 16))
    append(folder, "s2,DICOM/s2/b.dcm,1,2")

    assert lines(folder) == []


def test_a_subject_in_no_row_is_noticed_by_its_folder(folder):
    write(folder / "DICOM/s9/late/a.dcm", seed=9)
    (folder / "DICOM/notes").mkdir()
    (folder / "DICOM/notes/readme.txt").touch()
    write(folder / "DICOM/s1/unannotated.dcm", seed=10)

    line = the_problem(folder)

    assert line.startswith("warning: DICOM/s9: holds images that no row")


@pytest.mark.parametrize("spacing", [(0.3, 1), (1, 7.5)])
def test_an_unusual_spacing_is_a_warning(folder, spacing):
    write(folder / "DICOM/s3/a.dcm", seed=3, spacing=spacing)

    line = the_problem(folder)

    assert line.startswith("warning: DICOM/s3/a.dcm (row 4)")
    assert f"Received: {spacing[0]} x {spacing[1]} mm" in line


def test_an_image_of_equal_pixels_is_a_warning(folder):
    write_image(
        folder / "DICOM/s3/a.dcm",
        np.zeros((16, 20), np.uint16),
        (1, 1),
        uid_seed="",
        series_description="",
        patient_id="",
    )

    assert "(row 4): all pixels are equal" in the_problem(folder)


def test_fewer_than_eight_subjects_is_a_warning(folder):
    replace(folder, "s8,DICOM/s8", "s7,DICOM/s8")

    assert "expected at least 8 subjects" in the_problem(folder)


def test_the_landmarks_of_a_view_are_expected_if_it_is_named(folder):
    replace(folder, "apex", "lv_apex")

    line = the_problem(folder, "4ch")
    assert line.startswith("warning: ")
    assert "lacks the columns of tricuspid_valve, mitral_valve" in line
    assert lines(folder) == []


def test_the_landmarks_of_the_other_view_are_an_error(folder):
    replace(folder, "apex", "lv_apex")

    line = the_problem(folder, "sa")
    assert line.startswith("error: ")
    assert "Use `--view 4ch`" in line


def test_a_missing_table_is_the_only_problem_of_an_empty_folder(tmp_path):
    assert "there is no such table" in the_problem(tmp_path)


def test_reading_a_folder_needs_no_tensorflow():
    program = (
        "import sys, phdnet_tf.datasets.folder.check;"
        "sys.exit(any('tensorflow' in name for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


# Real folders


@with_data
def test_acdc_has_no_problem_but_its_twin_patients():
    inspection = inspect(DATA / "acdc_sa", "sa")

    (problem,) = inspection.problems
    assert problem.severity == "warning"
    assert "subjects patient074 and patient076 share a scan" in problem.message
    assert len(inspection.images) == 650
    hashes = {name: facts.content_hash for name, facts in inspection.images.items()}
    folds = assign_folds(inspection.table, hashes)
    assert folds["patient074"] == folds["patient076"]
    assert len(folds) == 99


@with_data
def test_a_folder_of_one_subject_is_read():
    inspection = inspect(DATA / "bivme_4ch", "4ch")

    (problem,) = inspection.problems
    assert "expected at least 8 subjects" in problem.message
    assert len(inspection.images) == 25


# Frames


@pytest.fixture
def cine(folder):
    """The folder with an Enhanced file of six frames, and a row for the second."""
    write_enhanced(folder / "cine.dcm", write_cine(folder.parent / "classic"))
    table = (folder / "landmarks.csv").read_text().splitlines()
    write_table(folder, table[0] + ",frame", *(f"{line}," for line in table[1:]))
    append(folder, "s1,cine.dcm,1,2,2")
    return folder


def test_frames_of_a_file_are_images_of_their_own(cine):
    append(cine, "s1,cine.dcm,3,4,5")

    found = inspect(cine)

    assert found.problems == []
    second, fifth = (found.images[f"cine.dcm#{frame}"] for frame in (2, 5))
    assert (second.height, second.width) == (80, 100)
    assert second.content_hash != fifth.content_hash


def test_a_frame_twice_is_named_by_file_and_frame(cine):
    append(cine, "s1,cine.dcm,3,4,2")

    line = the_problem(cine)

    assert "(row 11): expected each image once. cine.dcm#2 is already in row 10" in line


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("cine.dcm,1,2,", "Write the number of the frame, from 1, in a column frame"),
        ("cine.dcm,1,2,7", "expected a frame between 1 and 6. Received: 7"),
        ("DICOM/s1/b.dcm,1,2,2", "expected a frame between 1 and 1. Received: 2"),
    ],
)
def test_a_frame_that_is_missing_or_not_there_is_an_error(cine, row, expected):
    write(cine / "DICOM/s1/b.dcm", seed=77)
    append(cine, f"s2,{row}")

    line = the_problem(cine)

    assert line.startswith("error: ") and "(row 11)" in line and expected in line


def test_a_frame_and_its_classic_file_are_twins(cine):
    classic = write_cine(cine / "classic")
    append(cine, f"s2,classic/{classic[1].name},1,2,")

    (line, *_) = lines(cine)

    assert (
        "has the same pixels as" in line and "subjects s1 and s2 share a scan" in line
    )
