from contextlib import contextmanager

import numpy as np
import pytest
from support.noise import make_source

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets import annotated
from phdnet_tf.datasets.annotated import open_dataset
from phdnet_tf.presets import VIEWS


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("data") / "mine", subjects=FOLDS - 1)


def test_a_folder_is_called_by_its_name_and_tells_its_landmarks(source):
    data = open_dataset(source, "sa")

    assert data.name == "mine"
    assert data.landmarks == VIEWS["sa"]


def test_landmarks_come_in_the_order_that_is_asked_for(source):
    data = open_dataset(source, "sa")
    wanted = (VIEWS["sa"][2], VIEWS["sa"][0])

    (example,) = data.examples([3], wanted).as_numpy_iterator()
    (whole,) = data.examples([3], VIEWS["sa"]).as_numpy_iterator()

    np.testing.assert_array_equal(example["landmarks"], whole["landmarks"][[2, 0]])


def test_folds_join_and_their_number_is_known_without_a_look(source):
    data = open_dataset(source, "sa")

    found = data.examples([0, 5, 7], VIEWS["sa"])

    # Fold 7 is empty, for there are seven subjects.
    assert int(found.cardinality()) == data.count([0, 5, 7]) == 2
    assert {e["subject"] for e in found.as_numpy_iterator()} == {
        b"subject_1",
        b"subject_6",
    }


def test_empty_folds_and_absent_landmarks_are_refused_with_the_remedy(source):
    data = open_dataset(source, "sa")

    with pytest.raises(ValueError, match="mine: no image in fold 7. .* another fold"):
        data.examples([7], VIEWS["sa"])
    with pytest.raises(ValueError, match="mine: .* Absent: crux. The table has: "):
        data.examples([0], ("crux",))


def test_the_phantom_is_drawn_once_and_tells_how_far_it_is(monkeypatch):
    monkeypatch.setattr(annotated, "PHANTOM_SUBJECTS", 2)
    told = []

    @contextmanager
    def progress(what, total):
        told.append((what, total))
        yield lambda: told.append("one more")

    for _ in range(2):
        data = open_dataset(None, "4ch", on_message=told.append, progress=progress)

        assert (data.name, data.count([0, 1])) == ("4ch phantom", 2)
    message, *others = told
    assert message.startswith("Drawing 2 4ch phantoms, once, in ")
    assert others == [("phantoms", 2), "one more", "one more"]


def test_two_commands_that_draw_the_phantom_together_both_get_it(monkeypatch):
    monkeypatch.setattr(annotated, "PHANTOM_SUBJECTS", 2)

    @contextmanager
    def other(what, total):
        # It is done while this one draws.
        open_dataset(None, "4ch")
        yield lambda: None

    data = open_dataset(None, "4ch", progress=other)

    assert (data.name, data.count([0, 1])) == ("4ch phantom", 2)
