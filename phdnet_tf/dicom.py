"""Cardiac MR as DICOM: one frame of a file in, one image out, and back.

This module and its family, `dicom_*`, are the only ones that read DICOM. `read_image`
takes a greyscale file, classic or Enhanced MR, and either returns a frame's pixels,
spacing and place in the patient, or raises a `DicomError` that says in one line which
file, what is wrong and what to do. `DicomFile` is the same for several frames of a
file. `write_image` makes the small, valid MR files of the phantom, of imported data
sets and of the tests.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.pixels import apply_modality_lut, pixel_array
from pydicom.valuerep import format_number_as_ds

from phdnet_tf import dicom_frames
from phdnet_tf.dicom_frames import FrameHeader
from phdnet_tf.dicom_guards import (
    DECODERS,
    MAX_PIXELS,
    SPACING_LIMITS,
    DicomError,
    may_be_dicom,
    require_decoder,
    require_honest_codestream,
    require_plausible_file,
    require_room_for_frames,
    shown,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

# Larger values stay on the disk until somebody asks for them, which for the pixels is
# when the guards have passed, and for most private elements never.
DEFER_BYTES = 64 * 1024

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

# What a report on an image must repeat of its patient, study and series (PS3.3: type 1
# and 2 of these modules), and what names the image itself.
IDENTITY = (
    "PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate "
    "StudyTime ReferringPhysicianName StudyID AccessionNumber SeriesInstanceUID "
    "FrameOfReferenceUID SOPClassUID SOPInstanceUID"
).split()

_ONE_AT_A_TIME = threading.Lock()


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

    def patient_positions(self, points: np.ndarray) -> np.ndarray | None:
        """Where points of the image lie in the patient (PS3.3, C.7.6.2.1.1).

        Args:
            points: float[..., 2], (x, y), pixels of the image.

        Returns:
            float64[..., 3] in patient space (LPS), in mm: x to the patient's left, y
            to the back, z to the head. None where the file does not tell the place, or
            tells directions that are not at right angles.
        """
        if self.position is None or self.orientation is None:
            return None
        axes = np.reshape(self.orientation, (2, 3))
        if not np.allclose(axes @ axes.T, np.eye(2), atol=0.01):
            return None
        # (y, x), as DICOM has it; the points are (x, y).
        step = np.array(self.pixel_spacing[::-1])
        return np.array(self.position) + np.asarray(points, float) * step @ axes


@dataclass(frozen=True)
class FileHeader:
    """What tells a file's series, place and time, without its pixels.

    Of the identity it has the UIDs only, to find what belongs together.

    Attributes:
        modality: "MR", or another, or "".
        kind: Name of its SOP class, for example "MR Image Storage".
        image_type: For example ("ORIGINAL", "PRIMARY").
        descriptions: Of the series, the protocol and the sequence, where there are any.
        series_uid: Series Instance UID, or "".
        instance_uid: SOP Instance UID, or "".
        instance_number: Instance Number, or None.
        rows: Of a frame.
        columns: Of a frame.
        has_pixels: Whether there are any.
        heart_beat: Duration of the heart beat that the phases divide, in ms, or None.
        frames: Place and time of each frame.
    """

    modality: str
    kind: str
    image_type: tuple[str, ...]
    descriptions: tuple[str, ...]
    series_uid: str
    instance_uid: str
    instance_number: int | None
    rows: int
    columns: int
    has_pixels: bool
    heart_beat: float | None
    frames: tuple[FrameHeader, ...]


def read_image(
    path: Path,
    pixel_spacing: tuple[float, float] | None = None,
    frame: int | None = None,
) -> MRImage:
    """Reads a frame of a greyscale DICOM file of any size and pixel spacing.

    Stored values go through the modality LUT (rescale or table), MONOCHROME1 is turned
    so that bright is signal, and compressed pixels are decoded. Warnings are silenced
    for the time of the call, which Python does for all threads at once; for the same
    reason only one thread reads at a time.

    Args:
        path: The file. One without preamble is read if its content looks like DICOM.
        pixel_spacing: (between rows, between columns) = (y, x), in mm, for a file that
            has none. What the file says wins.
        frame: Number of the frame, from 1. None is for files with a single frame.

    Raises:
        DicomError: If the file cannot be read as one greyscale image with a plausible
            pixel spacing. One line, with the file's name and the remedy.
    """
    return DicomFile(path).image(frame, pixel_spacing)


class DicomFile:
    """A DICOM file whose header has been read and whose pixels have not.

    Args:
        path: The file. One without preamble is read if its content looks like DICOM.

    Attributes:
        path: The file.

    Raises:
        DicomError: If it is no DICOM, or one that is not decoded here.
    """

    def __init__(self, path: Path) -> None:
        """Reads the header; see the class."""
        self.path = Path(path)
        with _plain_errors(self.path):
            self._ds = _read_dataset(self.path)

    def header(self) -> FileHeader:
        """What tells the file's series, place and time.

        Raises:
            DicomError: If the header is damaged.
        """
        ds = self._ds
        with _plain_errors(self.path):
            kind = ds.get("SOPClassUID") or ds.file_meta.get("MediaStorageSOPClassUID")
            described = ("SeriesDescription", "ProtocolName", "SequenceName")
            rows, columns = int(ds.get("Rows") or 0), int(ds.get("Columns") or 0)
            has_pixels = any(keyword in ds for keyword in PIXELS)
            if has_pixels:
                require_room_for_frames(
                    self.path,
                    ds.file_meta.TransferSyntaxUID,
                    dicom_frames.frame_count(ds),
                    rows * columns * int(ds.get("BitsAllocated") or 1),
                )
            return FileHeader(
                modality=shown(ds.get("Modality") or ""),
                kind=shown(uid.UID(kind).name) if kind else "",
                image_type=dicom_frames.texts(ds.get("ImageType")),
                descriptions=tuple(
                    shown(ds.get(keyword)) for keyword in described if ds.get(keyword)
                ),
                series_uid=str(ds.get("SeriesInstanceUID") or ""),
                instance_uid=str(ds.get("SOPInstanceUID") or ""),
                instance_number=dicom_frames.whole(ds.get("InstanceNumber")),
                rows=rows,
                columns=columns,
                has_pixels=has_pixels,
                heart_beat=dicom_frames.heart_beat(ds),
                frames=tuple(dicom_frames.frame_headers(ds)),
            )

    def identity(self) -> dict[str, str]:
        """Whose image it is: the attributes of `IDENTITY`, "" where one is missing.

        Raises:
            DicomError: If the header is damaged.
        """
        with _plain_errors(self.path):
            return {keyword: _one_line(self._ds.get(keyword)) for keyword in IDENTITY}

    def image(
        self,
        frame: int | None = None,
        pixel_spacing: tuple[float, float] | None = None,
    ) -> MRImage:
        """Decodes a frame; see `read_image`.

        Raises:
            DicomError: If it cannot be decoded or measured in.
        """
        ds = self._ds
        with _plain_errors(self.path):
            number = _require_grey_frame(self.path, ds, frame)
            own = dicom_frames.pixel_spacing(ds, number)
            spacing = _pixel_spacing(self.path, own, pixel_spacing)
            place = dicom_frames.frame_header(ds, number)
            return MRImage(
                pixels=_pixels(self.path, ds, number),
                pixel_spacing=spacing,
                position=place.position,
                orientation=place.orientation,
            )


def file_set(path: Path) -> list[str]:
    """Paths of the files that a DICOMDIR lists, relative to its folder, in its order.

    Paths that lead out of the folder are left out.

    Raises:
        DicomError: If it is no DICOMDIR, or a damaged one.
    """
    ds = DicomFile(path)._ds
    with _plain_errors(path):
        if "DirectoryRecordSequence" not in ds:
            raise DicomError(
                f"{path}: expected a DICOMDIR. Received: another DICOM file. Give it "
                "another name."
            )
        found = []
        for record in ds.DirectoryRecordSequence:
            parts = record.get("ReferencedFileID") or []
            # An identifier has up to eight components, each a name of a folder or file.
            parts = [parts] if isinstance(parts, str) else [str(p) for p in parts]
            if parts and all(_is_component(part) for part in parts):
                found.append("/".join(parts))
        return found


def _is_component(part: str) -> bool:
    """Whether it is the name of a file or folder, and nothing else."""
    plain = part.isprintable() and not {"/", "\\"} & set(part)
    return plain and part not in ("", ".", "..")


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Silence, and a DicomError for whatever a damaged file makes pydicom raise."""
    with quiet():
        try:
            yield
        except DicomError:
            raise
        except MemoryError as error:
            raise DicomError(
                f"{path}: takes more memory than there is for a file. Export it as "
                "single-frame (classic) MR, one file a frame."
            ) from error
        # A damaged file can make pydicom raise nearly anything, RecursionError too.
        except Exception as error:
            raise DicomError(
                f"{path}: not readable as DICOM: {_first_line(error)}. Export or copy "
                "the file again."
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what pydicom warns of and logs, mostly oddities without harm.

    They quote what stands in the file, which may name a person.

    Yields:
        Nothing; wrap the calls of pydicom.
    """
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
    return shown(lines[0].rstrip(" .:") if lines else type(error).__name__)


def _last_line(error: Exception) -> str:
    """The same, where the first line only says that all decoders failed."""
    lines = str(error).strip().splitlines()
    last = lines[-1].strip(" .") if lines else type(error).__name__
    # Some, such as the want of memory, have a name and no words.
    return shown(f"{last[:-1]} gave up" if last.endswith(":") else last)


def _one_line(value: object) -> str:
    """A value as a text that a report may repeat: all of it, without control codes."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = "\\".join(map(str, value))
    text = "" if value is None else str(value)
    # An ideographic space, or the joiners of some scripts, belong to a name.
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Zl", "Zp"))


def _read_dataset(path: Path) -> Dataset:
    """The file's content, its transfer syntax known and one that we decode."""
    try:
        require_plausible_file(path)
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
        syntax = _bare_syntax(path)
    if syntax is not None:
        require_decoder(path, syntax)

    # `force` reads a file without preamble.
    ds = pydicom.dcmread(path, force=True, defer_size=DEFER_BYTES)
    if (
        "SOPClassUID" not in ds
        and "DirectoryRecordSequence" not in ds
        and not ("Rows" in ds and "PixelData" in ds)
    ):
        raise _no_dicom(path)
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = _guessed_syntax(path, ds)
    require_decoder(path, ds.file_meta.TransferSyntaxUID)
    return ds


def _bare_syntax(path: Path) -> uid.UID | None:
    """The transfer syntax of a file without preamble; None if it does not say.

    To be known before the whole is read: of a photograph pydicom would take any bytes
    for an element of gigabytes, and what is deflated it would inflate.
    """
    with path.open("rb") as file:
        if not may_be_dicom(file.read(132)):
            raise _no_dicom(path)
        file.seek(0)
        meta = read_dataset(
            file,
            is_implicit_VR=False,
            is_little_endian=True,
            stop_when=lambda tag, vr, length: tag >> 16 != 2,
        )
    return meta.get("TransferSyntaxUID")


def _no_dicom(path: Path) -> DicomError:
    return DicomError(
        f"{path}: not a DICOM file. Expected a DICOM MR image; convert other formats "
        "to DICOM first."
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


def _require_grey_frame(path: Path, ds: Dataset, frame: int | None) -> int:
    """The number of the frame that is meant, after a look at what the header says."""
    if not any(keyword in ds for keyword in PIXELS):
        raise DicomError(
            f"{path}: holds no pixels. Expected an MR image; if it should be one, the "
            "file is incomplete: export or copy it again."
        )
    frames = dicom_frames.frame_count(ds)
    if frame is None and frames > 1:
        raise DicomError(
            f"{path}: expected a single-frame image. Received: a multi-frame object "
            f"with {frames} frames. Choose one of them, or export it as single-frame "
            "(classic) MR, one file a frame."
        )
    number = 1 if frame is None else frame
    if not 1 <= number <= frames:
        raise DicomError(
            f"{path}: expected a frame between 1 and {frames}. Received: {number}. "
            "Choose another."
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
            f"{path}: expected a greyscale image. Received: {shown(colours)}, samples "
            f"per pixel {samples}. Use the scanner's own image, not a screenshot or a "
            "colour map."
        )
    return number


def _pixel_spacing(
    path: Path, own: object, fallback: tuple[float, float] | None
) -> tuple[float, float]:
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
    y, x = dicom_frames.numbers(values, 2) or (math.nan, math.nan)
    # Written so that a NaN fails, too.
    if not (low <= y <= high and low <= x <= high):
        raise DicomError(
            f"{path}: expected {source} to be two numbers between {low:g} and {high:g} "
            f"mm. Received: {shown(values)}. {remedy}"
        )
    return y, x


def _pixels(path: Path, ds: Dataset, number: int) -> np.ndarray:
    """float32[H, W], after the modality LUT, bright = signal."""
    syntax = ds.file_meta.TransferSyntaxUID
    frames = dicom_frames.frame_count(ds)
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
    except (DicomError, MemoryError):
        raise
    except Exception as error:
        raise DicomError(
            f"{path}: the pixels cannot be decoded from transfer syntax {syntax.name}: "
            f"{_last_line(error)}. Export or copy the file again, without compression."
        ) from error

    lut = dicom_frames.rescale(ds, number)
    # Empty rescale values mean none, and would end in a TypeError.
    if lut.get("RescaleSlope") is None or lut.get("RescaleIntercept") is None:
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            lut.pop(keyword, None)
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = apply_modality_lut(stored, lut).astype(np.float32)
        if ds.get("PhotometricInterpretation") == "MONOCHROME1":
            # Turned within its own range, so that rescaled values keep their limits.
            pixels = pixels.min() + pixels.max() - pixels
    if not np.isfinite(pixels).all():
        raise DicomError(
            f"{path}: some pixel values are not finite after the modality LUT. Correct "
            "RescaleSlope and RescaleIntercept in the file, or export it again."
        )
    return pixels


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
