"""Reads the attributes of each frame of a DICOM file: place, time, spacing, rescale.

A classic file has them once, for its only frame. Enhanced MR has them in functional
groups, some shared by all frames and some of each frame (PS3.3, C.7.6.16).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydicom.dataset import Dataset

from phdnet_tf.dicom.errors import shown
from phdnet_tf.dicom.guards import MAX_FRAMES

FARTHEST = 1e5
"""Largest distance from the scanner's centre that a patient can have, in mm."""

CONVERTED = "UnassignedPerFrameConvertedAttributesSequence"
"""Keyword of the sequence that keeps what Enhanced MR has no place for, when classic
files were converted."""


@dataclass(frozen=True)
class FrameHeader:
    """Where and when a frame was taken.

    Attributes:
        number: Number of the frame, from 1, as DICOM counts frames.
        position: Centre of the top-left pixel in patient space (LPS), in mm; or None.
        orientation: Six direction cosines, those of x first; or None.
        time: Time since the R wave, in ms; or None.
        order: The file's temporal position of the frame; or None.
        kind: Kind of its values in the file's own words, for example ("M_FFE", "M") or
            ("PHASE MAP", "P").
        acquired: Time of acquisition, in seconds since midnight; or None.
        acquisition: Number of the acquisition; or None.
        echo_time: Echo time in ms; or None.
        inversion_time: Inversion time in ms; or None.
    """

    number: int
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    time: float | None = None
    order: int | None = None
    kind: tuple[str, ...] = ()
    acquired: float | None = None
    acquisition: int | None = None
    echo_time: float | None = None
    inversion_time: float | None = None


def frame_count(ds: Dataset) -> int:
    """The number of frames that the file states, at least 1.

    Raises:
        ValueError: If the number is not plausible.
    """
    frames = int(ds.get("NumberOfFrames") or 1)
    if not 1 <= frames <= MAX_FRAMES:
        raise ValueError(f"expected 1 to {MAX_FRAMES} frames. Received: {frames}")
    return frames


def groups(ds: Dataset, frame: int) -> list[Dataset]:
    """Where the attributes of a frame may be: its own group, the shared one, the file.

    Each attribute is searched separately. Some vendors' classic files have functional
    groups for timing only, and a group may be empty.
    """
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or []
    shared = ds.get("SharedFunctionalGroupsSequence") or []
    return [*per_frame[frame - 1 : frame], *shared[:1], ds]


def told(where: list[Dataset], macro: str, keyword: str) -> Any:
    """The value of an attribute of a frame.

    Args:
        where: The result of `groups`.
        macro: Keyword of the macro's sequence, for example "PixelMeasuresSequence".
        keyword: Keyword of the attribute in the macro, or at the top of the file.

    Returns:
        The value as it is in the file, without any check; or None.
    """
    *functional, ds = where
    item = _item(functional, macro, keyword)
    return _value(ds, keyword) if item is None else item.get(keyword)


def _item(functional: list[Dataset], macro: str, keyword: str) -> Dataset | None:
    """The item of a functional group macro that has an attribute; or None."""
    for group in functional:
        items = group.get(macro)
        if items and _value(items[0], keyword) is not None:
            return items[0]
    return None


def _value(ds: Dataset, keyword: str) -> Any:
    """A value; None if it is absent or empty."""
    value = ds.get(keyword)
    empty = isinstance(value, str | Sequence) and not len(value)
    return None if empty else value


def pixel_spacing(ds: Dataset, frame: int) -> Any:
    """PixelSpacing (y, x) as it is in the file, without any check; or None."""
    return told(groups(ds, frame), "PixelMeasuresSequence", "PixelSpacing")


def rescale(ds: Dataset, frame: int) -> Dataset:
    """The data set with a frame's modality LUT: a functional group, or the file."""
    *functional, _ = groups(ds, frame)
    macro = "PixelValueTransformationSequence"
    return _item(functional, macro, "RescaleSlope") or ds


def frame_headers(ds: Dataset) -> list[FrameHeader]:
    """Place and time of every frame."""
    numbers = range(1, frame_count(ds) + 1)
    if "PerFrameFunctionalGroupsSequence" in ds:
        return [frame_header(ds, number) for number in numbers]
    # All frames have the same, and there may be thousands.
    first = frame_header(ds, 1)
    where = groups(ds, 1)
    return [replace(first, number=n, time=_time(ds, n, where)) for n in numbers]


def frame_header(ds: Dataset, number: int) -> FrameHeader:
    """Place and time of a frame, counted from 1."""
    where = groups(ds, number)
    macro = "FrameContentSequence"
    frame_type = told(where, "MRImageFrameTypeSequence", "FrameType")
    component = told(where, "MRImageFrameTypeSequence", "ComplexImageComponent")
    position = told(where, "PlanePositionSequence", "ImagePositionPatient")
    orientation = told(where, "PlaneOrientationSequence", "ImageOrientationPatient")
    return FrameHeader(
        number,
        numbers(position, 3, FARTHEST),
        numbers(orientation, 6, 2.0),
        _time(ds, number, where),
        whole_number(
            _first(
                told(where, macro, "TemporalPositionIndex"),
                told(where, CONVERTED, "TemporalPositionIdentifier"),
            )
        ),
        # Before these it is whether it is original, and primary.
        texts(frame_type or ds.get("ImageType"))[2:]
        + texts(component)
        + _kind_by_ge(ds),
        _first(
            _seconds(_of_day(told(where, macro, "FrameAcquisitionDateTime"))),
            _seconds(told(where, CONVERTED, "AcquisitionTime")),
            _seconds(_of_day(told(where, CONVERTED, "AcquisitionDateTime"))),
        ),
        whole_number(
            _first(
                told(where, macro, "FrameAcquisitionNumber"),
                told(where, CONVERTED, "AcquisitionNumber"),
            )
        ),
        _number(
            _first(
                told(where, "MREchoSequence", "EffectiveEchoTime"),
                told(where, CONVERTED, "EchoTime"),
            )
        ),
        _number(
            _first(
                told(where, "MRModifierSequence", "InversionTimes"),
                told(where, CONVERTED, "InversionTime"),
            )
        ),
    )


def _time(ds: Dataset, number: int, where: list[Dataset]) -> float | None:
    """Time since the R wave, in ms; or since the first frame of the file."""
    macro, keyword = "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"
    delay = told(where, macro, keyword)
    step = _number(ds.get("FrameTime"))
    # A step of a movie knows nothing of several slices in a file, and a trigger time of
    # the file is that of its first frame.
    if delay is None and step is not None and frame_count(ds) > 1:
        return (number - 1) * step
    return _number(_first(delay, told(where, CONVERTED, "TriggerTime")))


def _kind_by_ge(ds: Dataset) -> tuple[str, ...]:
    """GE's private values for magnitude, phase and parts of a velocity measurement.

    GE's ImageType is the same for all of them.
    """
    creator, *elements = (
        ds.get((0x0043, number), None) for number in (0x0010, 0x102F, 0x1030)
    )
    if creator is not None and not str(creator.value).startswith("GEMS"):
        return ()
    return tuple(shown(each.value) for each in elements if each is not None)


def _first(*values: Any) -> Any:
    """The first value that is not None; or None."""
    return next((value for value in values if value is not None), None)


def heart_beat(ds: Dataset) -> float | None:
    """Duration of the heart beat that the phases divide, in ms; None if unknown."""
    where = groups(ds, 1)
    values = (
        ds.get("NominalInterval"),
        told(where, "CardiacSynchronizationSequence", "RRIntervalTimeNominal"),
        told(where, "UnassignedSharedConvertedAttributesSequence", "NominalInterval"),
    )
    return next((beat for beat in map(_number, values) if beat and beat > 0), None)


def _of_day(date_time: object) -> str:
    """The time of day in a DICOM date and time."""
    return str(date_time or "")[8:]


def _seconds(time: object) -> float | None:
    """A DICOM time in seconds since midnight; None if it is not valid."""
    form = r"([0-9]{2}):?([0-9]{2}):?([0-9]{2}(?:\.[0-9]{1,6})?)"
    parts = re.match(form, str(time or "").strip())
    if parts is None:
        return None
    hours, minutes, rest = map(float, parts.groups())
    return 3600 * hours + 60 * minutes + rest


def texts(value: object) -> tuple[str, ...]:
    """A value of one or several texts, as a tuple of texts."""
    if value is None or isinstance(value, str):
        return (shown(value),) if value else ()
    return tuple(shown(part) for part in value) if isinstance(value, Sequence) else ()


def numbers(
    value: Any, length: int, most: float = math.inf
) -> tuple[float, ...] | None:
    """A value of `length` finite numbers, none larger than `most`; otherwise None."""
    try:
        values = tuple(float(part) for part in value or ())
    except (TypeError, ValueError):
        return None
    fine = all(math.isfinite(part) and abs(part) <= most for part in values)
    return values if len(values) == length and fine else None


def _number(value: Any) -> float | None:
    """A finite number, the first if there are several; otherwise None."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if value else None
    found = numbers([value], 1)
    return found[0] if found else None


def whole_number(value: Any) -> int | None:
    """A whole number; None if the value is anything else."""
    found = _number(value)
    return None if found is None else int(found)
