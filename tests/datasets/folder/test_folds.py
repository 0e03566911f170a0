import random
from collections import Counter

import numpy as np
import pytest
from support.folders import DATA, HEADER, with_data, write_table

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.check import inspect
from phdnet_tf.datasets.folder.folds import assign_folds, fold_problems, write_folds
from phdnet_tf.datasets.folder.table import Row, Table


def table_of(subjects):
    rows = [Row(s, f"{s}.dcm", np.zeros((1, 2)), n) for n, s in enumerate(subjects)]
    return Table("landmarks.csv", ("apex",), tuple(rows))


@pytest.mark.parametrize("number", [1, 8, 9, 99, 303])
def test_folds_differ_by_one_subject_at_most(number):
    folds = assign_folds(table_of([f"s{n:03}" for n in range(number)]), {})

    sizes = Counter(folds.values())
    assert len(folds) == number and len(sizes) == min(number, FOLDS)
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_subjects_are_dealt_in_the_order_in_which_they_first_appear():
    # Of every subject the second row comes in another order.
    order = [f"s{n}" for n in random.Random(0).sample(range(20), 20)]
    folds = assign_folds(table_of([*order, *reversed(order)]), {})

    assert [folds[subject] for subject in order] == [n % 8 for n in range(20)]


@pytest.mark.parametrize("name", ["a", "s05b", "z"])
def test_a_subject_appended_to_the_table_moves_no_other(name):
    subjects = [f"s{n:02}" for n in range(21)]
    hashes = {"s03.dcm": "A", "s11.dcm": "A"}
    before = assign_folds(table_of(subjects), hashes)
    after = assign_folds(table_of([*subjects, name]), hashes)

    assert {subject: after[subject] for subject in subjects} == before
    # 20 groups went round; the next comes after them.
    assert after[name] == 20 % 8


def test_subjects_that_share_an_image_share_a_fold_along_a_chain():
    # s0 and s1 share one image, s1 and s9 another.
    table = table_of([f"s{n}" for n in range(10)] + ["s1"])
    extra = Row("s1", "second.dcm", np.zeros((1, 2)), 99)
    table = Table(table.file, table.landmarks, (*table.rows, extra))
    hashes = {"s0.dcm": "A", "s1.dcm": "A", "second.dcm": "B", "s9.dcm": "B"}

    folds = assign_folds(table, hashes)

    assert folds["s0"] == folds["s1"] == folds["s9"]
    assert sorted(Counter(folds.values()).values()) == [1, 1, 1, 1, 1, 1, 1, 3]


def with_folds(*pairs):
    rows = [
        Row(subject, f"{n}.dcm", np.zeros((1, 2)), n + 2, fold=fold)
        for n, (subject, fold) in enumerate(pairs)
    ]
    return Table("landmarks.csv", ("apex",), tuple(rows))


def problems_of(table, hashes):
    folds = assign_folds(table, hashes)
    return [str(problem) for problem in fold_problems(table, hashes, folds)]


def test_the_column_fold_holds_and_the_others_go_where_there_are_fewest():
    table = with_folds(("a", 5), ("b", 0), ("c", None), ("a", None), ("d", 5))

    assert assign_folds(table, {}) == {"a": 5, "b": 0, "c": 1, "d": 5}
    assert problems_of(table, {}) == []


def test_a_newcomer_joins_the_subject_whose_image_it_shares():
    table = with_folds(("a", 5), ("b", 2), ("new", None))

    assert assign_folds(table, {"1.dcm": "A", "2.dcm": "A"})["new"] == 2
    # Also where it stands above it.
    table = with_folds(("new", None), ("a", 5), ("b", 2))
    assert assign_folds(table, {"0.dcm": "A", "2.dcm": "A"})["new"] == 2


@pytest.mark.parametrize("recorded", [True, False])
def test_a_newcomer_that_shares_images_with_two_folds_is_an_error(recorded):
    folds = (0, 1) if recorded else (None, None)
    table = with_folds(("a", folds[0]), ("b", folds[1]), ("new", None), ("new", None))
    hashes = {"0.dcm": "A", "2.dcm": "A", "1.dcm": "B", "3.dcm": "B"}

    (line,) = problems_of(table, hashes)

    assert "(row 5): subjects b (fold 1) and new (fold 0) share the image 3.dcm" in line
    assert "give all subjects that share images the same number in the column" in line
    # Which is a remedy.
    mended = with_folds(("a", 0), ("b", 0), ("new", 0), ("new", None))
    assert problems_of(mended, hashes) == []


def test_subjects_of_two_folds_that_share_an_image_are_named_once():
    table = with_folds(("a", 3), ("a", None), ("b", 4), ("b", None))
    hashes = {"0.dcm": "A", "2.dcm": "A", "1.dcm": "B", "3.dcm": "B"}

    (line,) = problems_of(table, hashes)

    assert "subjects a (fold 3) and b (fold 4) share the image 2.dcm" in line


def test_a_subject_in_two_folds_is_an_error():
    (line,) = problems_of(with_folds(("a", 3), ("a", 4)), {})

    assert "(row 3): subject a is in fold 4 here, and in fold 3 above" in line


def test_written_folds_are_those_that_were_dealt_and_hold(folder):
    before = inspect(folder)
    write_folds(folder, before.table, before.folds)
    header, *rows = (folder / "landmarks.csv").read_text().splitlines()

    assert header == HEADER + ",fold"
    assert [row[-2:] for row in rows] == [f",{n}" for n in range(FOLDS)]
    # Without its first two rows the table would be dealt in another way.
    write_table(folder, header, *rows[2:], "s9,DICOM/s1/a.dcm,1,2,")
    after = inspect(folder)
    assert {s: after.folds[s] for s in before.folds if s in after.folds} == {
        f"s{n}": n - 1 for n in range(3, FOLDS + 1)
    }
    assert after.folds["s9"] == 0


def test_no_folds_are_written_into_a_table_that_changed_since(folder):
    inspection = inspect(folder)
    header, *rows = (folder / "landmarks.csv").read_text().splitlines()
    write_table(folder, header, rows[0].replace("s1,", "s0,", 1), *rows)
    changed = (folder / "landmarks.csv").read_text()

    with pytest.raises(ValueError, match="it changed while it was checked, .* again"):
        write_folds(folder, inspection.table, inspection.folds)

    assert (folder / "landmarks.csv").read_text() == changed


@with_data
def test_the_folds_of_acdc_are_its_subjects_in_turn():
    inspection = inspect(DATA / "acdc_sa", "sa")

    # patient076 is patient074, and so takes no turn of its own.
    names = sorted({row.subject for row in inspection.table.rows} - {"patient076"})
    expected = {name: turn % FOLDS for turn, name in enumerate(names)}
    expected["patient076"] = expected["patient074"]
    assert inspection.folds == expected
