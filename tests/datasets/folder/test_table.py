import os

import numpy as np
import pytest
from support.folders import HEADER, write, write_table

from phdnet_tf.datasets.folder.check import check, inspect
from phdnet_tf.datasets.folder.folds import write_folds
from phdnet_tf.datasets.folder.table import points_in_pixels, read_table
from phdnet_tf.presets import VIEWS


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
        (f"{HEADER},apex_x\ns,a,1,2,3", r"there are two columns 'apex_x'. Remove"),
        (HEADER, "has no rows. Expected one row for each annotated image"),
        (f"{HEADER}\ns,a,1", r"\(row 2\): expected 4 cells. Received: 3"),
        (f"{HEADER}\ns,a,1,2,3", r"\(row 2\): expected 4 cells. Received: 5"),
        (f"{HEADER}\n,a,1,2", r"\(row 2\): the cell subject is empty"),
        (f"{HEADER}\ns,,1,2", r"\(row 2\): the cell image is empty"),
        (f"{HEADER}\ns,a,one,2", r"a number in apex_x. Received: 'one'. Leave"),
        (f"{HEADER}\ns,a,nan,2", r"a number in apex_x. Received: 'nan'. Leave"),
        (f'{HEADER}\ns,a,"1,5",2', r"a number in apex_x. Received: '1,5'. Leave"),
        (f"{HEADER}\ns,a,12_5,2", r"a number in apex_x. Received: '12_5'. Leave"),
        (f"{HEADER}\ns,a,,2", r"apex has only one coordinate. Fill in both"),
        (f"{HEADER}\ns,../a,1,2", r"a path inside the folder. Received: \.\./a"),
        (f"{HEADER}\ns,/etc/a,1,2", r"a path inside the folder. Received: /etc/a"),
        (f"{HEADER}\ns,C:\\a,1,2", r"a path inside the folder. Received: C:/a"),
        (f'{HEADER}\ns,"a"b,1,2', r"line 2 is not valid CSV.*Save the table again"),
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


def test_a_folder_that_cannot_be_opened_is_said_to_be_so(tmp_path):
    folder = write_table(tmp_path / "mydata", HEADER, "s1,a.dcm,1,2")
    folder.chmod(0o600)
    if os.access(folder, os.X_OK):
        pytest.skip("the superuser may open any folder")

    with pytest.raises(ValueError, match=r"landmarks\.csv: cannot be opened: Perm"):
        read_table(folder)

    folder.chmod(0o700)  # To be removed.


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


def test_the_folds_of_the_shefpah_folder_can_be_written(shefpah):
    found = inspect(shefpah)
    write_folds(shefpah, found.table, {"1": 5, "2": 3})

    again = inspect(shefpah)

    assert again.folds == {"1": 5, "2": 3}
    assert [row.image for row in again.table.rows] == [
        row.image for row in found.table.rows
    ]


def test_shefpah_points_are_scaled_about_pixel_edges(shefpah):
    table = read_table(shefpah)

    points = points_in_pixels(table, table.rows[0], height=128, width=64)

    lateral = table.landmarks.index("inferior_rv_lateral_reflection")
    # Pixel 41 of 64 covers pixels 82 and 83 of 128, so its centre is at 82.5.
    np.testing.assert_array_equal(points[lateral], [19, 82.5])


# Frames and folds


def test_a_frame_and_a_fold_are_whole_numbers_or_empty(tmp_path):
    write_table(tmp_path, HEADER + ",frame,fold", "s1,a.dcm,1,2,3,7", "s1,a.dcm,1,2,,")

    third, only = read_table(tmp_path).rows

    assert (third.id, third.frame, third.fold) == ("a.dcm#3", 3, 7)
    assert (only.id, only.frame, only.fold) == ("a.dcm", None, None)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ("0,", r"a whole number from 1 to 10000 in frame. Received: '0'"),
        ("1.5,", r"a whole number from 1 to 10000 in frame. Received: '1.5'"),
        ("first,", r"a whole number from 1 to 10000 in frame. Received: 'first'"),
        (",8", r"a whole number from 0 to 7 in fold. Received: '8'"),
        (",-1", r"a whole number from 0 to 7 in fold. Received: '-1'"),
        (",nan", r"a whole number from 0 to 7 in fold. Received: 'nan'"),
    ],
)
def test_another_frame_or_fold_is_refused_with_the_remedy(tmp_path, cells, expected):
    write_table(tmp_path, HEADER + ",frame,fold", f"s1,a.dcm,1,2,{cells}")

    with pytest.raises(ValueError, match=rf"\(row 2\).*{expected}.*leave the cell em"):
        read_table(tmp_path)


def test_a_number_that_a_spreadsheet_wrote_with_a_decimal_is_whole(tmp_path):
    write_table(tmp_path, HEADER + ",frame,fold", "s1,a.dcm,1,2,2.0,3.0")

    (row,) = read_table(tmp_path).rows

    assert (row.frame, row.fold) == (2, 3)
