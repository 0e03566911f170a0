import pytest
from support.folders import lines, replace, the_problem, write_table


def rewrite(folder, *points):
    """Two landmarks, with the points of the first rows."""
    table = ["subject,image,apex_x,apex_y,crux_x,crux_y"]
    for number in range(1, 9):
        cells = points[number - 1] if number <= len(points) else f"{number},7.5,3,4"
        table.append(f"s{number},DICOM/s{number}/a.dcm,{cells}")
    write_table(folder, *table)


@pytest.mark.parametrize("zero", ["0,0", "0.0,-0"])
def test_a_point_in_the_corner_is_said_to_be_probably_none(folder, zero):
    rewrite(folder, "1,2,3,4", f"{zero},3,4", "0,2,3,0", f"{zero},3,4")

    line = the_problem(folder)

    assert line.startswith("warning: landmarks.csv (row 3): apex is at (0, 0)")
    assert "here and in 1 more rows" in line and "leave both cells empty" in line


def test_landmarks_at_one_point_are_told(folder):
    rewrite(folder, "1,2,1,2", ",,,", "5,5,5,5")

    line = the_problem(folder)

    assert line.startswith("warning: landmarks.csv (row 2): apex and crux are at the ")
    assert "here and in 1 more rows" in line and "leave the cells empty" in line


def test_all_landmarks_in_the_corner_are_told_once_each(folder):
    rewrite(folder, "0,0,0,0")

    apex, crux = lines(folder)

    assert "apex is at (0, 0)" in apex and "crux is at (0, 0)" in crux


@pytest.mark.parametrize(
    ("point", "meaning"),
    [
        ("-1,-1", "If it means that there is no landmark, leave both cells empty"),
        ("999,999", "If it means that there is no landmark, leave both cells empty"),
        ("3,18", "It would lie inside if x and y were exchanged"),
        ("40,7", "Correct it. (x, y) are in pixels, from 0"),
    ],
)
def test_a_point_outside_is_told_with_what_it_may_mean(folder, point, meaning):
    # The image has 20 columns and 16 rows.
    replace(folder, "s4/a.dcm,4,7.5", f"s4/a.dcm,{point}")

    line = the_problem(folder)

    assert line.startswith("error: landmarks.csv (row 5): apex at (")
    assert meaning in line
