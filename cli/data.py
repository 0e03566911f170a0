"""Where commands get their annotated images from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phdnet_tf.presets import VIEWS

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

PHANTOM_SUBJECTS = 160
PHANTOM_SEED = 0


@dataclass(frozen=True)
class Source:
    """Annotated images, by fold.

    Attributes:
        builder: The prepared TFDS data set.
        name: What reports call it.
    """

    builder: tfds.core.DatasetBuilder
    name: str

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Names of the annotated landmarks."""
        return tuple(self.builder.info.metadata["landmarks"])

    @property
    def fingerprint(self) -> str:
        """Changes with the table and the images; a copy has the same."""
        return str(self.builder.info.metadata["content"])

    def examples(self, folds: list[int], landmarks: tuple[str, ...]) -> tf.data.Dataset:
        """The examples of some folds, with some of the landmarks, in that order.

        Raises:
            ValueError: If a landmark is not annotated, or the folds are empty.
        """
        import tensorflow as tf

        absent = [name for name in landmarks if name not in self.landmarks]
        if absent:
            raise ValueError(
                f"{self.name}: expected a column for each landmark of the model. "
                f"Absent: {', '.join(absent)}. The table has: "
                f"{', '.join(self.landmarks)}."
            )
        splits = [f"fold_{k}" for k in folds if f"fold_{k}" in self.builder.info.splits]
        if not splits:
            raise ValueError(
                f"{self.name}: no image in fold {' or '.join(map(str, folds))}. Fewer "
                "than eight subjects leave folds empty: choose another fold."
            )
        order = tf.constant([self.landmarks.index(name) for name in landmarks])

        def select(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {**example, "landmarks": tf.gather(example["landmarks"], order)}

        return self.builder.as_dataset(split="+".join(splits)).map(select)

    def count(self, folds: list[int]) -> int:
        """Number of images in some folds."""
        splits = self.builder.info.splits
        return sum(
            splits[f"fold_{k}"].num_examples for k in folds if f"fold_{k}" in splits
        )


def open_source(data: Path | None, view: str) -> Source:
    """The data set in a folder, or the phantom, drawn on first use.

    Raises:
        ValueError: If the folder cannot be used.
        OSError: If nothing can be written to the user's cache.
    """
    from phdnet_tf.datasets.aspire_cmr import prepare

    if data is not None:
        return Source(prepare(data, view), data.resolve().name)
    if view not in VIEWS:
        raise ValueError(
            f"view {view}: expected annotated images, for a phantom is drawn of "
            f"{' and '.join(VIEWS)} only. Give their folder with --data."
        )
    return Source(prepare(_phantom(view), view), f"{view} phantom")


def _phantom(view: str) -> Path:
    from phdnet_tf import __version__
    from phdnet_tf.cli.progress import counting
    from phdnet_tf.files import cache_folder
    from phdnet_tf.phantom.folder import write_folder

    name = f"{view}-{PHANTOM_SUBJECTS}-{PHANTOM_SEED}-{__version__}"
    folder = cache_folder() / "phantom" / name
    if not folder.exists():
        click.echo(
            f"Drawing {PHANTOM_SUBJECTS} {view} phantoms, once, in {folder}",
            file=sys.stderr,
        )
        with counting("phantoms", PHANTOM_SUBJECTS) as advance:
            write_folder(
                folder, view, PHANTOM_SUBJECTS, PHANTOM_SEED, on_subject=advance
            )
    return folder
