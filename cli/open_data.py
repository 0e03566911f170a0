"""Where commands get their annotated images from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from phdnet_tf.datasets.annotated import AnnotatedDataset


def open_dataset(data: Path | None, view: str) -> AnnotatedDataset:
    """The data set in a folder, or the phantom, with a bar while it is drawn.

    Raises:
        ValueError: If the folder cannot be used.
        OSError: If nothing can be written to the user's cache.
    """
    from phdnet_tf.cli.progress_bars import counting
    from phdnet_tf.datasets import annotated

    return annotated.open_dataset(
        data,
        view,
        on_message=lambda line: click.echo(line, err=True),
        progress=counting,
    )
