"""Plans and runs the predictions of many images.

Images are decoded in another process while earlier ones are predicted. None is kept, so
memory use does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice, pairwise, repeat
from typing import Any

from phdnet_tf.dicom.cines import Cine, Frame, choose
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.find import Skipped
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.read import header_token
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.inference.errors import NotServedError, ServerDownError
from phdnet_tf.inference.results import Locator, Prediction
from phdnet_tf.inference.tracks import Track, find_tracks, with_jumps
from phdnet_tf.inference.view_proposal import Proposal, propose


@dataclass(frozen=True)
class Job:
    """The frames of a cine to predict, and the view.

    Attributes:
        cine: The cine.
        frames: The chosen frames, in the order of time.
        view: View of the model that predicts them.
        number: Number of the cine in the batch, from 1.
    """

    cine: Cine
    frames: tuple[Frame, ...]
    view: str
    number: int


@dataclass(frozen=True)
class Done:
    """A completed job.

    Attributes:
        job: The job.
        predictions: One for each frame that could be predicted, in the order of time.
        frames: The predicted frames, each with its image's token and content hash.
        errors: The frames that could not be predicted, with the reason.
        tracks: The track of each landmark, if there are enough phases.
    """

    job: Job
    predictions: tuple[Prediction, ...]
    frames: tuple[Frame, ...]
    errors: tuple[tuple[Frame, ValueError], ...]
    tracks: tuple[Track, ...]


@dataclass(frozen=True)
class Plan:
    """Which model predicts which cine, and why.

    Attributes:
        jobs: One for each cine to predict.
        skipped: The first files of cines that no model fits.
        reasons: Number of cines for each reason, in words, to choose a view.
        left: Number of frames of the jobs' cines that were not chosen.
    """

    jobs: tuple[Job, ...]
    skipped: tuple[Skipped, ...]
    reasons: dict[str, int]
    left: int


def plan(
    cines: Sequence[Cine],
    views: Sequence[str],
    chosen: str | None,
    which: str | int | None,
) -> Plan:
    """Finds the model for each cine.

    Args:
        cines: The cines that `survey.survey` found.
        views: The views that have a model.
        chosen: The view that the user gives for all cines, or None to propose one for
            each.
        which: See `cines.choose`.

    Returns:
        The plan. If there is only one model, it also predicts the cines whose view is
        not known, but none that shows or names another view.
    """
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    reasons: dict[str, int] = {}
    left = 0
    for cine in cines:
        frames = choose(cine, which)
        proposal = propose(cine.header.descriptions, cine.orientation)
        view, reason = _decide(proposal, views, chosen)
        first = cine.frames[0].file
        if not frames:
            line = (
                f"{first.source}: has no phase {which}. Expected a phase from 1 to "
                f"{len(cine.frames)}: choose another with --frame."
            )
            skipped.append(Skipped(first.source, line, failed=True))
        elif view is None:
            line = f"{first.source}: {reason}" if first.named else reason
            skipped.append(Skipped(first.source, line, failed=first.named))
        else:
            left += len(cine.frames) - len(frames)
            reasons[reason] = reasons.get(reason, 0) + 1
            jobs.append(Job(cine, tuple(frames), view, len(jobs) + 1))
    return Plan(tuple(jobs), tuple(skipped), reasons, left)


def _decide(
    proposal: Proposal, views: Sequence[str], chosen: str | None
) -> tuple[str | None, str]:
    """The view whose model predicts a cine, and why; or None, and why not."""
    if chosen is not None:
        reason = f"view {chosen}, as you chose"
        if proposal.view not in (None, chosen):
            reason += f"; but {proposal.reason} suggests {proposal.view}"
        return chosen, reason
    named = {view.casefold(): view for view in views}
    own = named.get((proposal.view or "").casefold())
    if own is not None:
        return own, f"view {own}, from {proposal.reason}"
    if proposal.view is not None:
        return None, (
            f"looks like {proposal.view}, from {proposal.reason}, and there is no "
            "model of that view. To look for another view's landmarks in it anyway, "
            f"add --view {' or --view '.join(views)}."
        )
    if len(views) == 1 and (not proposal.named or views[0] in proposal.named):
        return views[0], f"view {views[0]}, the only model; {proposal.reason} it"
    return None, (
        f"{proposal.reason} the view. Choose it: --view {' or --view '.join(views)}."
    )


def predict_jobs(
    jobs: Sequence[Job],
    locators: Mapping[str, Locator],
    sandbox: Sandbox,
    pixel_spacing: tuple[float, float] | None = None,
) -> Iterator[tuple[Frame, Done | None]]:
    """Predicts the frames of all jobs.

    Args:
        jobs: The jobs.
        locators: The model of each view.
        sandbox: Reads the frames.
        pixel_spacing: (y, x), mm, for files that have none.

    Yields:
        Each frame when it is done, and with the last frame of a job the whole job. If
        Ctrl-C comes while a frame is read or predicted, the finished part of the job;
        then the interrupt is raised again. If it comes in the code that uses what is
        yielded, that part is lost.
    """
    wanted = (
        ((job, frame), frame.file.source, frame.number)
        for job in jobs
        for frame in job.frames
    )
    predictions: list[Prediction] = []
    frames: list[Frame] = []
    errors: list[tuple[Frame, ValueError]] = []
    asking = {view: _asking(locator) for view, locator in locators.items()}
    stream = (
        (pair, _of_its_header(image, pair[1]))
        for pair, image in sandbox.images(wanted, pixel_spacing)
    )
    try:
        for view, group in groupby(stream, key=lambda each: each[0][0].view):
            ask = asking[view]
            while piece := list(islice(group, locators[view].at_once)):
                answers = zip(piece, ask(piece), strict=True)
                for ((job, frame), image), answer in answers:
                    if isinstance(answer, Prediction) and isinstance(image, MRImage):
                        predictions.append(replace(answer, origin=_origin(job, frame)))
                        seen = image.token, image.content_hash()
                        frames.append(replace(frame, token=seen[0], content=seen[1]))
                    elif isinstance(answer, ValueError):
                        errors.append((frame, answer))
                    if frame is not job.frames[-1]:
                        yield frame, None
                        continue
                    yield frame, _finish(job, predictions, frames, errors)
                    predictions, frames, errors = [], [], []
    except KeyboardInterrupt:
        # What there is of a job is not lost.
        if predictions:
            yield frames[-1], _finish(job, predictions, frames, errors)
        raise


def _of_its_header(image: MRImage | DicomError, frame: Frame) -> MRImage | DicomError:
    """The image, if its file's header is still the one that put it into its cine."""
    if isinstance(image, DicomError):
        return image
    if image.header == header_token(frame.identity, frame.header):
        return image
    return DicomError(
        f"{frame.file.source}: the file has changed since its header was read, so it "
        "was not predicted. Predict it again."
    )


Piece = list[tuple[tuple[Job, Frame], MRImage | DicomError]]


def _asking(locator: Locator) -> Callable[[Piece], list[Prediction | ValueError]]:
    """A function that predicts images. It does not ask a server again that is down."""
    down: ServerDownError | NotServedError | None = None

    def ask(piece: Piece) -> list[Prediction | ValueError]:
        nonlocal down
        read = [
            (image, str(frame.file.source))
            for (_, frame), image in piece
            if isinstance(image, MRImage)
        ]
        found: Iterator[Prediction | ValueError] = repeat(down) if down else iter(())
        if read and not down:
            images, names = map(list, zip(*read, strict=True))
            try:
                found = iter(locator.predict_many(images, names))
            except (ServerDownError, NotServedError) as error:
                down, found = error, repeat(error)
        return [
            _named(next(found) if isinstance(image, MRImage) else image, frame)
            for (_, frame), image in piece
        ]

    return ask


def _named(answer: Prediction | ValueError, frame: Frame) -> Prediction | ValueError:
    """An error with the name of the file, and the number of the frame among several."""
    if isinstance(answer, Prediction):
        return answer
    line = f"{frame}: {str(answer).removeprefix(f'{frame.file.source}: ')}"
    return DicomError(line) if isinstance(answer, DicomError) else ValueError(line)


def _origin(job: Job, frame: Frame) -> dict[str, Any]:
    origin: dict[str, Any] = {}
    if frame.of > 1:
        origin["frame"] = frame.number
    if len(job.cine.frames) > 1:
        origin |= {"cine": job.number, "phase": frame.phase}
        if frame.header.time is not None:
            origin["time_ms"] = frame.header.time
    return origin


def _finish(
    job: Job,
    predictions: list[Prediction],
    frames: list[Frame],
    errors: list[tuple[Frame, ValueError]],
) -> Done:
    times, period = _times(job.cine)
    phases = [frame.phase for frame in frames]
    at = [times[phase - 1] for phase in phases]
    tracks = find_tracks(predictions, phases, period, at)
    return Done(
        job,
        tuple(with_jumps(predictions, tracks)),
        tuple(frames),
        tuple(errors),
        tuple(tracks),
    )


def _times(cine: Cine) -> tuple[list[float], float | None]:
    """The times of a cine's phases, and its heart beat, in mean steps between phases.

    The heart beat is None if the cine does not cover a whole one.
    """
    times = [f.header.time for f in cine.frames if f.header.time is not None]
    rising = all(before < after for before, after in pairwise(times))
    if rising and 1 < len(times) == len(cine.frames):
        # A file that is missing leaves a gap here, and none in the numbers.
        step = (times[-1] - times[0]) / (len(times) - 1)
        beat = None if cine.heart_beat is None else cine.heart_beat / step
        return [time / step for time in times], beat
    beat = None if cine.heart_beat is None else len(cine.frames)
    return [frame.phase for frame in cine.frames], beat
