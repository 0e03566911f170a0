"""Examples that do not fit into memory, and the batches that are made of them."""

import errno
import gc
import os
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from support.drawn import examples
from support.training import settings

from phdnet_tf.config import CropConfig, ModelConfig
from phdnet_tf.files import cache_folder
from phdnet_tf.training import input_pipeline, kept
from phdnet_tf.training.kept import Kept


def ragged():
    """Seven images of 4 to 28 pixels, of 20 bytes a pixel row and 8 of landmarks."""
    for number in range(7):
        yield (
            np.arange(5 * (number + 1), dtype="f4").reshape(-1, 5) + 100 * number,
            {"points": np.full(2, number, "f4"), "name": number},
        )


@pytest.fixture
def data():
    signature = (
        tf.TensorSpec([None, 5], tf.float32),
        {"points": tf.TensorSpec([2], tf.float32), "name": tf.TensorSpec([], tf.int64)},
    )
    return tf.data.Dataset.from_generator(ragged, output_signature=signature)


def same(one, other):
    tf.nest.map_structure(np.testing.assert_array_equal, one, other)


# Each takes 20 bytes a row and 16 of landmarks and name: 36, 56, 76, 96 and so on.
@pytest.mark.parametrize(
    ("memory", "held"), [(0, 0), (91, 36), (92, 92), (1e9, 7 * 16 + 20 * 28)]
)
def test_every_example_is_read_as_it_was_wherever_it_is(data, memory, held):
    own = Kept(data, memory)

    assert len(own) == 7 and own.in_memory == held
    for found, given in zip(own.in_order(), ragged(), strict=True):
        same(found, given)
    picked = tf.data.Dataset.from_tensor_slices([6, 0, 3]).map(own.read)
    all_of_them = list(ragged())
    for found, number in zip(picked, [6, 0, 3], strict=True):
        same(found, all_of_them[number])


def test_shapes_are_known_where_the_data_set_knew_them(data):
    assert Kept(data, 92).in_order().element_spec == data.element_spec


def test_nothing_is_computed_a_second_time():
    asked = []

    def note(number):
        asked.append(int(number))
        return number

    data = tf.data.Dataset.range(4).map(
        lambda n: tf.ensure_shape(tf.numpy_function(note, [n], tf.int64), [])
    )
    own = Kept(data, 16)
    for _ in range(3):
        assert [int(n) for n in own.in_order()] == [0, 1, 2, 3]

    assert asked == [0, 1, 2, 3]


def test_nothing_is_left_in_memory_or_on_the_disk_and_nothing_has_a_name(data):
    with Kept(data, 92) as own:
        first = weakref.ref(own._memory[0][0])
        list(own.in_order())
        assert not [path for path in cache_folder().iterdir() if path.is_file()]
        descriptor = own._file.fileno()
        # All but the first two: 16 bytes each, and 20 a row of 3, 4, 5, 6 and 7.
        assert os.fstat(descriptor).st_size == 5 * 16 + 20 * 25

    gc.collect()
    assert first() is None
    with pytest.raises(OSError):
        os.fstat(descriptor)


def refuse(data):
    raise OSError(errno.ENOSPC, "No space left on device")


def take_a_part(data):
    return len(data) - 1


@pytest.mark.parametrize("write", [refuse, take_a_part])
def test_a_full_disk_is_told_with_a_remedy(data, monkeypatch, write):
    full = SimpleNamespace(write=write)
    monkeypatch.setattr(kept.tempfile, "TemporaryFile", lambda **_: full)

    with pytest.raises(ValueError, match=r"No space left.*XDG_CACHE_HOME.*--cache-mem"):
        Kept(data, 0)


def test_batches_do_not_depend_on_where_images_are():
    model = ModelConfig(("bright", "grey"))
    data = input_pipeline.normalised(examples(5), ())

    def batches(memory):
        own = Kept(data, memory)
        stream = input_pipeline.training_batches(own, model, CropConfig(), 4, 3)
        drawn = Kept(input_pipeline.canvases(data, model), memory)
        return [
            *stream.take(4).as_numpy_iterator(),
            *input_pipeline.validation_batches(drawn, model).as_numpy_iterator(),
        ]

    for one, other in zip(batches(0), batches(1e9), strict=True):
        same(one, other)


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_a_training_beyond_its_memory_leads_to_the_same_weights(tmp_path, monkeypatch):
    from phdnet_tf.training import loop

    budgets = []

    class Noted(Kept):
        def __init__(self, data, memory):
            super().__init__(data, memory)
            budgets.append((memory, self.in_memory))

    monkeypatch.setattr(loop, "Kept", Noted)
    outcomes = []
    for memory in (200_000, 1e9):
        run = tmp_path / str(memory)
        run.mkdir()
        outcomes.append(
            loop.train(
                settings(), examples(4), examples(2, 1), run, cache_memory=memory
            )
        )

    small, small_validation = budgets[:2]
    assert 0 < small[1] <= 200_000
    # Training and validation share it: a canvas takes a megabyte.
    assert small_validation == (200_000 - small[1], 0)
    for one, other in zip(
        *(outcome.model.variables for outcome in outcomes), strict=True
    ):
        np.testing.assert_array_equal(one, other)
