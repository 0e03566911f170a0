"""Which run `phdnet-tf train` goes on with, and when it does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from phdnet_tf.training.settings import RunSettings

ENDS = {
    "epochs": "all epochs were trained",
    "patience": "the validation loss no longer fell",
    "time limit": "the time limit was reached",
    "interrupt": "you stopped it",
    "diverged": "the loss was no longer a number, which --resume tries again",
}
"""What ended a training, in words."""


def refuse_ended(run: Path, settings: RunSettings, time_limit: float | None) -> None:
    """Refuses to go on with a run that has ended, unless there is more time.

    Args:
        run: Its folder.
        settings: What it was started with.
        time_limit: What is asked for now, in minutes.

    Raises:
        click.ClickException: If there is nothing to go on with.
    """
    ended = settings.ended_by
    if not ended or {"interrupt", "diverged"} & set(ended):
        return
    message = f"{run} has ended and its model is {settings.published}. "
    if "time limit" not in ended:
        raise click.ClickException(
            f"{message}It cannot be trained for longer: {ENDS[ended[-1]]}. Start a new "
            "run, without --resume."
        )
    if settings.time_limit and (time_limit or 0) <= settings.time_limit:
        raise click.ClickException(
            f"{message}To train it for longer, give --time-limit more than its "
            f"{settings.time_limit:g} minutes."
        )


def refuse_other_choices(context: click.Context, names: set[str]) -> None:
    """Refuses options that a run has already chosen.

    Args:
        context: Of the command.
        names: Of these options' parameters.

    Raises:
        click.UsageError: If one of them was given.
    """
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and is_given(context, parameter.name)
    ]
    if given:
        raise click.UsageError(
            f"--resume goes on as the run was started. Drop {', '.join(given)}."
        )


def is_given(context: click.Context, name: str) -> bool:
    """Whether the command line has a parameter."""
    source = context.get_parameter_source(name)
    return source == click.core.ParameterSource.COMMANDLINE


def find_run(runs: Path, name: str | None, resume: bool) -> Path:
    """The folder of a new run, or of the one to go on with.

    Args:
        runs: Folder of the view's runs.
        name: Of the run; by default the time of its start, or the newest.
        resume: Whether to go on with one.

    Raises:
        click.ClickException: If the new one exists, or there is none to go on with.
    """
    if not resume:
        run = runs / (name or time.strftime("%Y%m%d-%H%M%S"))
        if run.exists():
            raise click.ClickException(
                f"{run} exists. Choose another --name, or go on with it: --resume."
            )
        return run
    if name:
        return runs / name
    started = sorted(runs.glob("*/run.json"), key=lambda file: file.stat().st_mtime)
    if not started:
        raise click.ClickException(
            f"{runs}: no run to resume. Start one without --resume."
        )
    return started[-1].parent
