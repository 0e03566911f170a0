"""What is known of each frame of a DICOM file: place, time, spacing and rescale.

A classic file says it once, for its only frame. Enhanced MR says it in functional
groups, some shared by all frames and some of each frame (PS3.3, C.7.6.16).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from phdnet_tf.dicom.errors import shown
from phdnet_tf.dicom.guards import MAX_FRAMES


@dataclass(frozen=True)
class FrameHeader:
    """Where and when a frame was taken.

    Attributes:
        number: From 1, as DICOM counts frames.
        position: Centre of the top-left pixel in patient space (LPS), in mm; or None.
        orientation: Six direction cosines, those of x first; or None.
        time: Since the R wave, in ms; or None.
        order: Its number in time where the file has one; or None.
        kind: What its values are, for example ("M_FFE", "M") or ("PHASE MAP", "P"), in
            the words of the file.
    """

    number: int
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    time: float | None = None
    order: int | None = None
    kind: tuple[str, ...] = ()


def frame_count(ds: Dataset) -> int:
    """Frames that the file says it has, at least 1.

    Raises:
        ValueError: If that is no plausible number.
    """
    frames = int(ds.get("NumberOfFrames") or 1)
    if not 1 <= frames <= MAX_FRAMES:
        raise ValueError(f"expected 1 to {MAX_FRAMES} frames. Received: {frames}")
    return frames


def is_enhanced(ds: Dataset) -> bool:
    """Whether the geometry is in functional groups."""
    return "SharedFunctionalGroupsSequence" in ds or (
        "PerFrameFunctionalGroupsSequence" in ds
    )


def functional_group(ds: Dataset, frame: int, macro: str) -> Dataset:
    """The item of a functional group macro that holds for a frame.

    Args:
        ds: The file.
        frame: From 1.
        macro: Keyword of the macro's sequence, for example "PixelMeasuresSequence".

    Returns:
        The frame's own item, or else the shared one, or else an empty data set.
    """
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or []
    shared = ds.get("SharedFunctionalGroupsSequence") or []
    groups = [*per_frame[frame - 1 : frame], *shared[:1]]
    for group in groups:
        items = group.get(macro)
        if items:
            return items[0]
    return Dataset()


def pixel_spacing(ds: Dataset, frame: int) -> Any:
    """PixelSpacing as it stands in the file, which may be anything; or None."""
    if is_enhanced(ds):
        return functional_group(ds, frame, "PixelMeasuresSequence").get("PixelSpacing")
    return ds.get("PixelSpacing")


def rescale(ds: Dataset, frame: int) -> Dataset:
    """Where the modality LUT of a frame stands: the file, or its functional group."""
    if is_enhanced(ds):
        group = functional_group(ds, frame, "PixelValueTransformationSequence")
        return group if "RescaleSlope" in group else ds
    return ds


def frame_headers(ds: Dataset) -> list[FrameHeader]:
    """Place and time of every frame."""
    return [frame_header(ds, number) for number in range(1, frame_count(ds) + 1)]


def frame_header(ds: Dataset, number: int) -> FrameHeader:
    """Place and time of a frame, counted from 1."""
    if not is_enhanced(ds):
        time = _number(ds.get("TriggerTime"))
        step = _number(ds.get("FrameTime"))
        if time is None and step is not None and "NumberOfFrames" in ds:
            time = (number - 1) * step
        return FrameHeader(
            number,
            numbers(ds.get("ImagePositionPatient"), 3),
            numbers(ds.get("ImageOrientationPatient"), 6),
            time,
            whole(ds.get("TemporalPositionIdentifier")),
            # Before these it is whether it is original, and primary.
            texts(ds.get("ImageType"))[2:],
        )
    plane = functional_group(ds, number, "PlanePositionSequence")
    turned = functional_group(ds, number, "PlaneOrientationSequence")
    content = functional_group(ds, number, "FrameContentSequence")
    cardiac = functional_group(ds, number, "CardiacSynchronizationSequence")
    kind = functional_group(ds, number, "MRImageFrameTypeSequence")
    # Where classic files were converted, what Enhanced MR has no place for is here.
    old = functional_group(ds, number, "UnassignedPerFrameConvertedAttributesSequence")
    return FrameHeader(
        number,
        numbers(plane.get("ImagePositionPatient"), 3),
        numbers(turned.get("ImageOrientationPatient"), 6),
        _number(cardiac.get("NominalCardiacTriggerDelayTime", old.get("TriggerTime"))),
        whole(content.get("TemporalPositionIndex")),
        texts(kind.get("FrameType", ds.get("ImageType")))[2:]
        + texts(kind.get("ComplexImageComponent")),
    )


def heart_beat(ds: Dataset) -> float | None:
    """Duration of the heart beat that the phases divide, in ms; None if not told."""
    cardiac = functional_group(ds, 1, "CardiacSynchronizationSequence")
    old = functional_group(ds, 1, "UnassignedSharedConvertedAttributesSequence")
    told = (
        ds.get("NominalInterval"),
        cardiac.get("RRIntervalTimeNominal"),
        old.get("NominalInterval"),
    )
    return next(filter(None, map(_number, told)), None)


def texts(value: object) -> tuple[str, ...]:
    """A value of one or several texts as several."""
    if value is None or isinstance(value, str):
        return (shown(value),) if value else ()
    return tuple(shown(part) for part in value) if isinstance(value, Sequence) else ()


def numbers(value: Any, length: int) -> tuple[float, ...] | None:
    """So many finite numbers; None if it is anything else."""
    try:
        values = tuple(float(part) for part in value or ())
    except (TypeError, ValueError):
        return None
    return values if len(values) == length and all(map(math.isfinite, values)) else None


def _number(value: Any) -> float | None:
    if isinstance(value, Sequence):
        return None
    found = numbers([value], 1)
    return found[0] if found else None


def whole(value: Any) -> int | None:
    """A whole number; None if it is anything else."""
    found = _number(value)
    return None if found is None else int(found)
