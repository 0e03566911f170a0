"""Groups frames into cines.

An archive of cardiac MR holds cines: the phases of one slice through a heart beat. Each
phase is a file, or all are frames of one file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phdnet_tf.dicom.find import Found
from phdnet_tf.dicom.frame_order import GUESS, Moment, apart, by, in_order
from phdnet_tf.dicom.frames import FrameHeader
from phdnet_tf.dicom.read import FileHeader
from phdnet_tf.dicom.write import AXIAL

ORIGIN = (0.0, 0.0, 0.0)

# Slices of mice are half a mm apart, and positions are told to a thousandth.
DISTANCE = 0.2
"""Between positions of one slice, in mm."""

ANGLE = 0.01
"""Between direction cosines of one slice: half a degree, about."""

TIME_TOLERANCE = 0.2
"""Between echo times, or inversion times, of one cine, in ms."""


@dataclass(frozen=True)
class Frame:
    """One image: a frame of a file.

    Attributes:
        file: The file.
        number: Number of the frame in the file, from 1.
        of: Number of frames in the file.
        header: Place and time of the frame.
        identity: `FileHeader.identity` of the file when its header was read.
        phase: Number of the frame in its cine, from 1.
        token: `MRImage.token` of its image, once the image has been read.
        content: `MRImage.content_hash` of its image, once the image has been read.
    """

    file: Found
    number: int
    of: int
    header: FrameHeader
    identity: str
    phase: int = 1
    token: str | None = None
    content: str | None = None

    def __str__(self) -> str:
        """The name to display."""
        suffix = f" frame {self.number}" if self.of > 1 else ""
        return f"{self.file.source}{suffix}"


Entry = tuple[Frame, FileHeader]


@dataclass(frozen=True)
class Cine:
    """The phases of one slice. A still image is a cine of one phase.

    Attributes:
        frames: The frames, in the order of time.
        header: Header of the file that holds the first frame.
        heart_beat: Duration of the heart beat that the phases divide, in ms. None if
            the phases do not cover all of it.
        order: Source of the order of the frames, in words; see `in_order`.
        shares_times: Whether it is a single frame because others of its series and
            place have the same time.
    """

    frames: tuple[Frame, ...]
    header: FileHeader
    heart_beat: float | None
    order: str
    shares_times: bool = False

    @property
    def order_is_guess(self) -> bool:
        """Whether nothing in the files gives the order."""
        return self.order == GUESS and len(self.frames) > 1

    @property
    def missing(self) -> int:
        """Number of phases that the header announces and that are missing."""
        return max(0, (self.header.phases or 0) - len(self.frames))

    @property
    def orientation(self) -> tuple[float, ...] | None:
        """Six direction cosines, those of x first; or None.

        Programs write an axial plane at the origin if they know no orientation, so this
        counts as None.
        """
        header = self.frames[0].header
        if header.position == ORIGIN and header.orientation == AXIAL:
            return None
        return header.orientation


def group(headers: list[tuple[Found, FileHeader]]) -> list[Cine]:
    """Groups frames of one patient, study, series, place and kind, in order.

    One series may hold magnitude and phase of a velocity measurement, or images of
    several echo or inversion times. These become separate cines. A file without a
    series is a cine of its own.

    Args:
        headers: Files and their headers.

    Returns:
        The cines, in the order of their first files.
    """
    entries: dict[tuple, list[Entry]] = {}
    for found, header in headers:
        owner = header.patient, header.study_uid, header.series_uid or found.source
        for frame in header.frames:
            told = frame.position is not None and frame.orientation is not None
            # Frames of one file that tell no place are phases; files that do not are
            # not known to be.
            place = None if told else found.source
            key = (*owner, header.rows, header.columns, frame.kind, place)
            one = Frame(found, frame.number, len(header.frames), frame, header.identity)
            entries.setdefault(key, []).append((one, header))
    slices = [one for some in entries.values() for one in _slices(some)]
    cines = [cine for one in slices for cine in _cines(one)]
    first = {found.source: number for number, (found, _) in enumerate(headers)}
    return sorted(
        cines,
        key=lambda cine: min((first[f.file.source], f.number) for f in cine.frames),
    )


def _slices(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Splits entries by echo and inversion time, orientation and position.

    The comparison has tolerances, as recomputed values differ in their last digits.
    """
    frames = [frame.header for frame, _ in entries]
    weighting = [(_or_none(f.echo_time), _or_none(f.inversion_time)) for f in frames]
    for alike in by(entries, _clusters(weighting, TIME_TOLERANCE)):
        header = alike[0][0].header
        if header.position is None or header.orientation is None:
            yield alike
            continue
        orientations = np.array([frame.header.orientation for frame, _ in alike])
        for turned in by(alike, _clusters(orientations, ANGLE)):
            positions = np.array([frame.header.position for frame, _ in turned])
            # Slices of a stack are apart across, and are so by little along x, y and z.
            axes = _axes(np.array(turned[0][0].header.orientation))
            yield from by(turned, _clusters(positions @ axes.T, DISTANCE))


def _axes(orientation: np.ndarray) -> np.ndarray:
    """Axes along x, along y and across a slice; the patient's if they are invalid."""
    along = np.reshape(orientation, (2, 3))
    axes = np.concatenate([along, [np.cross(along[0], along[1])]])
    return axes if abs(np.linalg.det(axes)) > 0.5 else np.eye(3)


def _clusters(
    values: Sequence[Sequence[float]] | np.ndarray, tolerance: float
) -> list[tuple[int, ...]]:
    """Keys that are equal for values that are nearly equal.

    Args:
        values: [n, k], finite numbers.
        tolerance: Neighbouring values of a column that differ by no more than this have
            the same key. Unlike rounding, this never splits two close values.

    Returns:
        n keys of k numbers each.
    """
    columns = np.clip(np.asarray(values, float), -1e30, 1e30)
    order = np.argsort(columns, axis=0)
    rising = np.take_along_axis(columns, order, axis=0)
    steps = np.diff(rising, axis=0, prepend=rising[:1]) > tolerance
    keys = np.empty(columns.shape, int)
    np.put_along_axis(keys, order, np.cumsum(steps, axis=0), axis=0)
    return [tuple(key) for key in keys.tolist()]


def _or_none(time: float | None) -> float:
    """The time, or a number that no time has."""
    return -1e9 if time is None else time


def _cines(entries: list[Entry]) -> Iterator[Cine]:
    """The cines among the frames of one slice."""
    moments = [
        Moment(
            index=index,
            # Not as it is shown: two names may look alike.
            file=f"{frame.file.source.path}/{frame.file.source.member or ''}",
            number=frame.number,
            temporal_position=frame.header.order,
            trigger_time=frame.header.time,
            acquired=frame.header.acquired,
            instance=header.instance_number,
            acquisition=frame.header.acquisition,
            image_type=header.image_type,
            beat=header.heart_beat,
            phases=header.phases,
        )
        for index, (frame, header) in enumerate(entries)
    ]
    parts = apart(moments)
    for part in parts:
        ordered, order = in_order(part)
        frames = tuple(
            replace(entries[moment.index][0], phase=phase)
            for phase, moment in enumerate(ordered, 1)
        )
        header = entries[ordered[0].index][1]
        yield Cine(
            frames,
            header,
            _whole_beat(frames, header.heart_beat),
            order,
            shares_times=len(part) == 1 < len(parts),
        )


def _whole_beat(frames: tuple[Frame, ...], beat: float | None) -> float | None:
    """The heart beat, if the first phase follows one step after the last."""
    times = [frame.header.time for frame in frames if frame.header.time is not None]
    if beat is None or len(times) != len(frames) or len(times) < 3:
        return None
    step = (times[-1] - times[0]) / (len(times) - 1)
    return beat if step > 0 and abs(times[-1] + step - beat - times[0]) < step else None


def choose(cine: Cine, which: str | int | None) -> list[Frame]:
    """The frames of a cine to predict.

    Args:
        cine: The cine.
        which: "first", "all", or the number of a phase, from 1. None chooses the files
            that the user named one by one, or else the first phase.

    Returns:
        The frames, in the order of time. Empty if there is no such phase.
    """
    if which == "all":
        return list(cine.frames)
    if which == "first":
        return [cine.frames[0]]
    if which is None:
        named = [frame for frame in cine.frames if frame.file.named and frame.of == 1]
        return named or [cine.frames[0]]
    return [frame for frame in cine.frames if frame.phase == which]
