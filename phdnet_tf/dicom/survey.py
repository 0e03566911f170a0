"""Finds the images in files and archives, and reports what is left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from phdnet_tf.dicom.cines import Cine, group
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.find import Found, Skipped, find_files
from phdnet_tf.dicom.read import FileHeader
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox

LOCALISERS = ("localizer", "localiser", "scout", "survey")


@dataclass
class Survey:
    """The result of a search for images.

    Attributes:
        cines: The cines, in the order of their first file.
        skipped: All other files.
        notes: Notes on the cines for the user: a line, and the files that it concerns.
    """

    cines: list[Cine] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: dict[str, list[FileLocation]] = field(default_factory=dict)


def survey(
    paths: list[Path],
    sandbox: Sandbox,
    advance: Callable[[], None] = lambda: None,
    localisers: bool = False,
) -> Survey:
    """Searches files, folders, zip archives and DICOMDIRs for images.

    Args:
        paths: The paths that the user named.
        sandbox: Reads the headers.
        advance: Called after each file.
        localisers: Whether to include localisers. One that the user named is always
            included.

    Returns:
        The cines, and what was skipped.
    """
    skipped: list[Skipped] = []
    found = find_files(paths, sandbox, skipped)
    return survey_found(found, sandbox, skipped, advance, localisers)


def survey_found(
    files: Iterable[Found],
    sandbox: Sandbox,
    skipped: list[Skipped],
    advance: Callable[[], None] = lambda: None,
    localisers: bool = False,
) -> Survey:
    """Searches files that `find.find_files` found for images.

    Args:
        files: The files.
        sandbox: Reads the headers.
        skipped: Files that `find_files` skipped. The result includes them.
        advance: Called after each file.
        localisers: As for `survey`.

    Returns:
        The cines, and what was skipped.
    """
    result = Survey(skipped=skipped)
    headers: list[tuple[Found, FileHeader]] = []
    for found in files:
        header = look(found, sandbox, localisers)
        if isinstance(header, Skipped):
            result.skipped.append(header)
        else:
            headers.append((found, header))
        advance()
    result.cines = group(_without_copies(headers, sandbox, result.skipped))
    for cine in result.cines:
        for note in _notes(cine):
            result.notes.setdefault(note, []).append(cine.frames[0].file.source)
    return result


def look(found: Found, sandbox: Sandbox, localisers: bool) -> FileHeader | Skipped:
    """The header of an image to predict, or the reason why the file is not one.

    Args:
        found: The file.
        sandbox: Reads the header.
        localisers: As for `survey`.
    """
    try:
        header = sandbox.header(found.source)
    except DicomError as error:
        return Skipped(found.source, str(error), failed=True)
    return _why_not(found, header, localisers or found.named) or header


def _why_not(found: Found, header: FileHeader, localisers: bool) -> Skipped | None:
    """Why a file is not an image to predict; None if it is one."""
    image = "Image Storage" in header.kind and header.modality in ("MR", "")
    if not header.has_pixels and image:
        line = (
            f"{found.source}: {header.kind} without pixels, so the file is incomplete. "
            "Export or copy it again."
        )
        return Skipped(found.source, line, failed=True)
    reason = None
    if not header.has_pixels:
        reason = f"no pixels ({header.kind or 'unknown kind'})"
    elif header.modality not in ("MR", ""):
        reason = f"not MR, but {header.modality}"
    elif "Segmentation" in header.kind or "Presentation" in header.kind:
        reason = f"not an image, but {header.kind}"
    elif _is_localiser(header) and not localisers:
        reason = "localiser"
    if reason is None:
        return None
    if found.named:
        reason = f"{found.source}: {reason}. Expected an MR image."
    return Skipped(found.source, reason, found.named)


def _is_localiser(header: FileHeader) -> bool:
    """Whether ImageType, or the first description in the header, says so.

    The other descriptions may be those of the whole examination.
    """
    text = next(iter(header.descriptions), "").lower()
    return "LOCALIZER" in header.image_type or any(word in text for word in LOCALISERS)


def _without_copies(
    headers: list[tuple[Found, FileHeader]], sandbox: Sandbox, skipped: list[Skipped]
) -> list[tuple[Found, FileHeader]]:
    """The files, without copies of the same image.

    Equal identifiers are not enough, because some programs give all files the same. The
    pixels of files that seem to be copies are therefore compared.
    """
    alike = Counter(_what(header) for _, header in headers)
    seen: set[tuple] = set()
    kept = []
    for found, header in headers:
        what = _what(header)
        if header.instance_uid and alike[what] > 1:
            try:
                image = (*what, sandbox.content(found.source))
            except DicomError as error:
                skipped.append(Skipped(found.source, str(error), failed=True))
                continue
            if image in seen and not found.named:
                reason = "copy of another file"
                skipped.append(Skipped(found.source, reason, failed=False))
                continue
            if image in seen:
                # A copy is no further phase: without a series it stands for itself.
                header = replace(header, series_uid="")
            seen.add(image)
        kept.append((found, header))
    return kept


def _what(header: FileHeader) -> tuple:
    """A key that is equal for copies of a file, and for few others."""
    owner = header.patient, header.study_uid, header.instance_uid
    return *owner, header.instance_number, header.rows, header.columns, header.frames


def _notes(cine: Cine) -> Iterator[str]:
    """Notes on a cine for the user, without the name of its file."""
    if cine.shares_times:
        yield (
            "treated as a still image, not as a phase of a cine, because others of its "
            "series and place have the same time"
        )
    if cine.order_is_guess:
        yield (
            "the order of its phases is a guess from the file names, because the files "
            "do not give it"
        )
    if cine.missing and not all(frame.file.named for frame in cine.frames):
        yield (
            f"found {len(cine.frames)} of the {cine.header.phases} phases that its "
            "header gives; the others are missing"
        )
