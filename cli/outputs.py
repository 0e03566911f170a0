"""What `phdnet-tf predict` prints and writes."""

from __future__ import annotations

import itertools
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
from phdnet_tf.files import whole_file

if TYPE_CHECKING:
    import numpy as np

    from phdnet_tf.dicom.cines import Frame
    from phdnet_tf.dicom.find import Skipped
    from phdnet_tf.dicom.image import MRImage
    from phdnet_tf.dicom.sandbox import FileLocation, Sandbox
    from phdnet_tf.inference.many_images import Done
    from phdnet_tf.inference.results import Locator, Prediction

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
    from phdnet_tf.outputs.formats import write_csv, write_json

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


def summarise(
    skipped: Sequence[Skipped],
    reasons: dict[str, int],
    left: int,
    notes: dict[str, list[FileLocation]],
) -> None:
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
        line = f"Skipped {len(names)}: {reason.rstrip('.')}: {_names(names)}"
        click.echo(line, err=True)
    for note, sources in notes.items():
        click.echo(f"Note: {_names([*map(str, sources)])}: {note}.", err=True)


def _names(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


class Writer:
    """The output folder.

    Args:
        folder: Where everything goes; made when it is needed.
        formats: What to write.
        sandbox: Reads images again, to draw them.
        predictors: For the candidate maps beside the pictures; None for none.
    """

    def __init__(
        self,
        folder: Path,
        formats: set[str],
        sandbox: Sandbox,
        pixel_spacing: tuple[float, float] | None,
        predictors: dict[str, Locator] | None,
    ) -> None:
        """Makes the folder."""
        self._folder, self._formats, self._sandbox = folder, formats, sandbox
        self._spacing, self._predictors = pixel_spacing, predictors
        self._stems: dict[tuple[Path, FileLocation | int], Path] = {}
        self._taken: set[Path] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, done: Done) -> list[str]:
        """Writes the files of one cine or still, as many as can be written.

        Returns:
            For each file that is not written, or lacks something, a line that says why.
        """
        lines: list[str] = []
        if "png" in self._formats:
            self._pictures(done, lines)
        stem = self._cine_stem(done)
        if done.tracks and "tracks" in self._formats:
            self._tracks(done, stem, lines)
        if done.tracks and "gif" in self._formats:
            self._animation(done, stem, lines)
        if done.predictions and "sr" in self._formats:
            self._report(done, stem, lines)
        if "slicer" in self._formats:
            self._markups(done, lines)
        # An image that can no longer be read is missing in the PNG and in the GIF.
        return list(dict.fromkeys(lines))

    def finish(self, results: Sequence[Result], done: Sequence[Done]) -> list[str]:
        """Writes what holds all results.

        Returns:
            For each file that is not written a line that says why.
        """
        from phdnet_tf.outputs.formats import write_cines, write_csv, write_json

        lines: list[str] = []
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
                target = self._folder / name
                with _noted(self._folder, target, lines), whole_file(target) as path:
                    with path.open("w", newline="", encoding="utf-8") as stream:
                        write(stream)
        return lines

    def _images(
        self, done: Done, lines: list[str]
    ) -> Iterator[tuple[Frame, Prediction, MRImage]]:
        """The frames again, one at a time: none is kept when it is predicted."""
        from phdnet_tf.dicom.errors import DicomError

        pairs = zip(done.frames, done.predictions, strict=True)
        wanted = ((pair, pair[0].file.source, pair[0].number) for pair in pairs)
        for pair, image in self._sandbox.images(wanted, self._spacing):
            # It was read before, but may be gone by now, or the machine busier.
            if isinstance(image, DicomError):
                lines.append(f"{pair[0]}: not drawn: {_reason(image, pair[0])}")
            elif image.token != pair[0].token:
                lines.append(f"{pair[0]}: not drawn: it is no longer the same file.")
            else:
                yield *pair, image

    def _pictures(self, done: Done, lines: list[str]) -> None:
        from phdnet_tf.outputs.overlay import save_overlay

        for frame, prediction, image in self._images(done, lines):
            maps = self._maps(done.job.view, frame, image, lines)
            target = self._name(frame, ".png")
            with _noted(frame, target, lines), whole_file(target) as path:
                save_overlay(path, image.pixels, prediction, maps)

    def _maps(
        self, view: str, frame: Frame, image: MRImage, lines: list[str]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        if self._predictors is None:
            return None
        try:
            return self._predictors[view].candidate_maps(image)
        except ValueError as error:
            # A server that is gone would be waited for at every picture.
            self._predictors = None
            lines.append(
                f"{frame}: its picture, and all after it, are without the votes: "
                f"{_reason(error, frame)}"
            )
            return None

    def _tracks(self, done: Done, stem: Path, lines: list[str]) -> None:
        from phdnet_tf.outputs.cine_plots import save_tracks

        title = f"{stem.name}   {done.predictions[0].model}"
        target = stem.with_name(f"{stem.name}-tracks.png")
        with _noted(done.frames[0], target, lines), whole_file(target) as path:
            save_tracks(path, done.tracks, done.predictions, title)

    def _animation(self, done: Done, stem: Path, lines: list[str]) -> None:
        from phdnet_tf.outputs.cine_plots import save_animation

        target = stem.with_name(f"{stem.name}.gif")
        images = self._images(done, lines)
        pictures = ((image.pixels, found) for _, found, image in images)
        with _noted(done.frames[0], target, lines), whole_file(target) as path:
            save_animation(path, pictures, done.job.cine.heart_beat)

    def _report(self, done: Done, stem: Path, lines: list[str]) -> None:
        from phdnet_tf.outputs.structured_report import Reported, save_report

        target = stem.with_name(f"{stem.name}-sr.dcm")
        with _noted(done.frames[0], target, lines), whole_file(target) as path:
            reported = [
                Reported(
                    prediction,
                    self._sandbox.identity(frame.file.source, frame.token),
                    frame.number if frame.of > 1 else None,
                )
                for frame, prediction in zip(done.frames, done.predictions, strict=True)
            ]
            # A frame is missing where it could not be read, or Ctrl-C came before it.
            save_report(path, reported, len(done.frames) == len(done.job.frames))

    def _markups(self, done: Done, lines: list[str]) -> None:
        from phdnet_tf.outputs.formats import write_markups

        for frame, prediction in zip(done.frames, done.predictions, strict=True):
            target = self._name(frame, ".mrk.json")
            with _noted(frame, target, lines), whole_file(target) as path:
                with path.open("w") as stream:
                    write_markups(prediction, stream)

    def _cine_stem(self, done: Done) -> Path:
        """Of the names of what a whole cine, or a still, has one of."""
        first = done.job.frames[0]
        if len(done.job.frames) == 1:
            return self._name(first, "")
        stem = first.file.name.with_name(f"cine-{done.job.number}")
        return self._folder / self._free(stem, done.job.number)

    def _name(self, frame: Frame, ending: str) -> Path:
        """The file for a frame."""
        # The whole name is kept: files of a series may differ in the ending only.
        name = frame.file.name
        stem = name.with_suffix("") if name.suffix.lower() == ".dcm" else name
        if frame.of > 1:
            stem = stem.with_name(f"{stem.name}-frame{frame.number:03d}")
        stem = self._free(stem, frame.file.source)
        return self._folder / stem.with_name(stem.name + ending)

    def _free(self, stem: Path, owner: FileLocation | int) -> Path:
        """The stem, with a number if another file or cine has it already."""
        if (stem, owner) not in self._stems:
            free = stem
            for number in itertools.count(2):
                if free not in self._taken:
                    break
                free = stem.with_name(f"{stem.name}-{number}")
            self._taken.add(free)
            self._stems[stem, owner] = free
        return self._stems[stem, owner]


@contextmanager
def _noted(source: Frame | Path, target: Path, lines: list[str]) -> Iterator[None]:
    """Turns what keeps a file from being written into a line, so that all else is."""
    try:
        yield
    # What is in a file can make a library that draws or writes raise nearly anything.
    except Exception as error:
        # Quoted, for a name may have control characters.
        lines.append(f"{source}: {str(target)!r} not written: {_reason(error, source)}")


def _reason(error: Exception, source: Frame | Path) -> str:
    """An error as the end of a line that names its file already.

    Some errors have several lines, and some no words at all.
    """
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    file = source if isinstance(source, Path) else source.file.source
    text = text.removeprefix(f"{file}: ").partition("\n")[0]
    return text or type(error).__name__
