"""Examples that are computed once and read in any order, also more than memory holds.

TensorFlow's own caches are read from the beginning only, and its shuffling then holds
every image in memory a second time. Here numbers are shuffled, and images are read.
"""

import errno
import os
import tempfile
from typing import Any, Self

import numpy as np
import tensorflow as tf

from phdnet_tf.files import cache_folder

CACHE_MEMORY = 4e9
"""Bytes of examples to hold in memory, unless a caller has another budget."""

Form = tuple[tuple[int, ...], np.dtype]


class Kept:
    """The examples of a data set: the first ones in memory, the rest on disk.

    As a context it gives both back at its end. TensorFlow holds on to every function
    that a data set has mapped, so that nothing else would.

    What does not fit goes to a file without a name in the user's cache folder. The
    system removes it when the process ends, however it does, and nobody can find half a
    file.

    Args:
        examples: Tensors in tuples or dictionaries. Read to its end at once.
        memory: Most bytes to hold in memory.

    Attributes:
        in_memory: Bytes that are held in memory.

    Raises:
        ValueError: If there is no space on the disk for the rest.
    """

    def __init__(self, examples: tf.data.Dataset, memory: float = CACHE_MEMORY) -> None:
        """Reads all examples."""
        self._spec = examples.element_spec
        self._memory: list[list[np.ndarray]] = []
        self._forms: list[list[Form]] = []
        self._offsets = [0]
        self._file: Any = None
        self.in_memory = 0
        for example in examples.as_numpy_iterator():
            arrays = [np.asarray(each) for each in tf.nest.flatten(example)]
            size = sum(each.nbytes for each in arrays)
            # Once there is a file, everything that follows goes there.
            if not self._forms and self.in_memory + size <= memory:
                self._memory.append(arrays)
                self.in_memory += size
            else:
                self._write(arrays)

    def __enter__(self) -> Self:
        """The examples."""
        return self

    def __exit__(self, *error: object) -> None:
        """Forgets the examples, which nobody can read any more."""
        self._memory.clear()
        if self._file:
            self._file.close()

    def __len__(self) -> int:
        """Number of examples."""
        return len(self._memory) + len(self._forms)

    def read(self, number: tf.Tensor) -> Any:
        """An example, for a function that a data set maps.

        Args:
            number: Its place in the data set, an int64 scalar from 0.

        Returns:
            What the data set had there.
        """
        specs = tf.nest.flatten(self._spec)
        values = tf.numpy_function(self._load, [number], [s.dtype for s in specs])
        for value, spec in zip(values, specs, strict=True):
            value.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(self._spec, values)

    def in_order(self) -> tf.data.Dataset:
        """The examples as they came, once through."""
        return tf.data.Dataset.range(len(self)).map(
            self.read, num_parallel_calls=tf.data.AUTOTUNE
        )

    def _write(self, arrays: list[np.ndarray]) -> None:
        try:
            if not self._forms:
                folder = cache_folder()
                folder.mkdir(parents=True, exist_ok=True)
                # Not in /tmp, which on many machines is memory. Without a buffer: an
                # error is raised here, and not when the file is closed.
                self._file = tempfile.TemporaryFile(dir=folder, buffering=0)
            for each in arrays:
                data = each.tobytes()
                # A disk that is all but full takes a part, and complains next time.
                if self._file.write(data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise ValueError(
                f"{cache_folder()}: expected space for the images that exceed "
                f"--cache-memory. Received: {error.strerror}. Set XDG_CACHE_HOME to a "
                "folder with more space, or raise --cache-memory."
            ) from error
        self._forms.append([(each.shape, each.dtype) for each in arrays])
        self._offsets.append(self._offsets[-1] + sum(each.nbytes for each in arrays))

    def _load(self, number: int) -> list[np.ndarray]:
        if number < len(self._memory):
            return self._memory[number]
        number -= len(self._memory)
        offset, end = self._offsets[number : number + 2]
        # Unlike a mapped file this lets other threads run while the disk is waited for,
        # and does not count as memory of this process.
        data = os.pread(self._file.fileno(), end - offset, offset)
        arrays, start = [], 0
        for shape, dtype in self._forms[number]:
            count = int(np.prod(shape))
            arrays.append(np.frombuffer(data, dtype, count, start).reshape(shape))
            start += arrays[-1].nbytes
        return arrays
