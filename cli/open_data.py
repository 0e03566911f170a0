"""Opens the annotated images that a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from phdnet_tf.datasets.annotated import AnnotatedDataset


def open_dataset(data: Path | None, view: str) -> AnnotatedDataset:
    """Opens a folder's data set, or the phantom. A bar shows how the drawing proceeds.

    Raises:
        ValueError: If the folder cannot be used.
        OSError: If the user's cache cannot be written.
    """
    from phdnet_tf.cli.progress_bars import counting
    from phdnet_tf.datasets import annotated

    return annotated.open_dataset(
        data,
        view,
        on_message=lambda line: click.echo(line, err=True),
        progress=counting,
    )
