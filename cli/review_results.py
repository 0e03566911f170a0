"""`phdnet-tf review export` and `stats`: what a review has found."""

from __future__ import annotations

import json
from pathlib import Path

import click

from phdnet_tf.cli import options

PROJECT = click.Path(file_okay=False, path_type=Path)
FORMATS = ("folder", "csv", "slicer", "sr")


@click.command()
@click.argument("folder", metavar="PROJECT", type=PROJECT)
@click.option(
    "--output", required=True, type=PROJECT, help="New folder for what is exported."
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="A folder for 'train --data' (default); a table; markups; reports for a PACS.",
)
@click.option(
    "--accepted",
    is_flag=True,
    help="Into the folder for training, also points that were accepted unmoved.",
)
@click.option("--reader", help="Whose points, where several looked and nobody decided.")
@click.option(
    "--verified-as",
    nargs=2,
    metavar="NAME ORGANIZATION",
    help="Mark reports VERIFIED by you: 'Family^Given' 'Hospital'.",
)
@click.option(
    "--previous",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of exported reports that the verified ones replace.",
)
@options.spacing_of_bare_files
@options.overwrite
def export(
    folder: Path,
    output: Path,
    formats: tuple[str, ...],
    accepted: bool,
    reader: str | None,
    verified_as: tuple[str, str] | None,
    previous: Path | None,
    pixel_spacing: tuple[float, float] | None,
    overwrite: bool,
) -> None:
    """Write the reviewed points of PROJECT.

    The folder is as 'train --data' takes it, and holds no identity: without --accepted,
    of each image only the points that a human has placed. The other formats hold all
    that was reviewed. What its reader is unsure of is in none.
    """
    if previous and not verified_as:
        raise click.UsageError("--previous is for reports with --verified-as.")
    if verified_as and "sr" not in formats:
        raise click.UsageError("--verified-as is for --format sr.")
    from phdnet_tf.dicom.sandbox import Sandbox
    from phdnet_tf.review import export as tables
    from phdnet_tf.review.pictures import Pictures
    from phdnet_tf.review.project import Project

    chosen = formats or ("folder",)
    lines: list[str] = []
    with options.plain_errors():
        project = Project(folder)
        selection = tables.select(project, reader)
        with options.claimed(output, overwrite) as claimed, Sandbox() as sandbox:
            assert claimed is not None
            pictures = Pictures(project, sandbox, pixel_spacing)
            if "folder" in chosen:
                count, found = tables.write_folder(
                    project, selection, pictures, claimed, accepted
                )
                click.echo(f"{count} images with points in {output}")
                lines += found
            if "csv" in chosen:
                count = tables.write_points(selection, claimed)
                click.echo(f"{count} points in {output / tables.POINTS}")
            if "slicer" in chosen or "sr" in chosen:
                from phdnet_tf.review import reports

                if "slicer" in chosen:
                    count, found = reports.write_slicer(project, selection, claimed)
                    click.echo(f"{count} files of markups in {output}")
                    lines += found
                if "sr" in chosen:
                    count, found = reports.write_reports(
                        *(project, selection, pictures, claimed),
                        *(verified_as, previous),
                    )
                    click.echo(f"{count} reports in {output}")
                    lines += found
    if selection.unsure:
        click.echo(f"{selection.unsure} points left out: unsure.", err=True)
    for line in lines:
        click.echo(line, err=True)
    if lines:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("folder", metavar="PROJECT", type=PROJECT)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def stats(folder: Path, form: str) -> None:
    """Corrections in mm, how far the radii held, and how readers agree."""
    from phdnet_tf.review.project import Project
    from phdnet_tf.review.stats import statistics

    with options.plain_errors():
        found = statistics(Project(folder))
    if form == "json":
        click.echo(json.dumps(found, indent=2))
        return
    for name, own in found["landmarks"].items():
        counts = ", ".join(
            f"{own[key]} {key}" for key in ("accepted", "corrected", "absent", "unsure")
        )
        click.echo(f"{name}: {counts}")
        if own["moved_mm"]:
            click.echo(
                "  moved: {mean:.1f} mm in the mean, {median:.1f} in the median,"
                " 95 % within {p95:.1f}".format(**own["moved_mm"])
            )
        if own["radii"]:
            held = ", ".join(
                f"{count} within the {radius} % radius"
                for radius, count in own["radii"]["within"].items()
            )
            click.echo(f"  of {own['radii']['points']} drawn by chance: {held}")
    for pair in found["readers"]:
        click.echo(f"{' and '.join(pair['readers'])}:")
        for name, summary in pair["mm"].items():
            click.echo(
                f"  {name}: {summary['points']} points, {summary['mean']:.1f} mm "
                f"apart in the mean, {summary['median']:.1f} in the median"
            )
        click.echo(
            f"  {len(pair['outliers'])} far apart, {pair['absent_for_one']} "
            "absent for one: 'review open --decide'"
        )
    for name, seconds in found["seconds"].items():
        click.echo(f"{name}: {seconds:.1f} s an image in the median")
