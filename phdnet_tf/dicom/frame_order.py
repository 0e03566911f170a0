"""Orders the frames of a cine, and separates frames that belong to different cines.

A kind of time is used only if all frames have it, and no two have the same value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, TypeVar

GUESS = "file names"
"""Source of the order if the files do not give it."""

USUAL_BEAT = 800.0
"""Assumed duration of a heart beat if the file does not give it, in ms."""

SPREAD = 0.25
"""Smallest share of a heart beat that the trigger times of a cine's phases span.

Images that are taken once per beat, of perfusion or for a T1 map, differ by the jitter
of their trigger: a few per cent of a beat.
"""

DAY = 24 * 60 * 60.0

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Moment:
    """What a file says about the time of a frame.

    Attributes:
        index: Number that identifies the frame.
        file: Name of the frame's file.
        number: Number of the frame in its file.
        temporal_position: Number of the frame in time, or None.
        trigger_time: Time since the R wave, in ms, or None.
        acquired: Time of acquisition, in seconds since midnight, or None.
        instance: Instance number of the file, or None.
        acquisition: Number of the acquisition, or None.
        image_type: ImageType of the file.
        beat: Duration of the heart beat, in ms, or None.
        phases: Number of phases into which the beat is divided, or None.
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
    """Sorts moments by time.

    Args:
        moments: The moments of one cine, as `apart` returns them.

    Returns:
        The moments, and the source of their order: "temporal position", "trigger time",
        "acquisition time", "instance number" or `GUESS`.
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
    """Splits frames of one series, place and kind into parts that may each be a cine.

    Acquisitions of the same part of the heart beat are separated by their acquisition
    numbers, or else by their instance numbers. Frames that still share their times are
    separated by their ImageType, or each is a part of its own.
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
    """Groups by equal keys, in the order in which the keys first appear."""
    parts: dict[Hashable, list[Thing]] = {}
    for key, thing in zip(keys, things, strict=True):
        parts.setdefault(key, []).append(thing)
    return list(parts.values())


def _acquisitions(moments: Sequence[Moment]) -> Sequence[Hashable]:
    """The acquisition of each frame, if there are several."""
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
    """Whether some frames were taken at the same time of the beat, by their headers."""
    told = _times(moments)
    if told and all(len(set(times)) < len(times) for times in told):
        return True
    times, phases = _trigger_times(moments), moments[0].phases or 0
    return times is not None and 1 < phases < len(times) and _crowded(times)


def _overlap(times: Sequence[float], parts: Sequence[Hashable]) -> bool:
    """Whether two parts of several frames span overlapping times."""
    spans = sorted((min(part), max(part)) for part in by(times, parts) if part[1:])
    return any(after[0] < before[1] for before, after in pairwise(spans))


def _crowded(times: Sequence[float]) -> bool:
    """Whether some times are much closer than most; a cine's phases are even."""
    steps = [after - before for before, after in pairwise(sorted(times))]
    return min(steps) < median(steps) / 4 or median(steps) == 0


def _times(moments: Sequence[Moment]) -> list[list]:
    """The frames' times in the beat, if the files give them."""
    positions = _all(moments, lambda each: each.temporal_position)
    told = (
        (positions if len(set(positions or ())) > 1 else None),
        _trigger_times(moments),
    )
    return [times for times in told if times is not None]


def _trigger_times(moments: Sequence[Moment]) -> list[float] | None:
    """Trigger times in ms, if they span a heart beat rather than jitter at one time."""
    times = _all(moments, lambda each: each.trigger_time)
    if times is None or len(times) < 2:
        return None
    beat = moments[0].beat or USUAL_BEAT
    return times if max(times) - min(times) >= SPREAD * beat else None


def _acquisition_times(moments: Sequence[Moment]) -> list[float] | None:
    """Times of acquisition, in seconds since a midnight."""
    times = _all(moments, lambda each: each.acquired)
    if times is not None and max(times) - min(times) > DAY / 2:
        return [time + DAY * (time < DAY / 2) for time in times]
    return times


def _instances(moments: Sequence[Moment]) -> list[tuple[int, int]] | None:
    """Instance number of each file, and number of the frame in it."""
    one_file = len({each.file for each in moments}) == 1
    numbers = _all(moments, lambda each: 0 if one_file else each.instance)
    if numbers is None:
        return None
    return [(n, each.number) for n, each in zip(numbers, moments, strict=True)]


def _all(moments: Sequence[Moment], get: Callable[[Moment], Any]) -> list | None:
    """One value per frame; None if a frame has none."""
    values = [get(each) for each in moments]
    return None if None in values else values


def _natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts 9 before 10."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", name)
    plain = (piece.lstrip("0") if piece[0] in "0123456789" else "" for piece in pieces)
    return [(len(n), n or piece) for n, piece in zip(plain, pieces, strict=True)]
