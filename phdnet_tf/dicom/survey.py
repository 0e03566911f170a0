"""Which images there are in files and archives, and what is left out and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from phdnet_tf.dicom.cines import Cine, group
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.find import Found, Skipped, find_files
from phdnet_tf.dicom.read import FileHeader
from phdnet_tf.dicom.sandbox import Sandbox

LOCALISERS = ("localizer", "localiser", "scout", "survey")


@dataclass
class Survey:
    """What was found.

    Attributes:
        cines: In the order of their first file.
        skipped: The rest.
    """

    cines: list[Cine] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def survey(
    paths: list[Path],
    sandbox: Sandbox,
    advance: Callable[[], None] = lambda: None,
) -> Survey:
    """Looks through files, folders, zip archives and DICOMDIRs for images.

    Args:
        paths: What the user named.
        sandbox: Reads the headers.
        advance: Called after each file.

    Returns:
        The cines, and what is none.
    """
    result = Survey()
    headers: list[tuple[Found, FileHeader]] = []
    seen: set[tuple] = set()
    for found in find_files(paths, sandbox, result.skipped):
        try:
            header = sandbox.header(found.source)
        except DicomError as error:
            result.skipped.append(Skipped(found.source, str(error), failed=True))
        else:
            reason = _why_not(header)
            what = _what(header)
            if reason is not None:
                if found.named:
                    reason = f"{found.source}: {reason}. Expected an MR image."
                result.skipped.append(Skipped(found.source, reason, found.named))
            elif not header.instance_uid or what not in seen:
                headers.append((found, header))
                seen.add(what)
            elif found.named:
                # A copy is no further phase: without a series it stands for itself.
                headers.append((found, replace(header, series_uid="")))
            else:
                result.skipped.append(
                    Skipped(found.source, "copy of another file", failed=False)
                )
        advance()
    result.cines = group(headers)
    return result


def _why_not(header: FileHeader) -> str | None:
    """Why a file is not an image to predict; None if it is one."""
    if not header.has_pixels:
        return f"no pixels ({header.kind or 'unknown kind'})"
    if header.modality not in ("MR", ""):
        return f"not MR, but {header.modality}"
    if "Segmentation" in header.kind or "Presentation" in header.kind:
        return f"not an image, but {header.kind}"
    if "LOCALIZER" in header.image_type:
        return "localiser"
    if any(word in text.lower() for text in header.descriptions for word in LOCALISERS):
        return "localiser"
    return None


def _what(header: FileHeader) -> tuple:
    """Equal for copies of a file, also where all files were given the same UID."""
    uid, number = header.instance_uid, header.instance_number
    return uid, number, header.rows, header.columns, header.frames
