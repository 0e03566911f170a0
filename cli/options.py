"""Options and habits that commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from phdnet_tf.config import FOLDS
from phdnet_tf.presets import VIEWS

view = click.option("--view", type=click.Choice(list(VIEWS)), help="Short axis or 4ch.")
data = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="ASPIRE-style folder. Default: the drawn phantom, made once and kept.",
)
models = click.option(
    "--models",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("models"),
    show_default=True,
    help="Folder of all models.",
)
model = click.option(
    "--model",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A model folder or one of its versions. Default: the newest of the view.",
)
seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
FOLD = click.IntRange(0, FOLDS - 1)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns errors that the user can mend into one line and exit code 1.

    Yields:
        Nothing; wrap the calls of the library.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        message = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            message = f"{error.filename}: {error.strerror}."
        raise click.ClickException(message) from error


def find_model(model: Path | None, models: Path, view: str | None) -> Path:
    """The model folder that the options mean.

    Raises:
        click.ClickException: If there is none.
        click.UsageError: If there are several views and none was chosen.
    """
    if model:
        return model
    views = [v for v in VIEWS if (models / f"phdnet_{v}").is_dir()]
    if view is None and len(views) > 1:
        raise click.UsageError(
            f"{models} has models of several views. Choose with --view "
            f"{' or --view '.join(views)}."
        )
    wanted = view or (views[0] if views else None)
    if wanted not in views:
        name = f" of the view {view}" if view else ""
        raise click.ClickException(
            f"{models}: found no model{name}. Train one with 'phdnet-tf train --view "
            f"{wanted or next(iter(VIEWS))}', or say where it is with --model or "
            "--models."
        )
    return models / f"phdnet_{wanted}"
