import random
from collections import Counter

import numpy as np
import pytest

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.folds import assign_folds
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
