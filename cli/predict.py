"""`phdnet-tf predict`: the landmarks of DICOM files."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.startup import load_tensorflow

if TYPE_CHECKING:
    from phdnet_tf.dicom import MRImage
    from phdnet_tf.inference import Locator, Prediction

FORMATS = ("table", "json", "csv", "png")


def _spacing(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        row, column = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not ROW,COLUMN in mm, such as 1.5,1.5."
        ) from None
    if not (0 < row < 100 and 0 < column < 100):
        raise click.BadParameter(f"{value!r} is not between 0 and 100 mm.")
    return row, column


@click.command()
@click.argument(
    "images",
    metavar="IMAGE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@options.view
@options.model
@options.models
@click.option(
    "--server",
    metavar="URL",
    help="Ask a server: http://HOST:8501 or grpc://HOST:8500, with TLS https or grpcs; "
    "behind it /MODEL or /MODEL/VERSION if needed. Only pixels and spacing are sent.",
)
@click.option(
    "--server-ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file of the authority that signed the server's certificate.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="What to print; with --output, what to write, by default json, csv and png.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for predictions.json, predictions.csv and a PNG for each image.",
)
@click.option(
    "--maps", is_flag=True, help="Show in the PNG where the patches' votes lie."
)
@click.option(
    "--pixel-spacing",
    callback=_spacing,
    metavar="ROW,COLUMN",
    help="In mm, for files that have no PixelSpacing.",
)
def predict(
    images: tuple[Path, ...],
    view: str | None,
    model: Path | None,
    models: Path,
    server: str | None,
    server_ca: Path | None,
    formats: tuple[str, ...],
    output: Path | None,
    maps: bool,
    pixel_spacing: tuple[float, float] | None,
) -> None:
    """Locate the landmarks of IMAGE, single-frame DICOM files or folders of them.

    Coordinates are pixels of the image; (0, 0) is the centre of the top-left pixel. A
    file that cannot be read is named, the others are predicted, and the exit code is 1.
    """
    printed = _printed(formats, output)
    written = (set(formats) or {"json", "csv", "png"}) if output else set()
    if server and model:
        raise click.UsageError(
            "--model is a folder here. Name the server's model behind its address: "
            f"--server {server.rstrip('/')}/phdnet_sa/3."
        )
    path = None if server else options.find_model(model, models, view)

    load_tensorflow()
    from phdnet_tf.cli.progress import counting
    from phdnet_tf.inference import find_images, predict_files

    with options.plain_errors():
        predictor = _locator(path, server, view, server_ca)
        if view not in (None, predictor.view):
            raise click.UsageError(
                f"{path or predictor.name} is a model of {predictor.view}, not of "
                f"{view}."
            )
        files = list(find_images(list(images)))
        if not files:
            raise click.ClickException(
                f"{', '.join(map(str, images))}: found no DICOM file."
            )
        if output:
            output.mkdir(parents=True, exist_ok=True)
        results: list[Prediction | dict[str, str]] = []
        names = _unique([name for _, name in files])
        stopped = False
        try:
            with counting("images", len(files)) as advance:
                answers = predict_files(
                    predictor, [file for file, _ in files], pixel_spacing
                )
                for (file, _), name, found in zip(files, names, answers, strict=True):
                    if isinstance(found, tuple):
                        results.append(found[0])
                        if output and "png" in written:
                            _draw(output / name, *found, predictor if maps else None)
                    else:
                        results.append({"image": str(file), "error": str(found)})
                    advance()
        except KeyboardInterrupt:
            stopped = True
            click.echo(
                f"Stopped after {len(results)} of {len(files)} images.", err=True
            )
        _print(results, printed)
        if output:
            for kind, write in (("json", _write_json), ("csv", _write_csv)):
                if kind in written:
                    target = output / f"predictions.{kind}"
                    with target.open("w", newline="") as stream:
                        write(results, stream)
            click.echo(f"Written to {output}", err=True)
    if stopped:
        raise click.exceptions.Exit(130)
    if any(isinstance(result, dict) for result in results):
        raise click.exceptions.Exit(1)


def _locator(
    path: Path | None, server: str | None, view: str | None, authority: Path | None
) -> Locator:
    """The model on disk, or without a path the one on the server."""
    if path:
        from phdnet_tf.inference import Predictor

        return Predictor(path)
    from phdnet_tf.client import Client

    return Client(server or "", view, authority=authority)


def _printed(formats: tuple[str, ...], output: Path | None) -> str:
    """The one format that goes to standard output."""
    if output:
        return "table"
    if "png" in formats:
        raise click.UsageError("--format png needs a folder: add --output DIR.")
    if len(set(formats)) > 1:
        raise click.UsageError(
            "One format can be printed at a time. Choose one, or add --output DIR."
        )
    return formats[0] if formats else "table"


def _unique(names: list[Path]) -> list[Path]:
    """The names with .png, and with a number where two would be the same."""
    taken: dict[Path, int] = {}
    unique = []
    for name in names:
        # The whole name is kept: files of a series may differ in the ending only.
        stem = name.with_suffix("") if name.suffix.lower() == ".dcm" else name
        number = taken[stem] = taken.get(stem, 0) + 1
        end = f"-{number}.png" if number > 1 else ".png"
        unique.append(stem.with_name(stem.name + end))
    return unique


def _draw(
    path: Path, prediction: Prediction, image: MRImage, predictor: Locator | None
) -> None:
    from phdnet_tf.plots import save_overlay

    path.parent.mkdir(parents=True, exist_ok=True)
    maps = predictor.candidate_maps(image) if predictor else None
    save_overlay(path, image.pixels, prediction, maps)


def _print(results: list[Prediction | dict[str, str]], form: str) -> None:
    if form == "json":
        _write_json(results, sys.stdout)
    elif form == "csv":
        _write_csv(results, sys.stdout)
    else:
        from phdnet_tf.cli.table import PREDICTION_HEADER, align, prediction_rows

        rows = [PREDICTION_HEADER]
        for result in results:
            if not isinstance(result, dict):
                rows += prediction_rows(result)
        if len(rows) > 1:
            click.echo(align(rows, left=2))
    for result in results:
        if isinstance(result, dict):
            click.echo(f"Error: {result['error']}", err=True)


def _write_json(results: list[Prediction | dict[str, str]], stream: TextIO) -> None:
    plain: list[Any] = [r if isinstance(r, dict) else r.to_dict() for r in results]
    json.dump(plain, stream, indent=2)
    stream.write("\n")


def _write_csv(results: list[Prediction | dict[str, str]], stream: TextIO) -> None:
    columns = "image view model landmark x y confidence high_confidence".split()
    writer = csv.writer(stream)
    writer.writerow(columns)
    for result in results:
        if isinstance(result, dict):
            continue
        for landmark in result.landmarks:
            writer.writerow(
                [result.image, result.view, result.model]
                + [landmark.name, landmark.x, landmark.y, landmark.confidence]
                + [int(landmark.high_confidence)]
            )
