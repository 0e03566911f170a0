"""Fills a project: finds the images, reads each once, and predicts them.

It can be stopped at any moment, and then resumes where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from phdnet_tf.dicom.cines import Frame, choose
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox, Thing
from phdnet_tf.dicom.survey import Survey, survey
from phdnet_tf.inference.many_images import Job, Plan, plan, predict_jobs
from phdnet_tf.inference.results import Locator
from phdnet_tf.review.project import Project


@dataclass
class Progress:
    """The progress of filling a project.

    Attributes:
        what: The current work; "" when all is done.
        done: Number of completed items.
        of: Total number of items; None if it is not known yet.
    """

    what: str = "reading headers"
    done: int = 0
    of: int | None = None


class _Noting(Sandbox):
    """A sandbox that notes in the project what each image shows, as it is read."""

    project: Project
    numbers: dict[tuple[str, str, int], int]

    def images(
        self,
        wanted: Iterable[tuple[Thing, FileLocation, int | None]],
        pixel_spacing: tuple[float, float] | None = None,
    ) -> Iterator[tuple[Thing, MRImage | DicomError]]:
        keyed = (
            ((thing, source, frame), source, frame) for thing, source, frame in wanted
        )
        for (thing, source, frame), image in super().images(keyed, pixel_spacing):
            number = self.numbers[_key(source, frame)]
            if isinstance(image, DicomError):
                self.project.fail(number, str(image))
            elif self.project.describe(number, image) is None:
                # Its predictions would be shown beside those of the old pixels.
                image = DicomError(
                    f"{source}: the image has changed since it was reviewed, so it is "
                    "locked. Restore the file."
                )
            yield thing, image


def fill(
    project: Project,
    which: str | int | None,
    pixel_spacing: tuple[float, float] | None,
    load: Callable[[], Locator] | None,
    view: str | None,
    progress: Progress,
    found: Callable[[Survey, Plan | None], None],
) -> None:
    """Finds, reads and predicts the images that the project's setting "inputs" names.

    Args:
        project: The project.
        which: Frames of each cine to review; see `cines.choose`.
        pixel_spacing: (y, x), mm, for files that have none.
        load: Returns the project's model. None is to annotate without a model.
        view: The view that the user gives for all images, or None to propose one.
        progress: Is updated.
        found: Called with the images that were found, before they are read.

    Raises:
        ValueError: If the model cannot be used.
        OSError: If a file or the database cannot be read or written.
    """
    with _Noting() as sandbox:
        sandbox.project = project
        inputs = [Path(each) for each in project.setting("inputs") or []]

        def read() -> None:
            progress.done += 1

        surveyed = survey(inputs, sandbox, read, localisers=view is not None)
        if load is None:
            found(surveyed, None)
            chosen = [(cine, choose(cine, which)) for cine in surveyed.cines]
            for cine, frames in chosen:
                project.add(cine, frames)
            sandbox.numbers = _numbers(project)
            _read(project, sandbox, chosen, pixel_spacing, progress)
        else:
            number, locator = project.model, load()
            assert number is not None
            views = [locator.view]
            planned = plan(surveyed.cines, views, views[0] if view else None, which)
            found(surveyed, planned)
            for job in planned.jobs:
                project.add(job.cine, job.frames)
            sandbox.numbers = _numbers(project)
            _predict(
                *(project, sandbox, number, locator, planned.jobs),
                *(pixel_spacing, progress),
            )
        progress.what = ""


def _key(source: FileLocation, frame: int | None) -> tuple[str, str, int]:
    return str(source.path.resolve()), source.member or "", frame or 1


def _numbers(project: Project) -> dict[tuple[str, str, int], int]:
    rows = project.store.rows("SELECT id, path, member, frame FROM images")
    return {(row["path"], row["member"], row["frame"]): row["id"] for row in rows}


def _read(
    project: Project,
    sandbox: _Noting,
    chosen: Sequence[tuple[object, list[Frame]]],
    pixel_spacing: tuple[float, float] | None,
    progress: Progress,
) -> None:
    """Reads the images that were not read before, so that all have a content hash."""
    known = {
        row["id"]
        for row in project.store.rows(
            "SELECT id FROM images WHERE content_hash IS NOT NULL"
        )
    }
    frames = [
        frame
        for _, some in chosen
        for frame in some
        if sandbox.numbers[_key(frame.file.source, frame.number)] not in known
    ]
    progress.what, progress.done, progress.of = "reading images", 0, len(frames)
    wanted = ((frame, frame.file.source, frame.number) for frame in frames)
    for _ in sandbox.images(wanted, pixel_spacing):
        progress.done += 1


def _predict(
    project: Project,
    sandbox: _Noting,
    model: int,
    locator: Locator,
    jobs: Sequence[Job],
    pixel_spacing: tuple[float, float] | None,
    progress: Progress,
) -> None:
    known = {
        row["image"]
        for row in project.store.rows(
            "SELECT DISTINCT image FROM predictions WHERE model = ?", model
        )
    }

    def number(frame: Frame) -> int:
        return sandbox.numbers[_key(frame.file.source, frame.number)]

    # A cine is predicted whole, for its jumps.
    left = [job for job in jobs if not all(number(f) in known for f in job.frames)]
    progress.of = sum(len(job.frames) for job in left)
    progress.what, progress.done = "predicting", 0
    for _, done in predict_jobs(left, {locator.view: locator}, sandbox, pixel_spacing):
        if done is not None:
            pairs = zip(done.frames, done.predictions, strict=True)
            project.predicted(model, [(number(frame), each) for frame, each in pairs])
            for frame, error in done.errors:
                if not isinstance(error, DicomError):
                    project.fail(number(frame), str(error))
        progress.done += 1
