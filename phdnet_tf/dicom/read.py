"""Reads images from DICOM files.

`read_image` takes a greyscale file, classic or Enhanced MR. It returns a frame's
pixels, spacing and place in the patient, or raises a `DicomError` that says in one line
which file, what is wrong and what to do. `DicomFile` does the same for several frames
of a file. Only this package reads DICOM.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydicom import uid

from phdnet_tf.dicom import frames
from phdnet_tf.dicom.dataset import open_dataset
from phdnet_tf.dicom.errors import DicomError, one_line, plain_errors, shown
from phdnet_tf.dicom.frames import FrameHeader
from phdnet_tf.dicom.guards import require_room_for_frames
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.pixels import (
    PIXELS,
    decoded_pixels,
    known_spacing,
    require_grey_frame,
)

# What a report on an image must repeat of its patient, study and series (PS3.3: type 1
# and 2 of these modules), and what names the image itself.
IDENTITY = (
    "PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID StudyDate "
    "StudyTime ReferringPhysicianName StudyID AccessionNumber SeriesInstanceUID "
    "FrameOfReferenceUID SOPClassUID SOPInstanceUID"
).split()

DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "SequenceName")
"""Keywords of descriptions, the most informative first."""

PATIENT = ("PatientName", "PatientID", "PatientBirthDate")
"""Attributes that distinguish patients whose files share all UIDs."""


@dataclass(frozen=True)
class FileHeader:
    """A file's series, place and time, without its pixels.

    Of the patient's identity it has only the UIDs, and a hash of name, id and birth
    date that shows which files belong together.

    Attributes:
        modality: Modality, such as "MR", or "".
        kind: Name of the SOP class, for example "MR Image Storage".
        image_type: ImageType, for example ("ORIGINAL", "PRIMARY").
        descriptions: Descriptions of the series, the protocol and the sequence, if
            there are any.
        patient: Hash of name, id and birth date.
        identity: Hash of every identifying attribute that a report repeats; see
            `header_token`.
        study_uid: Study Instance UID, or "".
        series_uid: Series Instance UID, or "".
        instance_uid: SOP Instance UID, or "".
        instance_number: Instance Number, or None.
        rows: Rows of a frame.
        columns: Columns of a frame.
        has_pixels: Whether the file has pixels.
        heart_beat: Duration of the heart beat that the phases divide, in ms, or None.
        phases: Number of phases into which the beat is divided, or None.
        frames: Place and time of each frame.
    """

    modality: str
    kind: str
    image_type: tuple[str, ...]
    descriptions: tuple[str, ...]
    patient: str
    identity: str
    study_uid: str
    series_uid: str
    instance_uid: str
    instance_number: int | None
    rows: int
    columns: int
    has_pixels: bool
    heart_beat: float | None
    phases: int | None
    frames: tuple[FrameHeader, ...]


def read_image(
    path: Path,
    pixel_spacing: tuple[float, float] | None = None,
    frame: int | None = None,
) -> MRImage:
    """Reads a frame of a greyscale DICOM file of any size and pixel spacing.

    Stored values go through the modality LUT (rescale or table), MONOCHROME1 is
    inverted so that bright is signal, and compressed pixels are decoded. Warnings are
    silenced during the call. Python silences them for all threads at once, so only one
    thread reads at a time.

    Args:
        path: The file. A file without preamble is read if its content looks like DICOM.
        pixel_spacing: (between rows, between columns) = (y, x), in mm, for a file that
            has none. The file's own spacing has priority.
        frame: Number of the frame, from 1. None is for files with a single frame.

    Raises:
        DicomError: If the file cannot be read as one greyscale image with a plausible
            pixel spacing. The message is one line, with the file's name and the remedy.
    """
    return DicomFile(path).image(frame, pixel_spacing)


class DicomFile:
    """A DICOM file whose header has been read, but not its pixels.

    Args:
        path: The file. A file without preamble is read if its content looks like DICOM.

    Attributes:
        path: The file.

    Raises:
        DicomError: If the file is not DICOM, or cannot be decoded here.
    """

    def __init__(self, path: Path) -> None:
        """Reads the header; see the class."""
        self.path = Path(path)
        with plain_errors(self.path):
            self._ds = open_dataset(self.path, (*IDENTITY, *DESCRIPTIONS))

    def header(self) -> FileHeader:
        """The file's series, place and time.

        Raises:
            DicomError: If the header is damaged.
        """
        ds = self._ds
        with plain_errors(self.path):
            kind = ds.get("SOPClassUID") or ds.file_meta.get("MediaStorageSOPClassUID")
            rows, columns = int(ds.get("Rows") or 0), int(ds.get("Columns") or 0)
            has_pixels = any(keyword in ds for keyword in PIXELS)
            if has_pixels:
                require_room_for_frames(
                    self.path,
                    ds.file_meta.TransferSyntaxUID,
                    frames.frame_count(ds),
                    rows * columns * int(ds.get("BitsAllocated") or 1),
                )
            return FileHeader(
                modality=shown(ds.get("Modality") or ""),
                kind=shown(uid.UID(kind).name) if kind else "",
                image_type=frames.texts(ds.get("ImageType")),
                descriptions=tuple(
                    shown(ds.get(keyword))
                    for keyword in DESCRIPTIONS
                    if ds.get(keyword)
                ),
                patient=_digest(map(one_line, map(ds.get, PATIENT))),
                identity=self._identity_hash(),
                study_uid=str(ds.get("StudyInstanceUID") or ""),
                series_uid=str(ds.get("SeriesInstanceUID") or ""),
                instance_uid=str(ds.get("SOPInstanceUID") or ""),
                instance_number=frames.whole_number(ds.get("InstanceNumber")),
                rows=rows,
                columns=columns,
                has_pixels=has_pixels,
                heart_beat=frames.heart_beat(ds),
                phases=frames.whole_number(ds.get("CardiacNumberOfImages")),
                frames=tuple(frames.frame_headers(ds)),
            )

    def identity(self, token: str | None = None) -> dict[str, str]:
        """The patient's identity: the attributes of `IDENTITY`, "" where missing.

        Args:
            token: `MRImage.token` of an image, which must be from this data set.

        Raises:
            DicomError: If the header is damaged, or the image is from another data set.
        """
        with plain_errors(self.path):
            if token is not None and token != self._token:
                raise DicomError(
                    f"{self.path}: the file has changed since its pixels were read, so "
                    "the image's patient is not known. Predict it again."
                )
            return self._identity()

    def _identity(self) -> dict[str, str]:
        return {keyword: one_line(self._ds.get(keyword)) for keyword in IDENTITY}

    def _identity_hash(self) -> str:
        return _digest(self._identity().values())

    @cached_property
    def _token(self) -> str:
        """A hash of identity and stored pixels, which cannot be reversed."""
        digest = hashlib.sha256(self._identity_hash().encode())
        for keyword in PIXELS:
            digest.update(self._ds.get(keyword) or b"")
        return digest.hexdigest()

    def content(self) -> str:
        """A hash that is equal for files with the same decoded pixels.

        Raises:
            DicomError: If the pixels cannot be decoded.
        """
        digest = hashlib.sha256()
        with plain_errors(self.path):
            for number in range(1, frames.frame_count(self._ds) + 1):
                require_grey_frame(self.path, self._ds, number)
                digest.update(decoded_pixels(self.path, self._ds, number).tobytes())
        return digest.hexdigest()

    def image(
        self,
        frame: int | None = None,
        pixel_spacing: tuple[float, float] | None = None,
    ) -> MRImage:
        """Decodes a frame; see `read_image`.

        Raises:
            DicomError: If it cannot be decoded, or has no plausible pixel spacing.
        """
        ds = self._ds
        with plain_errors(self.path):
            number = require_grey_frame(self.path, ds, frame)
            own = frames.pixel_spacing(ds, number)
            spacing = known_spacing(self.path, own, pixel_spacing)
            place = frames.frame_header(ds, number)
            return MRImage(
                pixels=decoded_pixels(self.path, ds, number),
                pixel_spacing=spacing,
                position=place.position,
                orientation=place.orientation,
                token=self._token,
                header=header_token(self._identity_hash(), place),
            )


def header_token(identity: str, frame: FrameHeader) -> str:
    """A hash of a file's attributes for a frame, which reveals none of them.

    Args:
        identity: `FileHeader.identity`.
        frame: Place and time of the frame.

    Returns:
        A text. It equals `MRImage.header` of the image unless the file has changed
        before the image is read.
    """
    return _digest([identity, repr(frame)])


def _digest(texts: Iterable[str]) -> str:
    """A hash of texts, which cannot be reversed."""
    # A text can hold anything but a line break.
    return hashlib.sha256("\n".join(texts).encode(errors="replace")).hexdigest()
