"""Annotated images by fold: a folder's own, or the phantom's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds

from phdnet_tf import __version__
from phdnet_tf.datasets.aspire_cmr.cache import prepare, still_used
from phdnet_tf.files import cache_folder
from phdnet_tf.phantom.folder import DRAWN, write_folder
from phdnet_tf.presets import VIEWS

PHANTOM_SUBJECTS = 160
PHANTOM_SEED = 0


@dataclass(frozen=True)
class AnnotatedDataset:
    """Annotated images by fold: a `training.data.AnnotatedImages`.

    Attributes:
        builder: The prepared TFDS data set.
        name: What reports call it.
        drawn: Whether all images are phantoms.
    """

    builder: tfds.core.DatasetBuilder
    name: str
    drawn: bool = False

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Names of the annotated landmarks."""
        return tuple(self.builder.info.metadata["landmarks"])

    @property
    def fingerprint(self) -> str:
        """A text that changes with the table or an image. Copies have the same."""
        return str(self.builder.info.metadata["content"])

    def examples(self, folds: list[int], landmarks: tuple[str, ...]) -> tf.data.Dataset:
        """The examples of some folds, with some of the landmarks.

        Args:
            folds: Numbers of the folds, 0 to 7. Some, but not all, may be empty.
            landmarks: Names from `self.landmarks`, in the order wanted.

        Returns:
            The dictionaries of the data set `aspire_cmr`. `cardinality` gives their
            number.

        Raises:
            ValueError: If a landmark is not annotated, or all the folds are empty.
        """
        absent = [name for name in landmarks if name not in self.landmarks]
        if absent:
            raise ValueError(
                f"{self.name}: expected a column for each landmark of the model. "
                f"Absent: {', '.join(absent)}. The table has: "
                f"{', '.join(self.landmarks)}."
            )
        splits = self._splits(folds)
        if not splits:
            raise ValueError(
                f"{self.name}: no image in fold {' or '.join(map(str, folds))}. Fewer "
                "than eight subjects leave folds empty: choose another fold."
            )
        order = tf.constant([self.landmarks.index(name) for name in landmarks])

        def select(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {**example, "landmarks": tf.gather(example["landmarks"], order)}

        still_used(self.builder)
        return self.builder.as_dataset(split="+".join(splits)).map(select)

    def count(self, folds: list[int]) -> int:
        """Number of images in some folds."""
        splits = self.builder.info.splits
        return sum(splits[name].num_examples for name in self._splits(folds))

    def content_hashes(self, folds: list[int]) -> list[str]:
        """`MRImage.content_hash` of the images in some folds."""
        splits = self._splits(folds)
        if not splits:
            return []
        only = tfds.decode.PartialDecoding({"content_hash": True})
        data = self.builder.as_dataset(split="+".join(splits), decoders=only)
        return [
            tf.compat.as_str(example["content_hash"])
            for example in data.as_numpy_iterator()
        ]

    def _splits(self, folds: list[int]) -> list[str]:
        names = [f"fold_{fold}" for fold in folds]
        return [name for name in names if name in self.builder.info.splits]


Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
"""Gets the name and the number of items; yields a function to call after each item."""


@contextmanager
def _unseen(what: str, total: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


def open_dataset(
    folder: Path | None,
    view: str,
    *,
    on_message: Callable[[str], None] = lambda line: None,
    progress: Progress = _unseen,
) -> AnnotatedDataset:
    """Opens a folder's data set, or the phantom, which is drawn once and kept.

    Args:
        folder: An ASPIRE-style folder; None means the phantom.
        view: Name of the view.
        on_message: Called with one line before a step that may take long.
        progress: Shows the progress of the drawing.

    Raises:
        ValueError: If the folder cannot be used.
        OSError: If the user's cache cannot be written.
    """
    if folder is not None:
        builder = prepare(folder, view)
        drawn = (folder / DRAWN).exists()
        return AnnotatedDataset(builder, folder.resolve().name, drawn)
    if view not in VIEWS:
        raise ValueError(
            f"view {view}: expected a folder of annotated images, because only "
            f"{' and '.join(VIEWS)} have a phantom. Give the folder with --data."
        )
    phantoms = _phantom(view, on_message, progress)
    return AnnotatedDataset(prepare(phantoms, view), f"{view} phantom", drawn=True)


def _phantom(view: str, on_message: Callable[[str], None], progress: Progress) -> Path:
    name = f"{view}-{PHANTOM_SUBJECTS}-{PHANTOM_SEED}-{__version__}"
    folder = cache_folder() / "phantom" / name
    if not folder.exists():
        on_message(f"Drawing {PHANTOM_SUBJECTS} {view} phantoms, once, in {folder}")
        with progress("phantoms", PHANTOM_SUBJECTS) as advance:
            try:
                write_folder(
                    folder, view, PHANTOM_SUBJECTS, PHANTOM_SEED, on_subject=advance
                )
            except (OSError, ValueError):
                # Another command that started together with this one was faster.
                if not (folder / DRAWN).exists():
                    raise
    return folder
