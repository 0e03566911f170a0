"""Opens a DICOM file as a pydicom data set, also one with some damage."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom import uid
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_file_meta_info

from phdnet_tf.dicom.errors import DicomError, first_line
from phdnet_tf.dicom.guards import (
    may_be_dicom,
    require_decoder,
    require_plausible_file,
)

# Larger values stay on the disk until somebody asks for them, which for the pixels is
# when the guards have passed, and for most private elements never.
DEFER_BYTES = 64 * 1024

# Chinese, Japanese, Korean and Thai, and UTF-8 itself.
_MAY_LOOK_LIKE_UTF_8 = re.compile(r"GB|ISO 2022|ISO_IR (13|166|192)\b")


def open_dataset(path: Path, texts: Sequence[str]) -> Dataset:
    """Opens a file, and checks that its transfer syntax is known and can be decoded.

    Args:
        path: The file.
        texts: Keywords of the texts that the caller reads.

    Returns:
        The whole content. Pixels and other large values are read on access.

    Raises:
        DicomError: If the file is not DICOM, or cannot be decoded here.
        Exception: Whatever pydicom raises for a damaged file; see `plain_errors`.
    """
    try:
        require_plausible_file(path)
        syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    except FileNotFoundError:
        raise DicomError(f"{path}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise DicomError(
            f"{path}: expected a DICOM file. Received a folder. Name a file in it."
        ) from None
    except OSError as error:
        reason = error.strerror or first_line(error)
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
        if ds.preamble is None:
            raise _no_dicom(path)
        raise DicomError(
            f"{path}: begins like a DICOM file, but its header is incomplete. Export "
            "or copy it again."
        )
    _decode_utf_8(ds, texts)
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = _guessed_syntax(path, ds)
    require_decoder(path, ds.file_meta.TransferSyntaxUID)
    return ds


def _decode_utf_8(ds: Dataset, keywords: Sequence[str]) -> None:
    """Decodes UTF-8 texts whose SpecificCharacterSet is missing or wrong.

    Bytes beyond ASCII that are valid UTF-8 are almost surely UTF-8. The exception is a
    declared script in which the same bytes may be another word.
    """
    if _MAY_LOOK_LIKE_UTF_8.search(str(ds.get("SpecificCharacterSet"))):
        return
    for keyword in keywords:
        element: Any = ds.get_item(keyword)
        if not isinstance(element, RawDataElement):
            continue
        with contextlib.suppress(UnicodeDecodeError):
            if not (element.value or b"").decode("utf-8").isascii():
                utf_8 = convert_raw_data_element(element, encoding=["utf_8"], ds=ds)
                ds[keyword] = utf_8


def _bare_syntax(path: Path) -> uid.UID | None:
    """The transfer syntax of a file without preamble; None if it does not state it.

    It must be known before the whole file is read: pydicom would read the bytes of a
    photograph as an element of gigabytes, and would inflate deflated content.
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
        f"{path}: not a DICOM file. Expected a DICOM MR image. Convert other formats "
        "to DICOM first."
    )


def _guessed_syntax(path: Path, ds: Dataset) -> uid.UID:
    """The transfer syntax with which pydicom read a file that does not state it."""
    if "PixelData" in ds and ds["PixelData"].is_undefined_length:
        raise DicomError(
            f"{path}: the pixels are compressed, but no TransferSyntaxUID names the "
            "compression. Export the file again, with its header."
        )
    implicit, little_endian = ds.original_encoding
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if little_endian else uid.ExplicitVRBigEndian
