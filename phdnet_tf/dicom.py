"""Cardiac MR as DICOM: one file in, one image out, and back.

This is the only module that imports pydicom. `read_image` takes any single-frame
greyscale file and either returns its pixels, spacing and place in the patient, or
raises a `DicomError` that says in one line which file, what is wrong and what to do.
`write_image` makes the small, valid MR files of the phantom, of imported data sets
and of the tests.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import apply_modality_lut, pixel_array
from pydicom.valuerep import format_number_as_ds

# Far above any MR image, and small enough to decode: 256 MiB as float32.
MAX_PIXELS = 64 * 1024 * 1024

# Outside these limits, in mm, a pixel spacing is a slip of units or of the decimal
# point: microscopy of a mouse heart has 0.05, a scout image of a whole body 5.
SPACING_LIMITS = (0.02, 20.0)

# The transfer syntaxes that are read, each with the decoder that pydicom should use, or
# "" where the choice is its own. GDCM has only what no other reads: a damaged JPEG 2000
# ends the process there, and raises an exception elsewhere. Deflated Explicit VR is not
# here, for a megabyte of it can unpack to gigabytes before there is anything to check.
DECODERS = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "gdcm",
    uid.JPEGExtended12Bit: "",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
}

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

_ONE_AT_A_TIME = threading.Lock()


class DicomError(ValueError):
    """A DICOM file that cannot be used: which file, what is wrong, the remedy."""


@dataclass(frozen=True)
class MRImage:
    """One greyscale image with what is needed to measure in it; no identity.

    Attributes:
        pixels: float32[H, W], values after the modality LUT, bright = signal.
        pixel_spacing: DICOM's order (between rows, between columns) = (y, x), in mm.
        position: Centre of the top-left pixel in patient space (LPS), in mm, or None
            where the file does not say.
        orientation: Six direction cosines in patient space, first those of the
            direction in which x grows, then those in which y grows; or None.
    """

    pixels: np.ndarray
    pixel_spacing: tuple[float, float]
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None


def read_image(path: Path, pixel_spacing: tuple[float, float] | None = None) -> MRImage:
    """Reads a single-frame greyscale DICOM file of any size and pixel spacing.

    Stored values go through the modality LUT (rescale or table), MONOCHROME1 is turned
    so that bright is signal, and compressed pixels are decoded. Warnings are silenced
    for the time of the call, which Python does for all threads at once; for the same
    reason only one thread reads at a time.

    Args:
        path: The file. One without preamble is read if its content looks like DICOM.
        pixel_spacing: (between rows, between columns) = (y, x), in mm, for a file that
            has none. What the file says wins.

    Raises:
        DicomError: If the file cannot be read as one greyscale image with a plausible
            pixel spacing. One line, with the file's name and the remedy.
    """
    path = Path(path)
    with _quiet():
        try:
            ds = _read_dataset(path)
            _require_one_grey_frame(path, ds)
            spacing = _pixel_spacing(path, ds, pixel_spacing)
            return MRImage(
                pixels=_pixels(path, ds),
                pixel_spacing=spacing,
                position=_place(ds, "ImagePositionPatient", 3),
                orientation=_place(ds, "ImageOrientationPatient", 6),
            )
        except DicomError:
            raise
        # A damaged file can make pydicom raise nearly anything, RecursionError too.
        except Exception as error:
            raise DicomError(
                f"{path}: not readable as DICOM: {_first_line(error)}. Export or copy "
                "the file again."
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what pydicom warns of and logs, mostly oddities without harm."""
    logger = logging.getLogger("pydicom")
    # Two threads that each restore what they found could leave the other's silence.
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    """An exception as part of a sentence."""
    lines = str(error).strip().splitlines()
    return _shown(lines[0].rstrip(" .:") if lines else type(error).__name__)


def _shown(value: object) -> str:
    """What a file holds, as part of a line: short and printable, whatever it is."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = "\\".join(str(part) for part in value[:9])
    text = str(value)[:100]
    return "".join(character if character.isprintable() else "?" for character in text)


def _read_dataset(path: Path) -> Dataset:
    """The file's content, its transfer syntax known and one that we decode."""
    try:
        syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    except FileNotFoundError:
        raise DicomError(f"{path}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise DicomError(
            f"{path}: is a folder. Expected a DICOM file; name one in it."
        ) from None
    except OSError as error:
        reason = error.strerror or _first_line(error)
        raise DicomError(f"{path}: cannot be opened: {reason}.") from error
    except InvalidDicomError:
        syntax = None
    if syntax is not None:
        _require_decoder(path, syntax)

    # `force` reads a file without preamble, and would read a photograph just as well.
    ds = pydicom.dcmread(path, force=True)
    if "SOPClassUID" not in ds and not ("Rows" in ds and "PixelData" in ds):
        raise DicomError(
            f"{path}: not a DICOM file. Expected a DICOM MR image; convert other "
            "formats to DICOM first."
        )
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = _guessed_syntax(path, ds)
    _require_decoder(path, ds.file_meta.TransferSyntaxUID)
    return ds


def _require_decoder(path: Path, syntax: uid.UID) -> None:
    if syntax not in DECODERS:
        raise DicomError(
            f"{path}: unsupported transfer syntax {_shown(syntax.name)}. Convert it to "
            "Explicit VR Little Endian, for example with `gdcmconv --raw`."
        )


def _guessed_syntax(path: Path, ds: Dataset) -> uid.UID:
    """The transfer syntax of a file that does not say it: as pydicom could read it."""
    if "PixelData" in ds and ds["PixelData"].is_undefined_length:
        raise DicomError(
            f"{path}: the pixels are compressed, but the file has no TransferSyntaxUID "
            "to say how. Export the file again, with its header."
        )
    implicit, little_endian = ds.original_encoding
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if little_endian else uid.ExplicitVRBigEndian


def _require_one_grey_frame(path: Path, ds: Dataset) -> None:
    if not any(
        k in ds for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    ):
        raise DicomError(
            f"{path}: holds no pixels. Expected an MR image; if it should be one, the "
            "file is incomplete: export or copy it again."
        )
    frames = int(ds.get("NumberOfFrames") or 1)
    if frames > 1 or "SharedFunctionalGroupsSequence" in ds:
        raise DicomError(
            f"{path}: expected a single-frame image. Received: a multi-frame object "
            f"with {frames} frame{'s' * (frames != 1)}. Export it as single-frame "
            "(classic) MR, one file a frame."
        )
    rows, columns = int(ds.get("Rows") or 0), int(ds.get("Columns") or 0)
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        raise DicomError(
            f"{path}: expected an image of 1 to {MAX_PIXELS} pixels. Received: {rows} "
            f"rows and {columns} columns. Export or copy the file again."
        )
    samples = int(ds.get("SamplesPerPixel") or 1)
    colours = ds.get("PhotometricInterpretation") or "MONOCHROME2"
    if samples != 1 or colours not in ("MONOCHROME1", "MONOCHROME2"):
        raise DicomError(
            f"{path}: expected a greyscale image. Received: {_shown(colours)}, samples "
            f"per pixel {samples}. Use the scanner's own image, not a screenshot or a "
            "colour map."
        )


def _pixel_spacing(
    path: Path, ds: Dataset, fallback: tuple[float, float] | None
) -> tuple[float, float]:
    own = ds.get("PixelSpacing")
    missing = own is None  # or there and empty, which pydicom tells in the same way
    values = fallback if missing else own
    if values is None:
        raise DicomError(
            f"{path}: has no PixelSpacing, so nothing can be measured in it. Write it "
            "into the file, or give it with `--pixel-spacing ROW,COLUMN`: mm between "
            "rows, between columns."
        )
    source, remedy = (
        ("--pixel-spacing", "Give it in mm, between rows first.")
        if missing
        else ("PixelSpacing", "Correct it in the file.")
    )
    low, high = SPACING_LIMITS
    try:
        y, x = (float(value) for value in values)
    except (TypeError, ValueError):
        y = x = math.nan
    # Written so that a NaN fails, too.
    if not (low <= y <= high and low <= x <= high):
        raise DicomError(
            f"{path}: expected {source} to be two numbers between {low:g} and {high:g} "
            f"mm. Received: {_shown(values)}. {remedy}"
        )
    return y, x


def _pixels(path: Path, ds: Dataset) -> np.ndarray:
    """float32[H, W], after the modality LUT, bright = signal."""
    syntax = ds.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated and "PixelData" in ds:
        bits = ds.Rows * ds.Columns * ds.BitsAllocated
        expected, received = math.ceil(bits / 8), len(ds.PixelData)
        if received < expected:
            raise DicomError(
                f"{path}: the pixel data are incomplete: expected {expected} bytes. "
                f"Received: {received}. Export or copy the file again."
            )
    try:
        stored = pixel_array(ds, decoding_plugin=DECODERS[syntax])
    except Exception as error:
        raise DicomError(
            f"{path}: the pixels cannot be decoded from transfer syntax {syntax.name}: "
            f"{_first_line(error)}. Export or copy the file again, without compression."
        ) from error

    # Empty rescale values mean none, and would end in a TypeError.
    if ds.get("RescaleSlope") is None or ds.get("RescaleIntercept") is None:
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            ds.pop(keyword, None)
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = apply_modality_lut(stored, ds).astype(np.float32)
        if ds.get("PhotometricInterpretation") == "MONOCHROME1":
            # Turned within its own range, so that rescaled values keep their limits.
            pixels = pixels.min() + pixels.max() - pixels
    if not np.isfinite(pixels).all():
        raise DicomError(
            f"{path}: some pixel values are not finite after the modality LUT. Correct "
            "RescaleSlope and RescaleIntercept in the file, or export it again."
        )
    return pixels


def _place(ds: Dataset, keyword: str, length: int) -> tuple[float, ...] | None:
    """Numbers that say where the image lies in the patient; None if they do not."""
    try:
        values = tuple(float(value) for value in ds.get(keyword) or ())
    except (TypeError, ValueError):
        return None
    return values if len(values) == length and np.isfinite(values).all() else None


def write_image(
    path: Path,
    pixels: np.ndarray,
    pixel_spacing: tuple[float, float],
    *,
    uid_seed: str,
    series_description: str,
    patient_id: str,
    position: Sequence[float] | None = None,
    orientation: Sequence[float] | None = None,
) -> None:
    """Writes a valid MR Image Storage file; the same arguments give the same bytes.

    Args:
        path: File to write, in a folder that exists.
        pixels: uint16[H, W].
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        uid_seed: Names the data set, for example `"phantom 1 sa"`. Images that share
            it and `patient_id` belong to one study, and with the same
            `series_description` to one series.
        series_description: At most 64 characters.
        patient_id: At most 64 characters. Written as it is, so it must stand for nobody
            who could be found by it.
        position: Centre of the top-left pixel in patient space (LPS), in mm. The
            standard wants one, so it is the origin where none is given.
        orientation: Six direction cosines, those of x first; axial if not given.

    Raises:
        ValueError: If the pixels are not uint16[H, W], or the spacing not positive.
    """
    if pixels.dtype != np.uint16 or pixels.ndim != 2 or not pixels.size:
        raise ValueError(
            f"{path}: expected pixels uint16[H, W]. Received: "
            f"{pixels.dtype}{list(pixels.shape)}."
        )
    if len(pixel_spacing) != 2 or not all(0 < s < math.inf for s in pixel_spacing):
        raise ValueError(
            f"{path}: expected two positive pixel spacings in mm, (y, x). "
            f"Received: {tuple(pixel_spacing)}."
        )
    stored = np.ascontiguousarray(pixels, dtype="<u2").tobytes()
    study = [uid_seed, patient_id]
    series = [*study, series_description]
    where = repr((position, orientation, pixels.shape))
    # The pixels take part, so no two images of a series can share an identifier.
    instance = [*series, where, hashlib.sha256(stored).hexdigest()]

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.MRImageStorage
    meta.MediaStorageSOPInstanceUID = _uid("image", instance)
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    # Left to pydicom these hold its version, and the bytes would change with it.
    meta.ImplementationClassUID = _uid("implementation", ["phdnet_tf"])
    meta.ImplementationVersionName = "PHDNET_TF"

    # Type 2 attributes are there and empty: of a drawn patient nothing is known, and of
    # a real one nothing shall be told.
    ds = Dataset()
    ds.file_meta = meta
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    ds.SOPClassUID = uid.MRImageStorage
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.StudyDate = ds.StudyTime = ""
    ds.AccessionNumber = ds.ReferringPhysicianName = ds.Manufacturer = ""
    ds.Modality = "MR"
    ds.SeriesDescription = series_description
    ds.BodyPartExamined = "HEART"
    ds.PatientName = ""
    ds.PatientID = patient_id
    ds.PatientBirthDate = ds.PatientSex = ""
    ds.ScanningSequence = "RM"  # research mode
    ds.SequenceVariant = "NONE"
    ds.ScanOptions = ds.MRAcquisitionType = ""
    ds.SliceThickness = ds.EchoTime = ds.EchoTrainLength = ds.RepetitionTime = None
    ds.PatientPosition = ""
    ds.StudyInstanceUID = _uid("study", study)
    ds.SeriesInstanceUID = _uid("series", series)
    ds.FrameOfReferenceUID = _uid("frame of reference", study)
    ds.StudyID = ds.PositionReferenceIndicator = ""
    ds.SeriesNumber = ds.InstanceNumber = None
    ds.ImagePositionPatient = _decimals((0, 0, 0) if position is None else position)
    ds.ImageOrientationPatient = _decimals(
        AXIAL if orientation is None else orientation
    )
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.PixelSpacing = _decimals(pixel_spacing)
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.PixelData = stored
    ds["PixelData"].VR = "OW"
    ds.save_as(path, enforce_file_format=True)


def _uid(kind: str, sources: Sequence[str]) -> uid.UID:
    return uid.generate_uid(entropy_srcs=[kind, *sources])


def _decimals(values: Sequence[float]) -> list[str]:
    """Numbers as DICOM decimal strings, which hold at most 16 characters."""
    return [format_number_as_ds(float(value)) for value in values]
