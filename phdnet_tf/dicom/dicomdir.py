"""Reads the list of files in a DICOMDIR."""

from __future__ import annotations

from pathlib import Path

from phdnet_tf.dicom.errors import DicomError, plain_errors
from phdnet_tf.dicom.read import DicomFile


def file_set(path: Path) -> list[str]:
    """Paths of the files that a DICOMDIR lists, relative to its folder, in its order.

    Paths that lead out of the folder are left out.

    Raises:
        DicomError: If the file is not a DICOMDIR, or is damaged.
    """
    ds = DicomFile(path)._ds
    with plain_errors(path):
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
    """Whether a text is the plain name of a file or folder."""
    plain = part.isprintable() and not {"/", "\\"} & set(part)
    return plain and part not in ("", ".", "..")
