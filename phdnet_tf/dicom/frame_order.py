"""The order of a cine's frames, and which frames are none of one cine.

What files tell of time is used only where all frames tell it, and no two the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, TypeVar

GUESS = "file names"
"""What the order is from where the files do not tell it."""

USUAL_BEAT = 800.0
"""Duration of a heart beat that is not told, in ms."""

SPREAD = 0.25
"""The part of a heart beat that the trigger times of phases go through, at least.

Images that are taken once a beat, of perfusion or for a T1 map, differ by the jitter
of their trigger: a few per cent of a beat.
"""

DAY = 24 * 60 * 60.0

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Moment:
    """What is told of the time of a frame.

    Attributes:
        index: Names the frame.
        file: Name of its file.
        number: Of the frame in its file.
        temporal_position: Its number in time, or None.
        trigger_time: Since the R wave, in ms, or None.
        acquired: In seconds since midnight, or None.
        instance: Instance number of its file, or None.
        acquisition: Number of the acquisition that it is from, or None.
        image_type: Of its file.
        beat: Duration of the heart beat, in ms, or None.
        phases: Into how many phases the beat is divided, or None.
    """

    index: int
    file: str
    number: int = 1
    temporal_position: int | None = None
    trigger_time: float | None = None
    acquired: float | None = None
    instance: int | None = None
    acquisition: int | None = None
    image_type: tuple[str, ...] = ()
    beat: float | None = None
    phases: int | None = None


def in_order(moments: Sequence[Moment]) -> tuple[list[Moment], str]:
    """Moments in the order of time, and what tells it.

    Args:
        moments: Of one cine, as `apart` gives them.

    Returns:
        The moments, and "temporal position", "trigger time", "acquisition time",
        "instance number" or `GUESS`.
    """
    told = {
        "temporal position": _all(moments, lambda each: each.temporal_position),
        "trigger time": _trigger_times(moments),
        "acquisition time": _acquisition_times(moments),
        "instance number": _instances(moments),
    }
    for name, values in told.items():
        if values is not None and len(set(values)) == len(values):
            return [each for _, each in sorted(zip(values, moments, strict=True))], name
    return sorted(moments, key=lambda each: (_natural(each.file), each.number)), GUESS


def apart(moments: Sequence[Moment]) -> list[list[Moment]]:
    """Frames of one series, place and kind, in parts that may each be a cine.

    Acquisitions that went through the same part of the heart beat are parted by their
    numbers, or else by their instance numbers. Frames that then still share their times
    are parted by their ImageType, or stand for themselves.
    """
    parts = []
    for acquisition in by(moments, _acquisitions(moments)):
        if not _share_times(acquisition):
            parts.append(acquisition)
            continue
        for part in by(acquisition, [each.image_type for each in acquisition]):
            parts += [[each] for each in part] if _share_times(part) else [part]
    return parts


def by(things: Sequence[Thing], keys: Sequence[Hashable]) -> list[list[Thing]]:
    """Those of equal keys together, in the order in which the keys come first."""
    parts: dict[Hashable, list[Thing]] = {}
    for key, thing in zip(keys, things, strict=True):
        parts.setdefault(key, []).append(thing)
    return list(parts.values())


def _acquisitions(moments: Sequence[Moment]) -> Sequence[Hashable]:
    """For each frame the acquisition that it is from, where there are several."""
    numbers = _all(moments, lambda each: each.acquisition)
    if numbers is not None and any(_overlap(t, numbers) for t in _times(moments)):
        return numbers
    times, instances = _trigger_times(moments), _instances(moments)
    runs = [0] * len(moments)
    if times is not None and instances is not None and _crowded(times):
        # Another begins where the time goes back.
        order = sorted(range(len(times)), key=lambda index: instances[index])
        for before, after in pairwise(order):
            runs[after] = runs[before] + (times[after] <= times[before])
        if _overlap(times, runs):
            return runs
    return [0] * len(moments)


def _share_times(moments: Sequence[Moment]) -> bool:
    """Whether some frames were taken at one time of the beat, as far as is told."""
    told = _times(moments)
    if told and all(len(set(times)) < len(times) for times in told):
        return True
    times, phases = _trigger_times(moments), moments[0].phases or 0
    return times is not None and 1 < phases < len(times) and _crowded(times)


def _overlap(times: Sequence[float], parts: Sequence[Hashable]) -> bool:
    """Whether two parts of several frames go through the same times."""
    spans = sorted((min(part), max(part)) for part in by(times, parts) if part[1:])
    return any(after[0] < before[1] for before, after in pairwise(spans))


def _crowded(times: Sequence[float]) -> bool:
    """Whether some are much nearer to each other than most: phases are even."""
    steps = [after - before for before, after in pairwise(sorted(times))]
    return min(steps) < median(steps) / 4 or median(steps) == 0


def _times(moments: Sequence[Moment]) -> list[list]:
    """What is told of the time in the beat."""
    positions = _all(moments, lambda each: each.temporal_position)
    told = (
        (positions if len(set(positions or ())) > 1 else None),
        _trigger_times(moments),
    )
    return [times for times in told if times is not None]


def _trigger_times(moments: Sequence[Moment]) -> list[float] | None:
    """In ms, if they go through a heart beat and do not jitter about one moment."""
    times = _all(moments, lambda each: each.trigger_time)
    if times is None or len(times) < 2:
        return None
    beat = moments[0].beat or USUAL_BEAT
    return times if max(times) - min(times) >= SPREAD * beat else None


def _acquisition_times(moments: Sequence[Moment]) -> list[float] | None:
    """In seconds since a midnight."""
    times = _all(moments, lambda each: each.acquired)
    if times is not None and max(times) - min(times) > DAY / 2:
        return [time + DAY * (time < DAY / 2) for time in times]
    return times


def _instances(moments: Sequence[Moment]) -> list[tuple[int, int]] | None:
    """Numbers of the file and of the frame in it."""
    one_file = len({each.file for each in moments}) == 1
    numbers = _all(moments, lambda each: 0 if one_file else each.instance)
    if numbers is None:
        return None
    return [(n, each.number) for n, each in zip(numbers, moments, strict=True)]


def _all(moments: Sequence[Moment], get: Callable[[Moment], Any]) -> list | None:
    """A value of each frame; None if one has none."""
    values = [get(each) for each in moments]
    return None if None in values else values


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which 9 comes before 10."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", name)
    plain = (piece.lstrip("0") if piece[0] in "0123456789" else "" for piece in pieces)
    return [(len(n), n or piece) for n, piece in zip(plain, pieces, strict=True)]
