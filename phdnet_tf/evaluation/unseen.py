"""Leaves out images that a model has learnt from, as they would flatter it."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf


class Unseen:
    """Iterates over the examples that a model has not learnt from.

    Args:
        examples: Examples of the data set `aspire_cmr`, not batched.
        seen: Content hashes of the images that the model has learnt from.

    Attributes:
        left_out: Number of examples left out so far.
        known_subjects: Subjects of the examples left out so far.
    """

    def __init__(
        self, examples: Iterable[dict[str, Any]], seen: Collection[str]
    ) -> None:
        """Reads nothing yet."""
        self._examples, self._seen = examples, seen
        self.left_out = 0
        self.known_subjects: set[str] = set()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields the remaining examples, in their order."""
        for example in self._examples:
            if _text(example["content_hash"]) in self._seen:
                self.left_out += 1
                self.known_subjects.add(_text(example["subject"]))
            else:
                yield example


def _text(value: Any) -> str:
    return tf.compat.as_str(np.asarray(value).item())
