"""`phdnet-tf review export` and `stats`: the results of a review."""

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
    "--output", required=True, type=PROJECT, help="New folder for the exported files."
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="folder: images for 'train --data' (default). csv: a table. slicer: markups. "
    "sr: DICOM reports for a PACS.",
)
@click.option(
    "--accepted",
    is_flag=True,
    help="Also write accepted points, which nobody moved, to the folder for training.",
)
@click.option(
    "--reader",
    help="Reader whose points are exported where readers differ and nobody decided.",
)
@click.option(
    "--verified-as",
    nargs=2,
    metavar="NAME ORGANIZATION",
    help="Mark the reports VERIFIED by you, for example 'Family^Given' 'Hospital'.",
)
@click.option(
    "--previous",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of earlier reports that the verified ones replace.",
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

    The format folder can be given to 'train --data', and holds no patient identity.
    It has the points that a human has placed; --accepted adds those that a human
    accepted unmoved. The other formats hold all reviewed points. No format holds the
    points that the reader marked as unsure.
    """
    if previous and not verified_as:
        raise click.UsageError("--previous needs --verified-as.")
    if previous and previous.resolve() == output.resolve():
        raise click.UsageError(
            "--previous is the --output folder, whose reports are replaced before they "
            "are read. Choose another --output."
        )
    if verified_as and "sr" not in formats:
        raise click.UsageError("--verified-as needs --format sr.")
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
                    click.echo(f"{count} markup files in {output}")
                    lines += found
                if "sr" in chosen:
                    count, found = reports.write_reports(
                        *(project, selection, pictures, claimed),
                        *(verified_as, previous),
                    )
                    click.echo(f"{count} reports in {output}")
                    lines += found
    if selection.unsure:
        click.echo(
            f"Left out: {selection.unsure} points that the reader is unsure of.",
            err=True,
        )
    for line in lines:
        click.echo(line, err=True)
    if lines:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("folder", metavar="PROJECT", type=PROJECT)
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def stats(folder: Path, form: str) -> None:
    """Show corrections in mm, the coverage of the radii, and readers' agreement."""
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
                "  moved: mean {mean:.1f} mm, median {median:.1f} mm, 95th percentile "
                "{p95:.1f} mm".format(**own["moved_mm"])
            )
        if own["radii"]:
            held = ", ".join(
                f"{count} within the {radius} % radius"
                for radius, count in own["radii"]["within"].items()
            )
            click.echo(f"  of {own['radii']['points']} random points: {held}")
    for pair in found["readers"]:
        click.echo(f"{' and '.join(pair['readers'])}:")
        for name, summary in pair["mm"].items():
            click.echo(
                f"  {name}: {summary['points']} points, distance: mean "
                f"{summary['mean']:.1f} mm, median {summary['median']:.1f} mm"
            )
        click.echo(
            f"  {len(pair['outliers'])} far apart, {pair['absent_for_one']} "
            "absent for one reader only. Decide with 'review open --decide'."
        )
    for name, seconds in found["seconds"].items():
        click.echo(f"{name}: median {seconds:.1f} s per image")
