"""Options that several commands have, and how commands report errors."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from phdnet_tf.cli.amounts import Amount, pixel_spacing
from phdnet_tf.config import FOLDS, PRECISIONS, require_view
from phdnet_tf.presets import VIEWS

if TYPE_CHECKING:
    from phdnet_tf.files import OutputFolder


class ViewName(click.ParamType):
    """The name of a view: a built-in one, or one of the user's own."""

    name = "view"

    def convert(
        self,
        value: str,
        parameter: click.Parameter | None,
        context: click.Context | None,
    ) -> str:
        """Refuses a text that cannot name a view."""
        try:
            require_view(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)
        return value


VIEW = ViewName()
KNOWN = " and ".join(VIEWS)

view = click.option(
    "--view",
    type=VIEW,
    metavar="NAME",
    help=f"Name of the view: {' or '.join(VIEWS)}, or one of your own.",
)
trained_view = click.option(
    "--view",
    type=VIEW,
    metavar="NAME",
    required=True,
    help=f"Name of the view. {KNOWN} have a phantom; any other needs --data.",
)
data = click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="ASPIRE-style folder. Default: the phantom, drawn once and kept in the cache.",
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
    help="Model folder, or one of its versions. Default: the view's newest version.",
)
overwrite = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace what phdnet-tf wrote to the --output folder earlier.",
)
seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
deterministic = click.option(
    "--deterministic",
    is_flag=True,
    help="Give bit-identical results for the same seed. Slower.",
)
precision = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=PRECISIONS[0],
    show_default=True,
    help="Of the layers between input and heads: bfloat16 is faster on processors that "
    "have it, such as newer GPUs and CPUs with AMX, and slower on others.",
)
scheduler = click.option(
    "--scheduler",
    metavar="tcp://HOST:PORT",
    help="Use the workers of a Dask scheduler that is already running.",
)
training_workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train up to N networks at once, in as many processes on this machine, which "
    "share its processor cores. Default: one after the other.",
)
cache_memory = click.option(
    "--cache-memory",
    type=Amount(min=0),
    default=4.0,
    show_default=True,
    metavar="GB",
    help="Most memory for decoded images; --workers share it. The rest goes to a "
    "temporary file in the cache folder.",
)
FOLD = click.IntRange(0, FOLDS - 1)


def phases(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | int | None:
    """Parses "first", "all" or a phase's number, from 1; the callback of an option."""
    if value is None or value in ("first", "all"):
        return value
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise click.BadParameter(
        f"{value!r} is neither first, nor all, nor a whole number from 1."
    )


@contextmanager
def claimed(output: Path | None, overwrite: bool) -> Iterator[OutputFolder | None]:
    """Claims the output folder for this process.

    Yields:
        The folder; None where `output` is None.

    Raises:
        ValueError: If it may not be written to; see `OutputFolder`.
    """
    if output is None:
        yield None
        return
    # Its lock takes as long to import as everything that `--help` needs.
    from phdnet_tf.files import OutputFolder

    with OutputFolder(
        output, overwrite, lambda line: click.echo(line, err=True)
    ) as own:
        yield own


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns errors that the user can correct into one line and exit code 1.

    Yields:
        Nothing. The block holds the calls of the library.

    Raises:
        OSError: If standard output cannot be written, which `Commands` reports.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and printing_failed(error):
            raise
        message = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            message = f"{error.filename}: {error.strerror}."
        raise click.ClickException(message) from error


def printing_failed(error: OSError) -> bool:
    """Whether it was `click.echo` that failed.

    Its errors name no file, but nor do those of a file on a disk that becomes full.
    """
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code is click.echo.__code__


def is_given(context: click.Context, name: str) -> bool:
    """Whether a parameter was given on the command line."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def find_model(model: Path | None, models: Path, view: str | None) -> Path:
    """The one model folder that the options name.

    Raises:
        click.ClickException: If there is no model.
        click.UsageError: If there are several views and none was chosen, or --model and
            --models were given.
        ValueError: As `find_models`.
    """
    if model:
        [model] = find_models(model, models, view)
        return model
    found = _models_by_view(models, view)
    if len(found) > 1:
        raise click.UsageError(
            f"{models} has models of several views. Choose one with --view "
            f"{' or --view '.join(found)}."
        )
    return next(iter(found.values()))


def find_models(model: Path | None, models: Path, view: str | None) -> list[Path]:
    """The model that was chosen, or else those of all views, or of the chosen view.

    Raises:
        click.ClickException: If there is no model.
        click.UsageError: If --model and --models were given.
        ValueError: If two models are of one view. Also as `load_description`, and if
            installed weights are needed as `installed_weights`.
    """
    if not model:
        return [*_models_by_view(models, view).values()]
    if is_given(click.get_current_context(), "models"):
        raise click.UsageError(
            "--model names the model, and --models the folder to look for one in. "
            "Choose one of the two."
        )
    return [model]


def _models_by_view(models: Path, view: str | None) -> dict[str, Path]:
    """The model of each view, or of the chosen view only.

    If a folder has models of several networks for a view, PHD-Net's is used, and the
    others are named on standard error. If it has no model of the view, installed
    weights are used, and standard error names them and their licence.
    """
    from phdnet_tf.export.description import load_description
    from phdnet_tf.export.versions import model_folders, resolve_version
    from phdnet_tf.export.weights import installed_weights

    folders = model_folders(models)
    found: dict[str, Path] = {}
    for name in folders if view is None else {view} & folders.keys():
        taken, *others = folders[name]
        # A copy has another name, and is still of the same view.
        own = load_description(resolve_version(taken))["view"]
        if own in found:
            raise ValueError(
                f"{found[own]} and {taken} are both models of {own}: choose one with "
                "--model, or move one away."
            )
        found[own] = taken
        if others:
            click.echo(
                f"view {name}: uses {taken.name}. For another, give --model "
                f"{' or '.join(str(models / other.name) for other in others)}.",
                err=True,
            )
    for weights in [] if view in found else installed_weights():
        if weights.view not in found and view in (None, weights.view):
            found[weights.view] = weights.version
            click.echo(
                f"view {weights.view}: uses the weights {weights.name} of "
                f"{weights.source}. Their licence is {weights.licence}.",
                err=True,
            )
    if not found:
        raise click.ClickException(no_model(models, view))
    return found


def no_model(models: Path, view: str | None) -> str:
    """The message for a folder without a model, when no weights are installed."""
    name = f" of the view {view}" if view else ""
    return (
        f"{models}: found no model{name}, and no weights are installed. Train one "
        f"with 'phdnet-tf train --view {view or next(iter(VIEWS))}', install weights, "
        "or say where it is with --model or --models."
    )


def find_weights(name: str) -> Path:
    """The version that the name of installed weights, or a model's folder, means.

    Raises:
        ValueError: If there is neither.
    """
    from phdnet_tf.export.versions import resolve_version
    from phdnet_tf.export.weights import installed_weights

    installed = {each.name: each.version for each in installed_weights()}
    if name in installed:
        return installed[name]
    if Path(name).is_dir():
        return resolve_version(Path(name)).resolve()
    raise ValueError(
        f"--init {name}: expected the folder of a published model, or the name of "
        f"installed weights: {', '.join(installed) or 'there are none'}."
    )


def frames(purpose: str = "") -> Callable[[Any], Any]:
    """The option that chooses phases of each cine.

    Args:
        purpose: What the phases are for, such as " to review".
    """
    return click.option(
        "--frame",
        "--frames",
        "which",
        callback=phases,
        metavar="first|NUMBER|all",
        help=f"Phases of each cine{purpose}. Default: the first, and every file that "
        "you name yourself.",
    )


spacing_of_bare_files = click.option(
    "--pixel-spacing",
    callback=pixel_spacing,
    metavar="ROW,COLUMN",
    help="Pixel spacing in mm, for files that have no PixelSpacing.",
)
