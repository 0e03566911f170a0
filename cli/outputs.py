"""What `phdnet-tf predict` prints and writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from phdnet_tf.cli.table import (
    PREDICTION_HEADER,
    TRACK_HEADER,
    align,
    prediction_rows,
    track_rows,
)

if TYPE_CHECKING:
    from phdnet_tf.batch import Done
    from phdnet_tf.decoder import Decoder
    from phdnet_tf.dicom import MRImage
    from phdnet_tf.inference import Prediction, Predictor
    from phdnet_tf.series import Frame, Skipped

    Result = Prediction | dict[str, str]

PRINTED = ("table", "json", "csv")
"""Formats that go to standard output; the others are files."""

FORMATS = (*PRINTED, "png", "gif", "tracks", "sr", "slicer")
DEFAULTS = {"json", "csv", "png", "gif", "tracks"}
"""What is written if nothing else is asked for."""


def printed_format(formats: tuple[str, ...], output: Path | None) -> str:
    """The one format that goes to standard output.

    Raises:
        click.UsageError: If there is none, or more than one.
    """
    if output:
        return "table"
    for form in formats:
        if form not in PRINTED:
            raise click.UsageError(f"--format {form} needs a folder: add --output DIR.")
    if len(set(formats)) > 1:
        raise click.UsageError(
            "One format can be printed at a time. Choose one, or add --output DIR."
        )
    return formats[0] if formats else "table"


def show(results: Sequence[Result], done: Sequence[Done], form: str) -> None:
    """Prints predictions to standard output, and errors to standard error."""
    from phdnet_tf.formats import write_csv, write_json

    if form == "json":
        write_json(results, sys.stdout)
    elif form == "csv":
        write_csv(results, sys.stdout)
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


def summarise(skipped: Sequence[Skipped], reasons: dict[str, int], left: int) -> None:
    """Says on standard error which view was taken and why, and what was skipped."""
    for reason, count in reasons.items():
        click.echo(f"{count} series or image{'s' * (count != 1)}: {reason}.", err=True)
    if left:
        click.echo(
            f"Left out: {left} other phase{'s' * (left != 1)} (--frames all for them).",
            err=True,
        )
    groups: dict[str, list[str]] = {}
    for each in skipped:
        if not each.failed:
            groups.setdefault(each.reason, []).append(str(each.source))
    for reason, names in groups.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        click.echo(
            f"Skipped {len(names)}: {reason.rstrip('.')}: {names[0]}{more}", err=True
        )


class Writer:
    """The output folder.

    Args:
        folder: Where everything goes; made when it is needed.
        formats: What to write.
        decoder: Reads images again, to draw them.
        predictors: For the candidate maps beside the pictures; None for none.
    """

    def __init__(
        self,
        folder: Path,
        formats: set[str],
        decoder: Decoder,
        pixel_spacing: tuple[float, float] | None,
        predictors: dict[str, Predictor] | None,
    ) -> None:
        """Makes the folder."""
        self._folder, self._formats, self._decoder = folder, formats, decoder
        self._spacing, self._predictors = pixel_spacing, predictors
        self._names: dict[Path, list[str]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, done: Done) -> Iterator[str]:
        """Writes the files of one cine or still.

        Yields:
            What could not be written, in a line that says why.
        """
        if "png" in self._formats:
            self._pictures(done)
        stem = self._cine_stem(done)
        if done.tracks and "tracks" in self._formats:
            from phdnet_tf.plots_cine import save_tracks

            title = f"{stem.name}   {done.predictions[0].model}"
            with _whole(stem.with_name(f"{stem.name}-tracks.png")) as path:
                save_tracks(path, done.tracks, done.predictions, title)
        if done.tracks and "gif" in self._formats:
            self._animation(done, stem.with_name(f"{stem.name}.gif"))
        if done.predictions and "sr" in self._formats:
            yield from self._report(done, stem.with_name(f"{stem.name}-sr.dcm"))
        if "slicer" in self._formats:
            yield from self._markups(done)

    def finish(self, results: Sequence[Result], done: Sequence[Done]) -> None:
        """Writes what holds all results."""
        from phdnet_tf.formats import write_cines, write_csv, write_json

        everything: list[tuple[str, str, Callable[[TextIO], None]]] = [
            ("json", "predictions.json", lambda file: write_json(results, file)),
            ("csv", "predictions.csv", lambda file: write_csv(results, file)),
        ]
        if any(each.tracks for each in done):
            everything.append(
                ("tracks", "cines.json", lambda file: write_cines(done, file))
            )
        for form, name, write in everything:
            if form in self._formats:
                with _whole(self._folder / name) as path:
                    with path.open("w", newline="") as stream:
                        write(stream)

    def _images(self, done: Done) -> Iterator[tuple[Frame, Prediction, MRImage]]:
        """The frames again, one at a time: none is kept when it is predicted."""
        from phdnet_tf.dicom import DicomError

        pairs = zip(done.frames, done.predictions, strict=True)
        wanted = ((pair, pair[0].file.source, pair[0].number) for pair in pairs)
        for pair, image in self._decoder.images(wanted, self._spacing):
            # It was read before; a file that is gone by now is left out.
            if not isinstance(image, DicomError):
                yield *pair, image

    def _pictures(self, done: Done) -> None:
        from phdnet_tf.plots import save_overlay

        for frame, prediction, image in self._images(done):
            maps = None
            if self._predictors is not None:
                maps = self._predictors[done.job.view].candidate_maps(image)
            with _whole(self._name(frame, ".png")) as path:
                save_overlay(path, image.pixels, prediction, maps)

    def _animation(self, done: Done, target: Path) -> None:
        from phdnet_tf.plots_cine import save_animation

        images = ((image.pixels, found) for _, found, image in self._images(done))
        with _whole(target) as path:
            save_animation(path, images, done.job.cine.heart_beat)

    def _report(self, done: Done, target: Path) -> Iterator[str]:
        from phdnet_tf.dicom import DicomError
        from phdnet_tf.report import Reported, save_report

        try:
            reported = [
                Reported(
                    prediction,
                    self._decoder.identity(frame.file.source),
                    frame.number if frame.of > 1 else None,
                )
                for frame, prediction in zip(done.frames, done.predictions, strict=True)
            ]
            with _whole(target) as path:
                save_report(path, reported)
        except (DicomError, ValueError) as error:
            yield str(error)

    def _markups(self, done: Done) -> Iterator[str]:
        from phdnet_tf.formats import write_markups

        for frame, prediction in zip(done.frames, done.predictions, strict=True):
            try:
                with _whole(self._name(frame, ".mrk.json")) as path:
                    with path.open("w") as stream:
                        write_markups(prediction, stream)
            except ValueError as error:
                yield str(error)

    def _cine_stem(self, done: Done) -> Path:
        """Of the names of what a whole cine, or a still, has one of."""
        first = self._name(done.job.frames[0], "")
        if len(done.job.frames) == 1:
            return first
        return first.with_name(f"cine-{done.job.number}")

    def _name(self, frame: Frame, ending: str) -> Path:
        """The file for a frame, with a number where two would have the same name."""
        # The whole name is kept: files of a series may differ in the ending only.
        name = frame.file.name
        stem = name.with_suffix("") if name.suffix.lower() == ".dcm" else name
        if frame.of > 1:
            stem = stem.with_name(f"{stem.name}-frame{frame.number:03d}")
        taken = self._names.setdefault(stem, [])
        if str(frame.file.source) not in taken:
            taken.append(str(frame.file.source))
        number = taken.index(str(frame.file.source)) + 1
        end = f"-{number}{ending}" if number > 1 else ending
        return self._folder / stem.with_name(stem.name + end)


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A name to write to, which becomes the target when all of it is written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".unfinished{target.suffix}")
    try:
        yield unfinished
        if unfinished.exists():  # Of files that are gone meanwhile nothing is drawn.
            os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
