"""Writes the output folder of a prediction: files for each image, each cine, and all.

If one file cannot be written, the others are still written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from phdnet_tf.dicom.cines import Frame
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox
from phdnet_tf.files import OutputFolder
from phdnet_tf.inference.many_images import Done
from phdnet_tf.inference.results import Locator, Prediction
from phdnet_tf.outputs.cine_plots import save_animation, save_tracks
from phdnet_tf.outputs.formats import write_cines, write_csv, write_json, write_markups
from phdnet_tf.outputs.overlay import save_overlay

Result = Prediction | dict[str, str]


class PredictionWriter:
    """Writes predictions to an output folder.

    Args:
        output: The claimed folder.
        formats: The formats to write.
        sandbox: Reads images again, to draw them.
        pixel_spacing: (y, x), mm, for files that have none.
        predictors: Models for the candidate maps beside the pictures; None for no maps.
        include_unrecognised: Whether reports and markups include frames that are not
            recognised. They are marked as such.
    """

    def __init__(
        self,
        output: OutputFolder,
        formats: set[str],
        sandbox: Sandbox,
        pixel_spacing: tuple[float, float] | None,
        predictors: dict[str, Locator] | None,
        include_unrecognised: bool = False,
    ) -> None:
        """Writes nothing yet."""
        self._output, self._formats, self._sandbox = output, formats, sandbox
        self._spacing, self._predictors = pixel_spacing, predictors
        self._include_unrecognised = include_unrecognised
        self._stems: dict[tuple[Path, FileLocation | int], Path] = {}
        self._taken: set[Path] = set()

    def write(self, done: Done) -> list[str]:
        """Writes the files of one cine or still, as many as can be written.

        Returns:
            A line with the reason for each file that was not written, or is incomplete.
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
        """Writes the files that hold all results.

        Returns:
            A line with the reason for each file that was not written.
        """
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
                target = self._output.folder / name
                with (
                    _noted(self._output.folder, target, lines),
                    self._output.whole_file(target) as path,
                ):
                    with path.open("w", newline="", encoding="utf-8") as stream:
                        write(stream)
        return lines

    def _images(
        self, done: Done, lines: list[str]
    ) -> Iterator[tuple[Frame, Prediction, MRImage]]:
        """Reads the frames again, one at a time, as none was kept."""
        pairs = zip(done.frames, done.predictions, strict=True)
        wanted = ((pair, pair[0].file.source, pair[0].number) for pair in pairs)
        for pair, image in self._sandbox.images(wanted, self._spacing):
            # It was read before, but may be gone by now, or take too long.
            if isinstance(image, DicomError):
                lines.append(f"{pair[0]}: not drawn: {_reason(image, pair[0])}")
            elif image.token != pair[0].token:
                lines.append(f"{pair[0]}: not drawn: the file has changed.")
            else:
                yield *pair, image

    def _pictures(self, done: Done, lines: list[str]) -> None:
        for frame, prediction, image in self._images(done, lines):
            maps = self._maps(done.job.view, frame, image, lines)
            target = self._name(frame, ".png")
            with _noted(frame, target, lines), self._output.whole_file(target) as path:
                save_overlay(path, image, prediction, maps)

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
                f"{frame}: this picture and all later ones do not show the votes: "
                f"{_reason(error, frame)}"
            )
            return None

    def _tracks(self, done: Done, stem: Path, lines: list[str]) -> None:
        title = f"{stem.name}   {done.predictions[0].model}"
        target = stem.with_name(f"{stem.name}-tracks.png")
        with (
            _noted(done.frames[0], target, lines),
            self._output.whole_file(target) as path,
        ):
            save_tracks(path, done.tracks, done.predictions, title)

    def _animation(self, done: Done, stem: Path, lines: list[str]) -> None:
        target = stem.with_name(f"{stem.name}.gif")
        images = self._images(done, lines)
        pictures = ((image.pixels, found) for _, found, image in images)
        with (
            _noted(done.frames[0], target, lines),
            self._output.whole_file(target) as path,
        ):
            save_animation(path, pictures, done.predictions, done.job.cine.heart_beat)

    def _to_report(
        self, done: Done, what: str, lines: list[str]
    ) -> list[tuple[Frame, Prediction]]:
        """The frames that may be reported, and a line on those that may not."""
        pairs = list(zip(done.frames, done.predictions, strict=True))
        if self._include_unrecognised:
            return pairs
        kept = [pair for pair in pairs if pair[1].recognised]
        if left := len(pairs) - len(kept):
            lines.append(
                f"{done.frames[0]}: {left} of {len(pairs)} frames are NOT RECOGNISED "
                f"as {done.job.view}, so {what} without them. Check the view, or add "
                "--include-unrecognised."
            )
        return kept

    def _report(self, done: Done, stem: Path, lines: list[str]) -> None:
        # highdicom takes a second to import.
        from phdnet_tf.outputs.structured_report import Reported, save_report

        pairs = self._to_report(done, "the report is", lines)
        if not pairs:
            return
        target = stem.with_name(f"{stem.name}-sr.dcm")
        with (
            _noted(done.frames[0], target, lines),
            self._output.whole_file(target) as path,
        ):
            reported = [
                Reported(
                    prediction,
                    self._sandbox.identity(frame.file.source, frame.token),
                    frame.number if frame.of > 1 else None,
                )
                for frame, prediction in pairs
            ]
            # A frame is missing where it could not be read or is not recognised, or
            # where Ctrl-C came before it.
            save_report(path, reported, len(pairs) == len(done.job.frames))

    def _markups(self, done: Done, lines: list[str]) -> None:
        for frame, prediction in self._to_report(
            done, "3D Slicer's markups are", lines
        ):
            target = self._name(frame, ".mrk.json")
            with _noted(frame, target, lines), self._output.whole_file(target) as path:
                with path.open("w") as stream:
                    write_markups(prediction, stream)

    def _cine_stem(self, done: Done) -> Path:
        """The stem for the names of files of which a cine, or a still, has one."""
        first = done.job.frames[0]
        if len(done.job.frames) == 1:
            return self._name(first, "")
        stem = first.file.name.with_name(f"cine-{done.job.number}")
        return self._output.folder / self._free(stem, done.job.number)

    def _name(self, frame: Frame, ending: str) -> Path:
        """The file for a frame."""
        # The whole name is kept: files of a series may differ in the ending only.
        name = frame.file.name
        stem = name.with_suffix("") if name.suffix.lower() == ".dcm" else name
        if frame.of > 1:
            stem = stem.with_name(f"{stem.name}-frame{frame.number:03d}")
        stem = self._free(stem, frame.file.source)
        return self._output.folder / stem.with_name(stem.name + ending)

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
    """Turns an error in writing a file into a line, so that the others are written."""
    try:
        yield
    # What is in a file can make a library that draws or writes raise nearly anything.
    except Exception as error:
        # Quoted, for a name may have control characters.
        lines.append(f"{source}: {str(target)!r} not written: {_reason(error, source)}")


def _reason(error: Exception, source: Frame | Path) -> str:
    """The text of an error, for a line that already names the file.

    Some errors have several lines, and some have no text.
    """
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    file = source if isinstance(source, Path) else source.file.source
    text = text.removeprefix(f"{file}: ").partition("\n")[0]
    return text or type(error).__name__
