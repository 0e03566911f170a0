"""Writes small, valid MR files, for the phantom, imported data sets and the tests."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.valuerep import format_number_as_ds

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


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
    """Writes a valid MR Image Storage file. The same arguments give the same bytes.

    Args:
        path: File to write, in a folder that exists.
        pixels: uint16[H, W], or float32[H, W] for fractional or negative values. Few
            other programs read float32.
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        uid_seed: Name of the data set, for example `"phantom 1 sa"`. Images with the
            same `uid_seed` and `patient_id` belong to one study. Those that also share
            the `series_description` belong to one series.
        series_description: At most 64 characters.
        patient_id: At most 64 characters. It is written unchanged, so it must not
            identify a person.
        position: Centre of the top-left pixel in patient space (LPS), in mm. The
            standard requires one. Default: the origin.
        orientation: Six direction cosines, those of x first; axial if not given.

    Raises:
        ValueError: If the pixels have another type, or the spacing is not positive.
        OSError: If the file cannot be written.
    """
    whole = pixels.dtype == np.uint16
    if not (whole or pixels.dtype == np.float32) or pixels.ndim != 2 or not pixels.size:
        raise ValueError(
            f"{path}: expected pixels uint16[H, W] or float32[H, W]. Received: "
            f"{pixels.dtype}{list(pixels.shape)}."
        )
    if len(pixel_spacing) != 2 or not all(0 < s < math.inf for s in pixel_spacing):
        raise ValueError(
            f"{path}: expected two positive pixel spacings in mm, (y, x). "
            f"Received: {tuple(pixel_spacing)}."
        )
    stored = np.ascontiguousarray(pixels, dtype="<u2" if whole else "<f4").tobytes()
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
    if whole:
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit = 15
        ds.PixelRepresentation = 0
        ds.PixelData = stored
        ds["PixelData"].VR = "OW"
    else:
        ds.BitsAllocated = 32
        ds.FloatPixelData = stored
    # By way of memory: pydicom makes several lines, without a number, of a full disk.
    written = BytesIO()
    ds.save_as(written, enforce_file_format=True)
    path.write_bytes(written.getvalue())


def _uid(kind: str, sources: Sequence[str]) -> uid.UID:
    return uid.generate_uid(entropy_srcs=[kind, *sources])


def _decimals(values: Sequence[float]) -> list[str]:
    """Numbers as DICOM decimal strings, which hold at most 16 characters."""
    return [format_number_as_ds(float(value)) for value in values]
