"""Many images, predicted one after the other: which model takes which, and all of it.

Images are decoded in another process while the ones before them are predicted, and
none is kept, so that memory stays flat however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice, repeat
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
    """What is to be predicted of a cine.

    Attributes:
        cine: The cine.
        frames: Those chosen, in the order of time.
        view: Of the model that takes them.
        number: Of the cine in the batch, from 1.
    """

    cine: Cine
    frames: tuple[Frame, ...]
    view: str
    number: int


@dataclass(frozen=True)
class Done:
    """A job that is done.

    Attributes:
        job: The job.
        predictions: Of the frames that could be read, in the order of time.
        frames: The frames that they are of, each with its image's token and content
            hash.
        errors: The frames that could not be predicted, and why.
        tracks: Of each landmark, where there are phases enough.
    """

    job: Job
    predictions: tuple[Prediction, ...]
    frames: tuple[Frame, ...]
    errors: tuple[tuple[Frame, ValueError], ...]
    tracks: tuple[Track, ...]


@dataclass(frozen=True)
class Plan:
    """What is predicted by which model, and why.

    Attributes:
        jobs: One for each cine that is predicted.
        skipped: Cines that no model fits, by their first files.
        reasons: For each way in which a view was told, in words, how many cines.
        left: Frames of these cines that were not chosen.
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
        cines: What `survey.survey` found.
        views: Those that there is a model of.
        chosen: The view that the user says they all have, or None to propose one for
            each.
        which: See `cines.choose`.

    Returns:
        The plan. With one model, it takes the cines of which nothing tells the view,
        and none that tells or names another view.
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
            line = f"{first.source}: has no phase {which}, but {len(cine.frames)}."
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
    """The view whose model takes a cine, and why; or None, and why not."""
    if chosen is not None:
        reason = f"view {chosen}, as you said"
        if proposal.view not in (None, chosen):
            reason += f"; note that {proposal.reason} tells of {proposal.view}"
        return chosen, reason
    named = {view.casefold(): view for view in views}
    own = named.get((proposal.view or "").casefold())
    if own is not None:
        return own, f"view {own}, from {proposal.reason}"
    if proposal.view is not None:
        return None, (
            f"looks like {proposal.view}, from {proposal.reason}, which no model is "
            f"for. --view {' or --view '.join(views)} would look for the landmarks of "
            "that view in it all the same."
        )
    if len(views) == 1 and (not proposal.named or views[0] in proposal.named):
        return views[0], f"view {views[0]}, the only model; {proposal.reason} it"
    return None, (
        f"{proposal.reason} the view. Say --view {' or --view '.join(views)}."
    )


def predict_jobs(
    jobs: Sequence[Job],
    locators: Mapping[str, Locator],
    sandbox: Sandbox,
    pixel_spacing: tuple[float, float] | None = None,
) -> Iterator[tuple[Frame, Done | None]]:
    """Predicts the frames of all jobs.

    Args:
        jobs: What to predict.
        locators: The model of each view.
        sandbox: Reads the frames.
        pixel_spacing: (y, x), mm, for files that have none.

    Yields:
        Each frame as it is done; with the last of its job, the whole job. When Ctrl-C
        comes, what there is of the job, and then the interrupt goes on.
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
    """The image, if its file still says of it what put it into its cine."""
    if isinstance(image, DicomError):
        return image
    if image.header == header_token(frame.identity, frame.header):
        return image
    return DicomError(
        f"{frame.file.source}: is no longer the file whose header was read, so it is "
        "not predicted as what that was. Predict it again."
    )


Piece = list[tuple[tuple[Job, Frame], MRImage | DicomError]]


def _asking(locator: Locator) -> Callable[[Piece], list[Prediction | ValueError]]:
    """A function that predicts images, and does not ask a server again that is down."""
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
            _named(next(found), frame) if isinstance(image, MRImage) else image
            for (_, frame), image in piece
        ]

    return ask


def _named(answer: Prediction | ValueError, frame: Frame) -> Prediction | ValueError:
    """An error of the model or its server, with the file that it is about."""
    if isinstance(answer, Prediction):
        return answer
    return ValueError(f"{frame.file.source}: {answer}")


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
    period = len(job.cine.frames) if job.cine.heart_beat is not None else None
    tracks = find_tracks(predictions, [frame.phase for frame in frames], period)
    return Done(
        job,
        tuple(with_jumps(predictions, tracks)),
        tuple(frames),
        tuple(errors),
        tuple(tracks),
    )
