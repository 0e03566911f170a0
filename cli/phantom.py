"""`phdnet-tf phantom`: draw the synthetic images that serve as default data."""

from pathlib import Path

import click

from phdnet_tf.cli import options
from phdnet_tf.presets import VIEWS


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--view", type=click.Choice(list(VIEWS)), required=True)
@click.option("--subjects", type=click.IntRange(min=1), default=64, show_default=True)
@options.seed
def phantom(folder: Path, view: str, subjects: int, seed: int) -> None:
    """Draw synthetic cardiac MR with exact landmarks, as an ASPIRE-style FOLDER.

    The same seed gives the same bytes. The first subjects do not depend on the number
    of subjects.
    """
    from phdnet_tf.cli.progress_bars import counting
    from phdnet_tf.phantom.folder import write_folder

    with options.plain_errors(), counting("phantoms", subjects) as advance:
        write_folder(folder, view, subjects, seed, on_subject=advance)
    click.echo(f"{folder}: {subjects} {view} phantoms, seed {seed}.")
