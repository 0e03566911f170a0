import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.check import check, inspect
from phdnet_tf.datasets.folder.fingerprint import content, fingerprint
from phdnet_tf.datasets.folder.folds import assign_folds
from phdnet_tf.datasets.folder.table import Row, Table, points_in_pixels, read_table
from phdnet_tf.dicom.write import write_image
from phdnet_tf.presets import VIEWS

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


@pytest.fixture
def folder(tmp_path):
    """Eight subjects with an image each, without a problem."""
    lines = [HEADER]
    for number in range(1, FOLDS + 1):
        image = f"DICOM/s{number}/a.dcm"
        write(tmp_path / image, seed=number)
        lines.append(f"s{number},{image},{number},7.5")
    return write_table(tmp_path, *lines)


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


# Reading the table


def test_points_come_in_the_order_of_the_columns(tmp_path):
    write_table(
        tmp_path,
        "group,crux_y,subject,apex_x,apex_y,image,crux_x",
        "DCM,1,s1,3,4,DICOM/a.dcm,2.5",
    )

    table = read_table(tmp_path)

    assert table.landmarks == ("apex", "crux")
    (row,) = table.rows
    assert (row.subject, row.image, row.line) == ("s1", "DICOM/a.dcm", 2)
    np.testing.assert_array_equal(row.points, [[3, 4], [2.5, 1]])  # (x, y)
    assert points_in_pixels(table, row, 9, 9) is row.points


def test_an_empty_cell_is_an_absent_landmark(tmp_path):
    write_table(tmp_path, HEADER + ",crux_x,crux_y", "s1,a.dcm,,,5,6")

    (row,) = read_table(tmp_path).rows

    np.testing.assert_array_equal(row.points, [[np.nan, np.nan], [5, 6]])


def test_a_row_keeps_the_number_of_its_line(tmp_path):
    write_table(tmp_path, HEADER, "", "s1,a.dcm,1,2", " , , , ", "s2,b.dcm,1,2")

    assert [row.line for row in read_table(tmp_path).rows] == [3, 5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_skipped(tmp_path, encoding):
    write_table(tmp_path, HEADER, "Müller,a.dcm,1,2", encoding=encoding)

    assert read_table(tmp_path).rows[0].subject == "Müller"


def test_a_table_with_semicolons_may_have_decimal_commas(tmp_path):
    write_table(
        tmp_path, HEADER.replace(",", ";"), "s1;a.dcm;78,5;110.25", "s2;b.dcm;;"
    )

    rows = read_table(tmp_path).rows

    np.testing.assert_array_equal(rows[0].points, [[78.5, 110.25]])
    assert np.isnan(rows[1].points).all()


def test_what_spreadsheets_and_windows_add_does_no_harm(tmp_path):
    table = HEADER + ',,\r\n"s1", DICOM\\s1\\a.dcm ,1,2,,\r\n'
    (tmp_path / "landmarks.csv").write_bytes(table.encode())

    (row,) = read_table(tmp_path).rows

    assert (row.subject, row.image) == ("s1", "DICOM/s1/a.dcm")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", "is empty. Expected the columns subject"),
        ("subject,apex_x,apex_y\ns,1,2", r"\(row 1\): expected a column image"),
        ("subject;image;apex_x\ns;a;1", r"apex_x has no partner apex_y. Add it"),
        ("subject,image\ns,a", r"has no landmark. Expected two columns"),
        (f"{HEADER},apex_x\ns,a,1,2,3", r"'apex_x' is there twice. Remove"),
        (HEADER, "has no rows. Expected one row an annotated image"),
        (f"{HEADER}\ns,a,1", r"\(row 2\): expected 4 cells. Received: 3"),
        (f"{HEADER}\ns,a,1,2,3", r"\(row 2\): expected 4 cells. Received: 5"),
        (f"{HEADER}\n,a,1,2", r"\(row 2\): the cell subject is empty"),
        (f"{HEADER}\ns,,1,2", r"\(row 2\): the cell image is empty"),
        (f"{HEADER}\ns,a,one,2", r"a number in apex_x. Received: 'one'. Leave"),
        (f"{HEADER}\ns,a,nan,2", r"a number in apex_x. Received: 'nan'. Leave"),
        (f'{HEADER}\ns,a,"1,5",2', r"a number in apex_x. Received: '1,5'. Leave"),
        (f"{HEADER}\ns,a,,2", r"apex has one coordinate of two. Fill in both"),
        (f"{HEADER}\ns,../a,1,2", r"a path inside the folder. Received: \.\./a"),
        (f"{HEADER}\ns,/etc/a,1,2", r"a path inside the folder. Received: /etc/a"),
        (f"{HEADER}\ns,C:\\a,1,2", r"a path inside the folder. Received: C:/a"),
        (f'{HEADER}\ns,"a"b,1,2', r"line 2 is not CSV.*Save the table again"),
    ],
)
def test_a_malformed_table_is_refused_with_row_and_remedy(tmp_path, table, expected):
    (tmp_path / "landmarks.csv").write_text(table)

    with pytest.raises(ValueError, match=rf"landmarks\.csv.*{expected}") as error:
        read_table(tmp_path)
    assert "\n" not in str(error.value)


def test_a_missing_table_or_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"landmarks\.csv: there is no such table"):
        read_table(tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        read_table(tmp_path / "nowhere")


def test_another_encoding_is_refused_with_the_remedy(tmp_path):
    write_table(tmp_path, HEADER, "Müller,a.dcm,1,2", encoding="cp1252")

    with pytest.raises(ValueError, match='Save the table again as "CSV UTF-8"'):
        read_table(tmp_path)


# The public ShefPAH-179 folder

SHEFPAH = (
    "Subject,inf insertion point X,inf insertion point Y,sup insertion point X,"
    "sup insertion point Y,RV inf X,RV inf Y,Group"
)


@pytest.fixture
def shefpah(tmp_path):
    for number in (1, 2):
        write(
            tmp_path / f"DICOM/Subject_{number}/Phase_1.dcm",
            number,
            spacing=(1.5, 3),
            shape=(128, 64),
        )
    return write_table(
        tmp_path,
        SHEFPAH,
        "1,32,39.75,29.25,23.75,19,41,0",
        "2,24.5,40,28.5,23.75,11,37.25,2",
        name="landmarks_64x64.csv",
    )


def test_the_shefpah_folder_is_read_as_it_is(shefpah):
    table = read_table(shefpah)

    assert set(table.landmarks) == set(VIEWS["sa"])
    assert [row.subject for row in table.rows] == ["1", "2"]
    assert table.rows[1].image == "DICOM/Subject_2/Phase_1.dcm"
    superior = table.landmarks.index("superior_rv_insertion")
    np.testing.assert_array_equal(table.rows[0].points[superior], [29.25, 23.75])
    assert [p.severity for p in check(shefpah, "sa")] == ["warning"]  # two subjects


def test_shefpah_points_are_scaled_about_pixel_edges(shefpah):
    table = read_table(shefpah)

    points = points_in_pixels(table, table.rows[0], height=128, width=64)

    lateral = table.landmarks.index("inferior_rv_lateral_reflection")
    # Pixel 41 of 64 covers pixels 82 and 83 of 128, so its centre is at 82.5.
    np.testing.assert_array_equal(points[lateral], [19, 82.5])


# Checking the whole folder


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


def test_a_column_of_numbers_that_is_no_landmark_is_ignored_aloud(folder):
    replace(folder, HEADER, HEADER + ",group,age,site")
    table = (folder / "landmarks.csv").read_text().splitlines()
    write_table(folder, table[0], *(f"{line},2,51,Sheffield" for line in table[1:]))

    assert "warning: landmarks.csv (row 1): the column 'age'" in the_problem(folder)


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

    assert twins.startswith("warning: DICOM/s7/a.dcm (row 8): is pixel for pixel")
    assert "DICOM/s2/a.dcm (row 3), and 1 more of their images are twins" in twins
    assert "kept in one fold" in twins
    assert "Received: 7, so some folds are empty" in folds


def test_an_image_twice_under_one_subject_is_a_warning(folder):
    write(folder / "DICOM/s2/b.dcm", seed=2)
    append(folder, "s2,DICOM/s2/b.dcm,1,2")

    assert "subject s2 has an image twice. Keep one" in the_problem(folder)


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

    assert line.startswith("warning: DICOM/s9: holds images of a subject in no row")


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


# Folds


def table_of(subjects):
    rows = [Row(s, f"{s}.dcm", np.zeros((1, 2)), n) for n, s in enumerate(subjects)]
    return Table("landmarks.csv", ("apex",), tuple(rows))


@pytest.mark.parametrize("number", [1, 8, 9, 99, 303])
def test_folds_differ_by_one_subject_at_most(number):
    folds = assign_folds(table_of([f"s{n:03}" for n in range(number)]), {})

    sizes = Counter(folds.values())
    assert len(folds) == number and len(sizes) == min(number, FOLDS)
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_folds_do_not_depend_on_the_order_of_the_rows():
    subjects = [f"s{n}" for n in range(50)]
    hashes = {f"s{n}.dcm": str(n % 40) for n in range(50)}
    folds = assign_folds(table_of(subjects), hashes)
    shuffled = random.Random(0).sample(subjects, 50)

    assert assign_folds(table_of(shuffled), hashes) == folds


def test_subjects_that_share_an_image_share_a_fold_along_a_chain():
    # s0 and s1 share one image, s1 and s9 another.
    table = table_of([f"s{n}" for n in range(10)] + ["s1"])
    extra = Row("s1", "second.dcm", np.zeros((1, 2)), 99)
    table = Table(table.file, table.landmarks, (*table.rows, extra))
    hashes = {"s0.dcm": "A", "s1.dcm": "A", "second.dcm": "B", "s9.dcm": "B"}

    folds = assign_folds(table, hashes)

    assert folds["s0"] == folds["s1"] == folds["s9"]
    assert sorted(Counter(folds.values()).values()) == [1, 1, 1, 1, 1, 1, 1, 3]


# The fingerprint


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
