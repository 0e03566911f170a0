"""Decodes the pixels of a frame, and finds their spacing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import apply_modality_lut, pixel_array

from phdnet_tf.dicom.errors import DicomError, last_line, shown
from phdnet_tf.dicom.frames import frame_count, numbers, rescale, whole_number
from phdnet_tf.dicom.guards import (
    DECODERS,
    MAX_PIXELS,
    SPACING_LIMITS,
    require_honest_codestream,
)

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def require_grey_frame(path: Path, ds: Dataset, frame: int | None) -> int:
    """The number of the requested frame, from 1, after a check of the header."""
    if not any(keyword in ds for keyword in PIXELS):
        raise DicomError(
            f"{path}: holds no pixels. Expected an MR image. If it should be one, the "
            "file is incomplete: export or copy it again."
        )
    frames = frame_count(ds)
    if frame is None and frames > 1:
        raise DicomError(
            f"{path}: expected a single-frame image. Received: a multi-frame object "
            f"with {frames} frames. Choose one of them, or export it as single-frame "
            "(classic) MR, one file per frame."
        )
    number = 1 if frame is None else frame
    if not 1 <= number <= frames:
        raise DicomError(
            f"{path}: expected a frame between 1 and {frames}. Received: {number}. "
            "Choose another frame."
        )
    rows, columns = int(ds.get("Rows") or 0), int(ds.get("Columns") or 0)
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        large = rows > 0 and columns > 0
        remedy = (
            "Export it as the scanner reconstructed it, or make it smaller and adapt "
            "its PixelSpacing, for example with `dcmscale +Sxv 1024`."
        )
        raise DicomError(
            f"{path}: expected an image of 1 to {MAX_PIXELS} pixels. Received: {rows} "
            f"rows and {columns} columns. "
            + (remedy if large else "Export or copy the file again.")
        )
    samples = int(ds.get("SamplesPerPixel") or 1)
    colours = ds.get("PhotometricInterpretation") or "MONOCHROME2"
    if samples != 1 or colours not in ("MONOCHROME1", "MONOCHROME2"):
        raise DicomError(
            f"{path}: expected a greyscale image. Received: {shown(colours)}, samples "
            f"per pixel {samples}. Use the scanner's own image, not a screenshot or a "
            "colour map."
        )
    return number


def known_spacing(
    path: Path, own: object, fallback: tuple[float, float] | None
) -> tuple[float, float]:
    """The pixel spacing of the file, (y, x), mm, or else the fallback.

    Raises:
        DicomError: If there is neither, or the value is not plausible.
    """
    missing = own is None  # or there and empty, which pydicom tells in the same way
    values = fallback if missing else own
    if values is None:
        raise DicomError(
            f"{path}: has no PixelSpacing, so nothing can be measured in it. Write it "
            "into the file, or give it with `--pixel-spacing ROW,COLUMN`: the mm "
            "between rows, then between columns."
        )
    source, remedy = (
        ("--pixel-spacing", "Give it in mm, between rows first.")
        if missing
        else ("PixelSpacing", "Correct it in the file.")
    )
    low, high = SPACING_LIMITS
    y, x = numbers(values, 2) or (math.nan, math.nan)
    # Written so that a NaN fails, too.
    if not (low <= y <= high and low <= x <= high):
        raise DicomError(
            f"{path}: expected {source} to be two numbers between {low:g} and {high:g} "
            f"mm. Received: {shown(values)}. {remedy}"
        )
    return y, x


def decoded_pixels(path: Path, ds: Dataset, number: int) -> np.ndarray:
    """float32[H, W], after the modality LUT, bright = signal."""
    syntax = ds.file_meta.TransferSyntaxUID
    frames = frame_count(ds)
    _require_low_bits(path, ds)
    if not syntax.is_encapsulated and "PixelData" in ds:
        bits = ds.Rows * ds.Columns * ds.BitsAllocated * frames
        expected, received = math.ceil(bits / 8), len(ds.PixelData)
        if received < expected:
            raise DicomError(
                f"{path}: the pixel data are incomplete: expected {expected} bytes. "
                f"Received: {received}. Export or copy the file again."
            )
    try:
        if syntax.is_encapsulated:
            require_honest_codestream(
                path,
                syntax,
                get_frame(ds.PixelData, number - 1, number_of_frames=frames),
                ds.Rows,
                ds.Columns,
                math.ceil(ds.BitsAllocated / 8),
            )
        stored = pixel_array(ds, index=number - 1, decoding_plugin=DECODERS[syntax])
        stored = _without_unused_bits(ds, stored)
        padded = _padding(ds, stored)
    except (DicomError, MemoryError):
        raise
    except Exception as error:
        how = ", without compression" if syntax.is_encapsulated else ""
        raise DicomError(
            f"{path}: the pixels cannot be decoded from transfer syntax {syntax.name}: "
            f"{last_line(error)}. Export or copy the file again{how}."
        ) from error

    lut = rescale(ds, number)
    # Empty rescale values mean none, and would end in a TypeError.
    if lut.get("RescaleSlope") is None or lut.get("RescaleIntercept") is None:
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            lut.pop(keyword, None)
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = apply_modality_lut(stored, lut).astype(np.float32)
        if ds.get("PhotometricInterpretation") == "MONOCHROME1":
            # Turned within its own range, so that rescaled values keep their limits.
            measured = pixels[~padded] if not padded.all() else pixels
            pixels = measured.min() + measured.max() - pixels
        if padded.any():
            if padded.all():
                raise DicomError(
                    f"{path}: all pixels are padding (PixelPaddingValue). Expected an "
                    "image. Export or copy the file again."
                )
            # No signal, as the darkest of what was measured has none.
            pixels[padded] = pixels[~padded].min()
    if not np.isfinite(pixels).all():
        raise DicomError(
            f"{path}: some pixel values are not finite after the modality LUT. Correct "
            "RescaleSlope and RescaleIntercept in the file, or export it again."
        )
    return pixels


def _require_low_bits(path: Path, ds: Dataset) -> None:
    """Refuses values that begin above the lowest bit, as before DICOM.

    pydicom drops the bits above BitsStored, whatever HighBit says: of such values it
    would keep the wrong ones.
    """
    high, stored = (whole_number(ds.get(key)) for key in ("HighBit", "BitsStored"))
    if high is not None and stored is not None and high >= stored:
        raise DicomError(
            f"{path}: expected a HighBit of {stored - 1}, one less than BitsStored "
            f"(DICOM PS3.5, 8.1.1). Received: {high}. Correct the one of the two that "
            "is wrong, or export it again."
        )


def _without_unused_bits(ds: Dataset, stored: np.ndarray) -> np.ndarray:
    """Stored values of BitsStored bits, with the bits above ignored (PS3.5, 8.1.1).

    pydicom does this itself, except for pixels compressed by JPEG 2000 or JPEG-LS.
    """
    if "PixelData" not in ds or stored.dtype.kind not in "iu":
        return stored
    unused = 8 * stored.dtype.itemsize - int(ds.BitsStored)
    # To the top and back: there and back again the sign comes along.
    return (stored << unused) >> unused if unused > 0 else stored


def _padding(ds: Dataset, stored: np.ndarray) -> np.ndarray:
    """bool[H, W], True at padding (PS3.3, C.7.5.1.1.2: Pixel Padding Value)."""
    value = whole_number(ds.get("PixelPaddingValue"))
    if value is None or stored.dtype.kind not in "iu":
        return np.zeros(stored.shape, bool)
    limit = whole_number(ds.get("PixelPaddingRangeLimit"))
    # Some write the bits of a negative number as a positive one, or bits that are not
    # stored: as the pixels, they are what BitsStored bits hold of them.
    values = 1 << int(ds.BitsStored)
    least = -values // 2 if ds.get("PixelRepresentation") == 1 else 0
    ends = [value, value if limit is None else limit]
    ends = [(end - least) % values + least for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))
