"""Frames put together to cines.

An archive of cardiac MR holds cines: the phases of one slice through a heart beat, as
one file each or as frames of one file.
"""

from __future__ import annotations

from dataclasses import dataclass

from phdnet_tf.dicom.find import Found
from phdnet_tf.dicom.frame_order import place_in_time
from phdnet_tf.dicom.frames import FrameHeader
from phdnet_tf.dicom.read import FileHeader


@dataclass(frozen=True)
class Frame:
    """One image: a frame of a file.

    Attributes:
        file: The file.
        number: Of the frame in the file, from 1.
        of: Frames that the file has.
        header: Its place and time.
        phase: Its number in its cine, from 1.
    """

    file: Found
    number: int
    of: int
    header: FrameHeader
    phase: int = 1

    def __str__(self) -> str:
        """The name to show."""
        suffix = f" frame {self.number}" if self.of > 1 else ""
        return f"{self.file.source}{suffix}"


@dataclass(frozen=True)
class Cine:
    """The phases of one slice; a still image is a cine of one.

    Attributes:
        frames: In the order of time.
        header: Of the file that the first is in.
        heart_beat: Duration of the heart beat that the phases divide, in ms, if the
            phases cover all of it; or None.
    """

    frames: tuple[Frame, ...]
    header: FileHeader
    heart_beat: float | None


def group(headers: list[tuple[Found, FileHeader]]) -> list[Cine]:
    """Puts frames of one series, place and kind together, in the order of time.

    Magnitude and phase of a velocity measurement may be in one series. A file that does
    not tell its series stands for itself.

    Args:
        headers: Files and what their headers say.

    Returns:
        The cines, in the order of their first files.
    """
    slices: dict[tuple, list[tuple[Frame, FileHeader]]] = {}
    for found, header in headers:
        series = header.series_uid or found.source
        for frame in header.frames:
            place = _place(frame, found, header)
            key = (series, header.rows, header.columns, frame.kind, place)
            entry = Frame(found, frame.number, len(header.frames), frame), header
            slices.setdefault(key, []).append(entry)
    return [_cine(entries) for entries in slices.values()]


def _place(frame: FrameHeader, found: Found, header: FileHeader) -> object:
    """Equal for frames of one slice. The tenth of a mm is far below any slice's."""
    if frame.position is None or frame.orientation is None:
        # Frames of one file that tell no place are phases; files that do not are not
        # known to be.
        return found.source
    return (
        tuple(round(value, 1) + 0.0 for value in frame.position),
        tuple(round(value, 3) + 0.0 for value in frame.orientation),
    )


def _cine(entries: list[tuple[Frame, FileHeader]]) -> Cine:
    ordered = sorted(
        entries,
        key=lambda entry: place_in_time(entry[0].header, entry[1].instance_number),
    )
    frames = tuple(
        Frame(frame.file, frame.number, frame.of, frame.header, phase)
        for phase, (frame, _) in enumerate(ordered, 1)
    )
    return Cine(frames, ordered[0][1], _whole_beat(frames, ordered[0][1].heart_beat))


def _whole_beat(frames: tuple[Frame, ...], beat: float | None) -> float | None:
    """The heart beat, if a step after the last phase comes the first again."""
    times = [frame.header.time for frame in frames if frame.header.time is not None]
    if beat is None or len(times) != len(frames) or len(times) < 3:
        return None
    step = (times[-1] - times[0]) / (len(times) - 1)
    return beat if step > 0 and abs(times[-1] + step - beat - times[0]) < step else None


def choose(cine: Cine, which: str | int | None) -> list[Frame]:
    """The frames of a cine to predict.

    Args:
        cine: The cine.
        which: "first", "all", the number of a phase from 1, or None: then the files
            that the user named one by one, or else the first.

    Returns:
        The frames, in the order of time; none if there is no such phase.
    """
    if which == "all":
        return list(cine.frames)
    if which == "first":
        return [cine.frames[0]]
    if which is None:
        named = [frame for frame in cine.frames if frame.file.named and frame.of == 1]
        return named or [cine.frames[0]]
    return [frame for frame in cine.frames if frame.phase == which]
