"""`phdnet-tf predict`: the landmarks of DICOM files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from phdnet_tf.cli import options, outputs
from phdnet_tf.cli.amounts import Amount
from phdnet_tf.outputs.formats import DEFAULTS, FORMATS
from phdnet_tf.startup import load_tensorflow

if TYPE_CHECKING:
    from phdnet_tf.dicom.find import Skipped
    from phdnet_tf.dicom.sandbox import Sandbox
    from phdnet_tf.inference.many_images import Done, Plan
    from phdnet_tf.inference.results import Locator, Prediction


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
    "--server-token",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of the token that the server asks for: serve --token-file.",
)
@click.option(
    "--timeout",
    type=Amount(min=0.1, max=86_400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Most that the server may take for an answer.",
)
@options.frames()
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="What to print; with --output, what to write, by default all but sr and "
    "slicer.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for predictions.json, predictions.csv and what each image has.",
)
@click.option(
    "--maps",
    is_flag=True,
    help="Show in the PNG where the patches' votes lie, at the first look.",
)
@options.spacing_of_bare_files
@click.option(
    "--include-uids",
    is_flag=True,
    help="Write study, series and image UIDs into JSON and CSV.",
)
@click.option(
    "--include-unrecognised",
    is_flag=True,
    help="Write reports and markups of frames, too, that do not look like the model's "
    "view. They say so.",
)
@options.overwrite
def predict(
    images: tuple[Path, ...],
    view: str | None,
    model: Path | None,
    models: Path,
    server: str | None,
    server_ca: Path | None,
    server_token: Path | None,
    timeout: float,
    which: str | int | None,
    formats: tuple[str, ...],
    output: Path | None,
    maps: bool,
    pixel_spacing: tuple[float, float] | None,
    include_uids: bool,
    include_unrecognised: bool,
    overwrite: bool,
) -> None:
    """Locate the landmarks of IMAGE: DICOM files, folders, zip archives, DICOMDIRs.

    Coordinates are pixels of the image; (0, 0) is the centre of the top-left pixel. A
    file that cannot be read is named, the others are predicted, and the exit code is 1.

    Files of one series and slice are a cine. Without --view or --model, its
    description or orientation tells which model takes it, and both are shown.
    """
    printed = outputs.printed_format(formats, output)
    written = (set(formats) or DEFAULTS) if output else set()
    outputs.refuse_idle_options(click.get_current_context(), written or {printed})
    if server and model:
        raise click.UsageError(
            "--model is a folder here. Name the server's model behind its address: "
            f"--server {server.rstrip('/')}/phdnet_sa/3."
        )
    with options.plain_errors():
        paths = [] if server else options.find_models(model, models, view)

    from phdnet_tf.dicom.sandbox import Sandbox
    from phdnet_tf.dicom.survey import survey

    # The sandbox is closed before the thread is waited for: Ctrl-C ends both at once.
    with (
        options.plain_errors(),
        _stopping(),
        options.claimed(output, overwrite) as folder,
        ThreadPoolExecutor(1) as aside,
        Sandbox() as sandbox,
    ):
        named = server and urlsplit(server).path.strip("/")
        # The headers are read while TensorFlow is loaded, which takes seconds.
        read: list[None] = []
        looking = aside.submit(
            survey,
            list(images),
            sandbox,
            advance=lambda: read.append(None),
            localisers=bool(view or model or named),
        )
        load_tensorflow()
        from phdnet_tf.cli.progress_bars import counting, wait_for
        from phdnet_tf.inference.many_images import plan, predict_jobs

        if server:
            predictors = _connect(server, view, timeout, server_ca, server_token)
        else:
            predictors = _load(paths, view)
        chosen = next(iter(predictors)) if model or view or named else None
        found = wait_for(looking, "reading headers", lambda: len(read))
        planned = plan(found.cines, list(predictors), chosen, which)
        skipped = [*found.skipped, *planned.skipped]
        outputs.summarise(skipped, planned.reasons, planned.left, found.notes)
        results: list[Prediction | dict[str, str]] = [
            {"image": str(each.source), "error": each.reason}
            for each in skipped
            if each.failed
        ]
        _refuse_nothing(images, planned, skipped)
        writer = None
        if folder:
            # Which imports matplotlib.
            from phdnet_tf.outputs.writer import PredictionWriter

            writer = PredictionWriter(
                folder,
                written,
                sandbox,
                pixel_spacing,
                predictors if maps else None,
                include_unrecognised,
            )
        done: list[Done] = []
        total = sum(len(job.frames) for job in planned.jobs)
        stopped = False
        try:
            with counting("images", total) as advance:
                for _, finished in predict_jobs(
                    planned.jobs, predictors, sandbox, pixel_spacing
                ):
                    if finished is not None:
                        if include_uids:
                            finished = _with_uids(finished, sandbox)
                        done.append(finished)
                        results += finished.predictions
                        results += [
                            {"image": str(frame.file.source), "error": str(error)}
                            for frame, error in finished.errors
                        ]
                        if writer:
                            results += [
                                {"image": str(finished.job.frames[0]), "error": line}
                                for line in writer.write(finished)
                            ]
                    advance()
        except KeyboardInterrupt:
            stopped = True
            count = sum(len(each.frames) for each in done)
            click.echo(f"Stopped after {count} of {total} images.", err=True)
        finally:
            # Whatever ended the loop, what was predicted before is not lost.
            if writer:
                results += [
                    {"image": str(output), "error": line}
                    for line in writer.finish(results, done)
                ]
                click.echo(f"Written to {output}", err=True)
            outputs.show(results, done, printed)
    if stopped:
        raise click.exceptions.Exit(130)
    if any(isinstance(result, dict) for result in results):
        raise click.exceptions.Exit(1)


@contextmanager
def _stopping() -> Iterator[None]:
    """Turns Ctrl-C where nothing is predicted yet into a line and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        raise click.exceptions.Exit(130) from None


def _load(paths: list[Path], view: str | None) -> dict[str, Locator]:
    """The models on disk, by their views."""
    from phdnet_tf.inference.predictor import Predictor

    predictors = [Predictor(path) for path in paths]
    _require_view(predictors[0], paths[0], view)
    return {predictor.view: predictor for predictor in predictors}


def _connect(
    server: str,
    view: str | None,
    timeout: float,
    authority: Path | None,
    token_file: Path | None,
) -> dict[str, Locator]:
    """The models on a server, by their views."""
    from phdnet_tf.client.client import connect
    from phdnet_tf.server.config import token

    clients = connect(server, view, timeout, authority, token(token_file))
    for client in clients.values():
        _require_view(client, client.name, view)
    return {**clients}


def _require_view(locator: Locator, name: Path | str, view: str | None) -> None:
    if view not in (None, locator.view):
        raise click.UsageError(f"{name} is a model of {locator.view}, not of {view}.")


def _refuse_nothing(
    images: tuple[Path, ...], planned: Plan, skipped: list[Skipped]
) -> None:
    """Ends the command where there is nothing to predict, nor failures to tell of.

    Raises:
        click.ClickException: If so; a usage error where --view would help.
    """
    told = planned.skipped[:1]
    if planned.jobs or any(each.failed and each not in told for each in skipped):
        return
    if told:
        raise click.UsageError(told[0].reason)
    names = ", ".join(map(str, images))
    raise click.ClickException(
        f"{names}: found no image to predict. Name files of MR, or their folder; to "
        "include localisers, choose the model with --view or --model."
    )


def _with_uids(done: Done, sandbox: Sandbox) -> Done:
    """The same, each prediction with the identifiers of its image.

    Where an image can no longer be read, an error says so, and there are none.
    """
    from phdnet_tf.dicom.errors import DicomError

    predictions = []
    errors = list(done.errors)
    for frame, prediction in zip(done.frames, done.predictions, strict=True):
        try:
            identity = sandbox.identity(frame.file.source, frame.token)
        except DicomError as error:
            line = f"{error} Its landmarks are written without UIDs."
            errors.append((frame, DicomError(line)))
        else:
            uids = {
                "study": identity["StudyInstanceUID"],
                "series": identity["SeriesInstanceUID"],
                "instance": identity["SOPInstanceUID"],
            }
            origin = prediction.origin | {"uids": uids}
            prediction = dataclasses.replace(prediction, origin=origin)
        predictions.append(prediction)
    return dataclasses.replace(
        done, predictions=tuple(predictions), errors=tuple(errors)
    )
