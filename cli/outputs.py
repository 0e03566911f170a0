"""Prints the results of `phdnet-tf predict`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phdnet_tf.cli.options import is_given
from phdnet_tf.cli.text_tables import (
    PREDICTION_HEADER,
    TRACK_HEADER,
    align,
    prediction_rows,
    track_rows,
)
from phdnet_tf.outputs.formats import PRINTED

if TYPE_CHECKING:
    from phdnet_tf.dicom.find import Skipped
    from phdnet_tf.dicom.sandbox import FileLocation
    from phdnet_tf.inference.many_images import Done
    from phdnet_tf.inference.results import Prediction

    Result = Prediction | dict[str, str]


def printed_format(formats: tuple[str, ...], output: Path | None) -> str:
    """The format of standard output; a table where there is an output folder.

    Raises:
        click.UsageError: If a format cannot be printed, or there is more than one; with
            a folder, if nothing would be written to it.
    """
    if output and set(formats) == {"table"}:
        raise click.UsageError(
            "--format table is only printed. Choose another format as well, or leave "
            "out --output."
        )
    if output:
        return "table"
    for form in formats:
        if form not in PRINTED:
            raise click.UsageError(f"--format {form} needs a folder: add --output DIR.")
    if len(set(formats)) > 1:
        raise click.UsageError(
            "Only one format can be printed. Choose one, or add --output DIR."
        )
    return formats[0] if formats else "table"


def refuse_idle_options(context: click.Context, formats: set[str]) -> None:
    """Refuses options of `predict` that would change nothing.

    Args:
        context: The command's.
        formats: What is written, or else printed.

    Raises:
        click.UsageError: If there is such an option.
    """
    server = context.params["server"]
    no_server = "needs a server: add --server URL."
    needs = {
        "overwrite": (context.params["output"], "needs a folder: add --output DIR."),
        "maps": ("png" in formats, "needs PNG: add --output DIR --format png."),
        "include_uids": (
            formats & {"json", "csv"},
            "needs JSON or CSV: add --format json.",
        ),
        "include_unrecognised": (
            formats & {"sr", "slicer"},
            "needs reports or markups: add --output DIR --format sr.",
        ),
        "server_ca": (
            (server or "").lower().startswith(("https:", "grpcs:")),
            "needs a server with TLS: add --server https://HOST:8501.",
        ),
        "server_token": (server, no_server),
        "timeout": (server, no_server),
        "models": (not server, "is a folder here, and --server has its own models."),
    }
    for name, (met, line) in needs.items():
        if is_given(context, name) and not met:
            raise click.UsageError(f"--{name.replace('_', '-')} {line}")


def show(results: Sequence[Result], done: Sequence[Done], form: str) -> None:
    """Prints predictions to standard output, and errors to standard error."""
    from phdnet_tf.outputs.formats import write_csv, write_json

    if form != "table":
        text = io.StringIO(newline="")
        write = write_json if form == "json" else write_csv
        write(results, text)
        # Unlike a stream, it fails here and not when Python ends.
        click.echo(text.getvalue(), nl=False)
    else:
        stills = [p for each in done if not each.tracks for p in each.predictions]
        rows = [row for prediction in stills for row in prediction_rows(prediction)]
        if rows:
            click.echo(align([PREDICTION_HEADER, *rows], left=2))
        cines = [row for each in done for row in track_rows(each)]
        if cines:
            click.echo(align([TRACK_HEADER, *cines], left=2))
    for result in results:
        if isinstance(result, dict):
            click.echo(f"Error: {result['error']}", err=True)


def summarise(
    skipped: Sequence[Skipped],
    reasons: dict[str, int],
    left: int,
    notes: dict[str, list[FileLocation]],
) -> None:
    """Reports on standard error the views that were used, and what was skipped."""
    for reason, count in reasons.items():
        click.echo(f"{count} series or image{'s' * (count != 1)}: {reason}.", err=True)
    if left:
        click.echo(
            f"Left out: {left} other phase{'s' * (left != 1)}. To include them, add "
            "--frames all.",
            err=True,
        )
    groups: dict[str, list[str]] = {}
    for each in skipped:
        if not each.failed:
            groups.setdefault(each.reason, []).append(str(each.source))
    for reason, names in groups.items():
        line = f"Skipped {len(names)}: {reason.rstrip('.')}: {_names(names)}"
        click.echo(line, err=True)
    for note, sources in notes.items():
        click.echo(f"Note: {_names([*map(str, sources)])}: {note}.", err=True)


def _names(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
