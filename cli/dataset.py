"""`phdnet-tf dataset`: check a folder of images and landmarks, or import one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from phdnet_tf.cli import options

if TYPE_CHECKING:
    from phdnet_tf.datasets.acdc.importer import Report
    from phdnet_tf.datasets.folder.check import Inspection


@click.group()
def dataset() -> None:
    """Check a data set, or make one from public data."""


@dataset.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--view",
    type=options.VIEW,
    metavar="NAME",
    help=f"View whose landmarks are expected. {options.KNOWN} are built in.",
)
@click.option(
    "--write-folds",
    is_flag=True,
    help="Write each subject's fold into the table, as the column fold. It then stays "
    "the same when rows are added or removed later.",
)
def check(folder: Path, view: str | None, write_folds: bool) -> None:
    """List every problem of FOLDER, an ASPIRE-style data set, in one pass.

    FOLDER holds landmarks.csv, with the columns subject, image, <landmark>_x,
    <landmark>_y, and the DICOM files that the table names. The exit code is 1 if there
    is an error, and 0 if there are only warnings.
    """
    from phdnet_tf.datasets.folder import folds
    from phdnet_tf.datasets.folder.check import inspect

    with options.plain_errors():
        inspection = inspect(folder, view)
    for problem in inspection.problems:
        click.echo(f"{problem.severity}: {problem}")
    click.echo(_summary(inspection))
    table = folder / inspection.table.file
    if any(problem.severity == "error" for problem in inspection.problems):
        if write_folds:
            click.echo(f"{table}: no folds were written. Correct the errors first.")
        raise click.exceptions.Exit(1)
    if write_folds:
        with options.plain_errors():
            folds.write_folds(folder, inspection.table, inspection.folds)
        click.echo(f"{table}: the column fold now has the folds.")


@dataset.group("import")
def import_() -> None:
    """Make an ASPIRE-style folder from public data."""


@import_.command()
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
def acdc(source: Path, dest: Path) -> None:
    """Import the ACDC challenge, unpacked in SOURCE, to the new folder DEST.

    Keeps the mid-ventricular slices, and derives short-axis landmarks from the expert
    masks. SOURCE may be the challenge's root, or its training or testing part. If a
    subject cannot be read, it is named, the others are imported, and the exit code is
    1. A slice whose mask does not determine the landmarks is left out. The same SOURCE
    gives the same bytes. A DEST that holds anything else is not changed.

    ACDC has its own terms: use it for non-commercial research only, and cite Bernard et
    al., IEEE TMI 2018.
    """
    from phdnet_tf.cli.progress_bars import counting
    from phdnet_tf.datasets.acdc.importer import find_subjects, import_folder

    with options.plain_errors():
        with counting("subjects", len(find_subjects(source))) as advance:
            report = import_folder(source, dest, on_subject=advance)
    for line in report.refused:
        click.echo(f"slice left out: {line}")
    for line in report.skipped:
        click.echo(f"subject skipped: {line}")
    click.echo(_import_summary(dest, report))
    if report.skipped:
        raise click.exceptions.Exit(1)


def _import_summary(dest: Path, report: Report) -> str:
    parts = [
        f"{_count(report.images, 'image')} of {_count(report.subjects, 'subject')}",
        f"{_count(len(report.refused), 'slice')} left out",
        f"{_count(len(report.skipped), 'subject')} skipped",
    ]
    if not report.images:
        parts.append("nothing was written")
    elif report.unchanged:
        parts.append("it existed already and is unchanged")
    return f"{dest}: {'; '.join(parts)}."


def _summary(inspection: Inspection) -> str:
    table, images = inspection.table, inspection.images
    subjects = {row.subject for row in table.rows}
    severities = [problem.severity for problem in inspection.problems]
    parts = [
        ", ".join(_count(severities.count(s), s) for s in ("error", "warning")),
        f"{_count(len(images), 'image')} of {_count(len(subjects), 'subject')}",
        f"landmarks {', '.join(table.landmarks) or 'none'}",
    ]
    if images:
        heights = [facts.height for facts in images.values()]
        widths = [facts.width for facts in images.values()]
        spacings = [s for facts in images.values() for s in facts.pixel_spacing]
        folds = inspection.folds
        sizes = [0] * (max(folds.values()) + 1)
        for row in table.rows:
            sizes[folds[row.subject]] += 1
        parts += [
            f"{min(heights)} to {max(heights)} rows",
            f"{min(widths)} to {max(widths)} columns",
            f"pixel spacing {min(spacings):g} to {max(spacings):g} mm",
            f"folds of {', '.join(map(str, sizes))} images",
        ]
    return "; ".join(parts) + "."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
