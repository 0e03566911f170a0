"""`phdnet-tf batch`: predict a whole archive, on one machine or many."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.workers import connected
from phdnet_tf.startup import cores

if TYPE_CHECKING:
    from phdnet_tf.batch.manifest import Manifest
    from phdnet_tf.batch.run import Engine, Summary

WITHOUT = "plan the batch and work without it: --shard 1/1"
"""What to do where Dask is not installed."""

sources = click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    type=click.Path(exists=True, path_type=Path),
)
listed = click.option(
    "--list",
    "listed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Text file with further sources, one path per line.",
)
output = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the plan, the results and the errors.",
)


class Slice(click.ParamType):
    """A slice of an archive, such as 3/64."""

    name = "slice"

    def convert(
        self,
        value: str,
        parameter: click.Parameter | None,
        context: click.Context | None,
    ) -> tuple[int, int]:
        """Splits I/N into the number of the slice, from 1, and the number of slices."""
        number, _, of = value.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            self.fail(
                f"{value!r} is not I/N with I from 1 to N, such as 3/64.",
                parameter,
                context,
            )
        return int(number), int(of)


@click.group()
def batch() -> None:
    """Locate landmarks in a whole archive. An interrupted batch can be resumed."""


@batch.command("plan")
@sources
@listed
@output
def plan_command(sources: tuple[Path, ...], listed: Path | None, output: Path) -> None:
    """Index the studies and files in SOURCE: folders, zip archives, DICOMDIRs, files.

    This step is optional: 'batch run' makes the index if there is none.
    """
    from phdnet_tf.batch.layout import alone

    with options.plain_errors(), _stopping(output), alone(output):
        _plan(sources, listed, output)


@batch.command("run")
@sources
@listed
@output
@options.view
@options.model
@options.models
@options.frames()
@options.spacing_of_bare_files
@click.option(
    "--shard-images",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Approximate number of images per shard. A study is never split.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes on this machine. Default: one per processor core.",
)
@options.scheduler
@click.option(
    "--shard",
    "piece",
    type=Slice(),
    metavar="I/N",
    help="Process only the I-th of N slices, in one process without Dask: for job "
    "arrays. Run 'batch plan' first.",
)
def run_command(
    sources: tuple[Path, ...],
    listed: Path | None,
    output: Path,
    view: str | None,
    model: Path | None,
    models: Path,
    which: str | int | None,
    pixel_spacing: tuple[float, float] | None,
    shard_images: int,
    workers: int | None,
    scheduler: str | None,
    piece: tuple[int, int] | None,
) -> None:
    """Locate the landmarks of all images in SOURCE, or in the planned files.

    Writes parts/*.parquet, with a row for each landmark, and errors.parquet, with a
    row for each file that could not be used. If it is interrupted, the same command
    resumes it. The exit code is 1 until every shard is done; with --shard, every
    shard of the slice.
    """
    if sum(each is not None for each in (workers, scheduler, piece)) > 1:
        raise click.UsageError("Give only one of --workers, --scheduler and --shard.")
    # Workers may be started in another folder.
    output = Path(os.path.abspath(output))
    from phdnet_tf.batch.layout import INDEX, alone
    from phdnet_tf.batch.manifest import claim, describe_model
    from phdnet_tf.batch.plan import require_same_sources
    from phdnet_tf.batch.run import slice_of

    with options.plain_errors(), _stopping(output):
        paths = options.find_models(model, models, view)
        described = [describe_model(path) for path in paths]
        if view not in (None, described[0].view):
            raise click.UsageError(
                f"{paths[0]} is a model of the view {described[0].view}, not of {view}."
            )
        chosen = described[0].view if model or view else None

        def manifest() -> Manifest:
            if (output / INDEX).exists() and (sources or listed):
                require_same_sources(sources, listed, output)
            wanted = (described, chosen, which, pixel_spacing, shard_images)
            return claim(output, *wanted)

        if piece:
            own = manifest()
            from phdnet_tf.workers.processes import run_here

            _run(output, own, slice_of(own, output, *piece), run_here)
        else:
            with alone(output):
                if not (output / INDEX).exists():
                    _plan(sources, listed, output)
                own = manifest()
                with connected(workers or cores(), scheduler, WITHOUT) as client:
                    from phdnet_tf.workers.engine import run_on

                    engine = functools.partial(run_on, client)
                    _run(output, own, slice_of(own, output), engine)
    if slice_of(own, output, *(piece or (1, 1))):
        raise click.exceptions.Exit(1)


@batch.command()
@click.argument(
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
def report(folder: Path) -> None:
    """Write DIR/report.html: what the batch in DIR has found so far.

    It is one page that opens without a network. It shows distributions by view, the
    images that were not recognised, the failures, the slow files, and the fifty least
    certain images.
    """
    from phdnet_tf.batch.manifest import load_manifest
    from phdnet_tf.batch.report import write_report

    with options.plain_errors():
        path = write_report(folder, load_manifest(folder))
    click.echo(f"Written to {path}", err=True)


def _plan(sources: tuple[Path, ...], listed: Path | None, output: Path) -> None:
    from phdnet_tf.batch.index import INDEX, Index
    from phdnet_tf.batch.plan import plan, require_same_sources
    from phdnet_tf.cli.progress_bars import count_up

    if (output / INDEX).exists():
        require_same_sources(sources, listed, output)
        click.echo(f"{output} has a plan already.", err=True)
        return
    if not sources and not listed:
        raise click.UsageError(f"{output} has no plan yet. Name a SOURCE, or --list.")
    with count_up("reading headers") as advance:
        plan(sources, listed, output, cores(), advance)
    with Index(output) as index:
        studies, files = index.totals()
        failed = sum(1 for _ in index.failures())
        skipped = index.about()["skipped"]
    click.echo(f"Planned {files} files of {studies} studies.", err=True)
    for reason, count in skipped.items():
        click.echo(f"Left out {count}: {reason.rstrip('.')}.", err=True)
    if failed:
        click.echo(f"{failed} files cannot be used.", err=True)


def _run(output: Path, manifest: Manifest, shards: list[int], engine: Engine) -> None:
    """Processes shards, shows the progress, and prints a summary."""
    from phdnet_tf.batch.run import finish, run, slice_of, summarise
    from phdnet_tf.cli.progress_bars import batch_display

    with batch_display() as show:
        for progress in run(output, shards, engine):
            show(progress)
    while True:
        summary = summarise(output, manifest)
        finish(output, summary)
        # Other slices may have ended meanwhile, and what they wrote was replaced.
        if len(slice_of(manifest, output)) == summary.missing:
            break
    _tell(output, summary)


def _tell(output: Path, summary: Summary) -> None:
    record = summary.record
    done = summary.shards - summary.missing
    lines = [
        f"{done} of {summary.shards} shards are done: {record.images} images of "
        f"{record.studies} studies.",
        f"Not recognised: {record.unrecognised}. Failed: {len(record.errors)}; see "
        f"{output / 'errors.parquet'}.",
    ]
    if record.left:
        lines.append(
            f"Left out: {record.left} other phases. To include them, add --frames all."
        )
    for reason, count in record.reasons.most_common():
        lines.append(f"{count} series or images: {reason}.")
    for reason, count in record.skipped.most_common():
        lines.append(f"Left out {count}: {reason.rstrip('.')}.")
    if summary.missing:
        lines.append(
            f"{summary.missing} shards are not done. Run the same command to resume."
        )
    else:
        lines.append(f"For a report: phdnet-tf batch report {output}")
    for line in lines:
        click.echo(line, err=True)


@contextmanager
def _stopping(output: Path) -> Iterator[None]:
    """Turns Ctrl-C into a line and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"Stopped. Finished shards are kept in {output}.", err=True)
        raise click.exceptions.Exit(130) from None
