import pytest
from support.folders import HEADER, lines, replace, write_table

from phdnet_tf.datasets.folder.subjects import subject_problems
from phdnet_tf.datasets.folder.table import parse_table


def problems(folder, *names):
    rows = [f"{name},{n}.dcm,1,2" for n, name in enumerate(names)]
    write_table(folder, HEADER, *rows)
    table, _ = parse_table(folder)
    return [str(problem) for problem in subject_problems(table)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Patient1", "patient1"),
        ("STRASSE", "straße"),
        ("Patient 1", "Patient  1"),
        ("Patient 1", "Patient\u00a01"),
        ("Patient 1", "Patient1"),
        ("patient1", "patient1\u200b"),
        ("Mu\u0308ller", "Müller"),  # the same letter as two characters and as one
        ("７", "7"),  # of full width
        ("007", "7"),  # a cell that was taken for a number
    ],
)
def test_subjects_that_differ_only_in_how_they_are_written_are_named(
    tmp_path, one, other
):
    (line,) = problems(tmp_path, "first", one, other, one, other)

    assert line.startswith(
        f"landmarks.csv (row 4): the subjects {one!r} (row 3) and {other!r} differ only"
    )
    assert "use one spelling" in line


def test_subjects_that_differ_in_more_are_no_problem(tmp_path):
    names = ["1", "10", "100", "s1", "s01", "a-1", "a_1", "1a", "Muller", "Müller", "0"]

    assert problems(tmp_path, *names) == []


def test_spaces_around_a_subject_are_no_part_of_it(tmp_path):
    assert problems(tmp_path, "s1", " s1 ", "s1\u00a0", "\ts1") == []
    assert {row.subject for row in parse_table(tmp_path)[0].rows} == {"s1"}


def test_the_check_tells_it(folder):
    replace(folder, "s8,", "S7,")

    found = lines(folder)

    assert any(line.startswith("error: landmarks.csv (row 9)") for line in found)
