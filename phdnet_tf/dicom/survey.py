"""Which images there are in files and archives, and what is left out and why."""

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
    """What was found.

    Attributes:
        cines: In the order of their first file.
        skipped: The rest.
        notes: What the user should know of the cines: a line, and the files it is of.
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
    """Looks through files, folders, zip archives and DICOMDIRs for images.

    Args:
        paths: What the user named.
        sandbox: Reads the headers.
        advance: Called after each file.
        localisers: Whether these are wanted, too. A file that the user named is.

    Returns:
        The cines, and what is none.
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
    """The same for files that `find.find_files` found, now or before.

    Args:
        files: The files.
        sandbox: Reads the headers.
        skipped: What was left out when they were looked for; the result goes on with
            it.
        advance: Called after each file.
        localisers: Whether these are wanted, too.

    Returns:
        The cines, and what is none.
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
    """The header of an image to predict; or why the file is none.

    Args:
        found: The file.
        sandbox: Reads the header.
        localisers: Whether these are wanted, too. A file that the user named is.
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
            f"{found.source}: holds no pixels, though it is {header.kind}: the file is "
            "incomplete. Export or copy it again."
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
    """Whether it says so, or the first of its descriptions that is there does.

    The others may be of a whole examination.
    """
    text = next(iter(header.descriptions), "").lower()
    return "LOCALIZER" in header.image_type or any(word in text for word in LOCALISERS)


def _without_copies(
    headers: list[tuple[Found, FileHeader]], sandbox: Sandbox, skipped: list[Skipped]
) -> list[tuple[Found, FileHeader]]:
    """The files without those whose image another has, too.

    That the identifiers are the same says little, for some programs give all files one.
    So the pixels of files that seem to be the same are looked at.
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
    """Equal for copies of a file, and for few others."""
    owner = header.patient, header.study_uid, header.instance_uid
    return *owner, header.instance_number, header.rows, header.columns, header.frames


def _notes(cine: Cine) -> Iterator[str]:
    """What the user should know of a cine, without which file it is of."""
    if cine.shares_times:
        yield (
            "taken by itself, not as a phase of a cine, for others of its series and "
            "place have the same time"
        )
    if cine.order_is_guess:
        yield (
            "the order of its phases is a guess, from the names of the files, which do "
            "not tell it"
        )
    if cine.missing and not all(frame.file.named for frame in cine.frames):
        yield (
            f"{len(cine.frames)} of the {cine.header.phases} phases that its header "
            "tells of; the others are not here"
        )
