import csv
import io

import numpy as np
import pytest
from support.folders import HEADER, write_table

from phdnet_tf.datasets.folder.cells import read_cells, write_column
from phdnet_tf.datasets.folder.table import read_table

ROWS = [["s1", "a.dcm", "78.5", "110.25"], ["s2", "b.dcm", "", ""]]


def text(delimiter=",", line_end="\n", start="", decimal="."):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(HEADER.split(","))
    for subject, image, *numbers in ROWS:
        writer.writerow([subject, image, *(n.replace(".", decimal) for n in numbers)])
    return start + out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        text("\t").encode(),
        text("\t", decimal=",").encode(),
        text(";", start="sep=;\n", decimal=",").encode(),
        text(";", "\r\n", start="sep=;\r\n").encode("utf-8-sig"),
        text(",", start='"sep=,"\n').encode(),
        text("|", start="sep=|\n").encode(),
        text(line_end="\r").encode(),
        text(";", "\r", decimal=",").encode(),
        text("\t", "\r\n").encode("utf-16"),  # Excel's "Unicode Text"
        b"\xfe\xff" + text("\t").encode("utf-16-be"),
    ],
)
def test_a_table_is_read_whichever_spreadsheet_wrote_it(tmp_path, data):
    (tmp_path / "landmarks.csv").write_bytes(data)

    table = read_table(tmp_path)

    assert table.landmarks == ("apex",)
    assert [(row.subject, row.image) for row in table.rows] == [
        ("s1", "a.dcm"),
        ("s2", "b.dcm"),
    ]
    np.testing.assert_array_equal(table.rows[0].points, [[78.5, 110.25]])
    assert np.isnan(table.rows[1].points).all()


@pytest.mark.parametrize(
    "header",
    [
        'subject;image;apex_x;apex_y;"note, free"',
        "subject;image;apex_x;apex_y;note, free",
        "subject\timage\tapex_x\tapex_y\tnote, free; or not",
    ],
)
def test_a_comma_in_the_header_of_another_table_separates_nothing(tmp_path, header):
    delimiter = header[7]
    write_table(tmp_path, header, delimiter.join(["s1", "a.dcm", "1,5", "2", "x"]))

    np.testing.assert_array_equal(read_table(tmp_path).rows[0].points, [[1.5, 2]])


def test_commas_below_the_header_separate_nothing_whatever_ends_a_line(tmp_path):
    lines = [
        "subject;image;apex_x;apex_y;note",
        "s1;a.dcm;1,5;2;a, b, c, d, e, f, g, h, i, j",
    ]
    (tmp_path / "landmarks.csv").write_bytes("\r".join(lines).encode())

    np.testing.assert_array_equal(read_table(tmp_path).rows[0].points, [[1.5, 2]])


def test_a_row_below_the_line_that_names_the_separator_keeps_its_number(tmp_path):
    write_table(tmp_path, "sep=,", HEADER, "s1,a.dcm,one,2")

    with pytest.raises(ValueError, match=r"\(row 3\): expected a number in apex_x"):
        read_table(tmp_path)


def test_a_workbook_with_the_name_of_a_table_is_named_for_what_it_is(tmp_path):
    (tmp_path / "landmarks.csv").write_bytes(b"PK\x03\x04" + bytes(100))

    with pytest.raises(ValueError, match=r'is a workbook.* again as "CSV UTF-8"'):
        read_table(tmp_path)


@pytest.mark.parametrize(
    ("near", "remedy"),
    [
        ("Landmarks.CSV", "rename it to landmarks.csv"),
        ("landmark.csv", "rename it to landmarks.csv"),
        ("landmarks.csv.txt", "rename it to landmarks.csv"),
        ("landmarks (1).csv", "rename it to landmarks.csv"),
        ("landmarks.xlsx", 'Save it as "CSV UTF-8", with the name landmarks.csv'),
    ],
)
def test_a_table_of_nearly_the_name_is_named(tmp_path, near, remedy):
    for name in (near, "readme.txt", "~$landmarks.xlsx"):
        (tmp_path / name).touch()

    with pytest.raises(ValueError, match="no such table") as error:
        read_table(tmp_path)

    assert f"Found {near}. " in str(error.value)
    assert str(error.value).endswith(f"{remedy}.")


def test_a_table_one_folder_below_is_named_and_nothing_else_is(tmp_path):
    (tmp_path / "results.csv").touch()
    with pytest.raises(ValueError, match=r"<landmark>_y\.$"):
        read_table(tmp_path)
    write_table(tmp_path / "unpacked", HEADER)

    with pytest.raises(ValueError, match=r"Found one in .*unpacked\. Name that fold"):
        read_table(tmp_path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_column_is_written_and_all_else_stays(
    tmp_path, delimiter, line_end, encoding
):
    path = tmp_path / "landmarks.csv"
    lines = ["sep=" + delimiter, "subject,note,x,,", "Müller,,1,,", "", "s2,b,2"]
    content = line_end.join(lines[:1] + [s.replace(",", delimiter) for s in lines[1:]])
    path.write_bytes((content + line_end).encode(encoding))

    write_column(path, "fold", {3: "7", 5: "0"})

    expected = [lines[0], "subject,note,x,fold,", "Müller,,1,7,", "", "s2,b,2,0", ""]
    assert path.read_bytes().decode(encoding) == line_end.join(
        expected[:1] + [s.replace(",", delimiter) for s in expected[1:]]
    )
    write_column(path, "fold", {3: "1"})
    assert [cells[3:4] for _, cells in read_cells(path).records] == [
        ["fold"],
        ["1"],
        [],
        ["0"],
    ]


def test_the_table_that_a_link_leads_to_is_written(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere/table.csv"
    real.write_text("subject\ns1\n")
    (tmp_path / "landmarks.csv").symlink_to(real)

    write_column(tmp_path / "landmarks.csv", "fold", {2: "3"})

    assert real.read_text() == "subject,fold\ns1,3\n"
    assert (tmp_path / "landmarks.csv").is_symlink()
