"""Finds the run that `phdnet-tf train` starts or resumes, or says why it cannot."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phdnet_tf.cli.options import is_given

if TYPE_CHECKING:
    from phdnet_tf.training.settings import RunSettings

ENDS = {
    "epochs": "all epochs were trained",
    "patience": "the validation loss no longer fell",
    "time limit": "the time limit was reached",
    "interrupt": "you stopped it",
    "diverged": "the loss became NaN; --resume tries again",
}
"""Why a training ended, in words."""


EXISTS = "{} exists. Choose another --name, or resume it with --resume."


def claim_run(run: Path) -> None:
    """Makes the folder of a new run.

    Raises:
        click.ClickException: If another command has just made it.
    """
    try:
        run.mkdir(parents=True)
    except FileExistsError:
        raise click.ClickException(EXISTS.format(run)) from None


def refuse_ended(run: Path, settings: RunSettings, time_limit: float | None) -> None:
    """Refuses to resume a run that has ended, unless it gets a longer time limit.

    Args:
        run: Folder of the run.
        settings: The settings that the run was started with.
        time_limit: The new time limit, in minutes.

    Raises:
        click.ClickException: If the run cannot be resumed.
    """
    ended = settings.ended_by
    if not ended or {"interrupt", "diverged"} & set(ended):
        return
    message = f"{run} has ended. Its model is {settings.published}. "
    if "time limit" not in ended:
        raise click.ClickException(
            f"{message}It cannot be trained further: {ENDS[ended[-1]]}. Start a new "
            "run, without --resume."
        )
    if settings.time_limit and (time_limit or 0) <= settings.time_limit:
        raise click.ClickException(
            f"{message}To train it further, give a --time-limit of more than "
            f"{settings.time_limit:g} minutes."
        )


def refuse_first_limit(
    run: Path, settings: RunSettings, time_limit: float | None
) -> None:
    """Refuses a time limit for a run that has begun at a constant learning rate.

    A limit would have the rate fall, which is another training; see
    `schedule.learning_rate`.

    Args:
        run: Folder of the run.
        settings: The settings that the run was started with.
        time_limit: The new time limit, in minutes.

    Raises:
        click.ClickException: If the run cannot get one.
    """
    decays = settings.time_limit is not None or settings.config.training.decay
    if time_limit is not None and not decays:
        raise click.ClickException(
            f"{run} was started without a time limit, at a constant learning rate. "
            "Drop --time-limit. Of a single network, Ctrl-C ends the training at any "
            "time and publishes the best model."
        )


def refuse_other_choices(context: click.Context, names: set[str]) -> None:
    """Refuses options that were fixed when a run was started.

    Args:
        context: Context of the command.
        names: Names of the options' parameters.

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
            "--resume keeps the settings that the run was started with. Drop "
            f"{', '.join(given)}."
        )


def find_run(runs: Path, name: str | None, resume: bool) -> Path:
    """The folder of a new run, or of the run to resume.

    Args:
        runs: Folder of the view's runs.
        name: Name of the run. By default a new run is named after the time of its
            start, and the newest run is resumed.
        resume: Whether to resume a run.

    Raises:
        click.ClickException: If a new run's folder exists, or there is no run to
            resume.
    """
    if not resume:
        run = runs / (name or time.strftime("%Y%m%d-%H%M%S"))
        if run.exists():
            raise click.ClickException(EXISTS.format(run))
        return run
    if name:
        return runs / name
    started = sorted(runs.glob("*/run.json"), key=lambda file: file.stat().st_mtime)
    if not started:
        raise click.ClickException(
            f"{runs}: no run to resume. Start one without --resume."
        )
    return started[-1].parent
