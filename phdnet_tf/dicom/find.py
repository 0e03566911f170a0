"""Finds files that may be images, in folders, zip archives and DICOMDIRs.

A `Sandbox` reads the content. No file is decoded here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phdnet_tf.dicom.errors import DicomError, printable
from phdnet_tf.dicom.guards import START_BYTES, may_be_dicom
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox

ZIP = b"PK\x03\x04"

# Archives that nothing here looks into, as they are called.
_PACKED = re.compile(
    r"\.(zip|tar|tgz|tbz2?|txz|7z|rar|(tar|dcm|dicom|ima)\.(gz|bz2|xz|zst))$", re.I
)

# As files of DICOM are called: by their ending, by UIDs, or as on a CD.
_CALLED_DICOM = re.compile(r"\.(dcm|dicom|ima)$|(\d+\.){5,}\d+|^(im|mr)[_-]?\d+$", re.I)


@dataclass(frozen=True)
class Found:
    """A file that may be an image.

    Attributes:
        source: The file.
        name: Relative name for the files made from it: its file name or, below a folder
            or in an archive, the path that begins with the name of that.
        named: Whether the user named this file itself.
    """

    source: FileLocation
    name: Path
    named: bool


@dataclass(frozen=True)
class Skipped:
    """A file that is not predicted.

    Attributes:
        source: The file.
        reason: The reason, such as "localiser"; for a file that failed, a whole line.
        failed: Whether an image was expected: the file is damaged, or the user named
            it.
    """

    source: FileLocation
    reason: str
    failed: bool


def find_files(
    paths: Iterable[Path], sandbox: Sandbox, skipped: list[Skipped]
) -> Iterator[Found]:
    """Finds files that may be images: named ones, and those in folders and archives.

    Args:
        paths: Files, folders, zip archives and DICOMDIRs.
        sandbox: Reads the lists in archives and DICOMDIRs.
        skipped: Files that are left out are appended to it.

    Yields:
        Each file. Those of a folder or an archive are in the order of their names.
    """
    for path in paths:
        # Not of Path: that raises where a name is too long, or a folder is closed.
        if os.path.isdir(path):
            folder = Path(path.resolve().name)
            for file in _files(path, skipped):
                name = folder / file.relative_to(path)
                yield from _in_folder(file, name, sandbox, skipped)
        elif not os.path.isfile(path):
            # To open a pipe would be to wait for somebody to write into it.
            source = FileLocation(path)
            line = (
                f"{source}: not a regular file. Expected a DICOM file, a folder or an "
                "archive."
            )
            skipped.append(Skipped(source, line, failed=True))
        elif path.name.upper() == "DICOMDIR":
            yield from _in_file_set(path, sandbox, skipped)
        else:
            start = _start(path) or b""
            if start.startswith(ZIP):
                yield from _in_archive(path, Path(path.name), sandbox, skipped)
            elif _is_packed(path.name, start):
                skipped.append(_packed(FileLocation(path)))
            else:
                yield Found(FileLocation(path), Path(path.name), named=True)


def _files(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """All files below a folder, in the order of their names. Links are followed.

    An archive may have millions of files, so only the names in the current folder and
    its parents are held.
    """
    # A link may lead to a folder that it lies in, or to one that is met anyway.
    met = {_place(folder)}
    on_the_way = [_entries(folder, met, skipped)]
    while on_the_way:
        for path, is_folder in on_the_way[-1]:
            if is_folder:
                on_the_way.append(_entries(path, met, skipped))
                break
            yield path
        else:
            on_the_way.pop()


def _entries(
    folder: Path, met: set[tuple[int, int] | None], skipped: list[Skipped]
) -> Iterator[tuple[Path, bool]]:
    """The files in a folder, and its folders that were not visited, which it marks.

    Yields:
        The path, and whether it is a folder.
    """

    def refuse(path: Path, reason: str) -> None:
        source = FileLocation(path)
        skipped.append(Skipped(source, f"{source}: {reason}", failed=True))

    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        refuse(folder, f"cannot be opened: {error.strerror}.")
        return
    folders = {name for name in names if os.path.isdir(folder / name)}
    new = set()
    # What is no link comes first, so that files keep the names that they have.
    for name in sorted(folders, key=lambda name: (os.path.islink(folder / name), name)):
        place = _place(folder / name)
        if place not in met:
            new.add(name)
        if place is not None:
            met.add(place)
    for name in names:
        path = folder / name
        if name in folders:
            if name in new:
                yield path, True
        # What seems not to exist at all lies where nobody may look at it, and has
        # failed when it is read. Pipes and sockets are no files.
        elif os.path.isfile(path) or not os.path.lexists(path):
            yield path, False
        elif not os.path.exists(path) and not name.startswith("."):
            refuse(path, "is a link to a missing file. Check the copy.")


def _place(folder: Path) -> tuple[int, int] | None:
    """A key that is equal for all names of one folder; None if it cannot be read."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _in_folder(
    file: Path, name: Path, sandbox: Sandbox, skipped: list[Skipped]
) -> Iterator[Found]:
    start = _start(file)
    if start and start.startswith(ZIP) and file.suffix.lower() == ".zip":
        yield from _in_archive(file, name, sandbox, skipped)
    else:
        yield from _if_image(FileLocation(file), name, start, skipped)


def _if_image(
    source: FileLocation, name: Path, start: bytes | None, skipped: list[Skipped]
) -> Iterator[Found]:
    """A file of a folder or an archive, if it may be an image.

    Args:
        source: The file.
        name: See `Found`.
        start: Its first bytes; None if it cannot be opened.
        skipped: The file is appended to it if it cannot be an image.
    """
    if name.name.upper() == "DICOMDIR":
        # All is looked through whatever its index says.
        skipped.append(Skipped(source, "index of a folder", failed=False))
    elif start is None or may_be_dicom(start):
        # What cannot be opened may be an image; that it cannot is told by its header.
        yield Found(source, name, named=False)
    elif _is_packed(name.name, start):
        skipped.append(_packed(source))
    elif _CALLED_DICOM.search(name.name) and not name.name.startswith("."):
        what = "does not begin like one" if start else "is empty"
        line = f"{source}: named like a DICOM file, but {what}. Copy it again."
        skipped.append(Skipped(source, line, failed=True))
    else:
        skipped.append(Skipped(source, "not DICOM", failed=False))


def _is_packed(name: str, start: bytes) -> bool:
    """Whether a file is an archive of an unsupported kind."""
    return start[257:262] == b"ustar" or bool(start and _PACKED.search(name))


def _packed(source: FileLocation) -> Skipped:
    line = (
        f"{source}: this kind of archive cannot be read. Unpack it, and name the "
        "folder."
    )
    return Skipped(source, line, failed=True)


def _in_archive(
    path: Path, name: Path, sandbox: Sandbox, skipped: list[Skipped]
) -> Iterator[Found]:
    try:
        members = sandbox.members(path)
    except DicomError as error:
        skipped.append(Skipped(FileLocation(path), str(error), failed=True))
        return
    folder = name.with_name(name.stem.strip(".") or "archive")
    for member, start in members:
        # What could lead out of the output folder, a root or a drive, is left out.
        parts = member.replace("\\", "/").split("/")
        inside = Path(*(p for p in parts if p not in ("", ".", "..") and ":" not in p))
        yield from _if_image(
            FileLocation(path, member), folder / inside, start, skipped
        )


def _in_file_set(
    path: Path, sandbox: Sandbox, skipped: list[Skipped]
) -> Iterator[Found]:
    try:
        listed = sandbox.file_set(path)
    except DicomError as error:
        skipped.append(Skipped(FileLocation(path), str(error), failed=True))
        return
    folder = path.resolve().parent
    for name in listed:
        file = _as_it_is_called(path.parent, name)
        if file is not None:
            yield Found(FileLocation(file), Path(folder.name) / name, named=False)
        else:
            source = FileLocation(path.parent / name)
            line = f"{source}: {path} lists it, but it is missing. Check the copy."
            skipped.append(Skipped(source, printable(line), failed=True))


def _as_it_is_called(folder: Path, name: str) -> Path | None:
    """The file that a DICOMDIR lists; None if it does not exist.

    When files are copied from a CD, their names may change case, or get ISO 9660's
    version number or a suffix.
    """
    # The functions of a Path fail where a name is too long for any file.
    if os.path.isfile(folder / name):
        return folder / name
    *parts, last = name.split("/")
    for part in parts:
        found = _alike(folder, part, _plain)
        if found is None:
            return None
        folder = found
    file = _alike(folder, last, _plain) or _alike(folder, last, _without_ending)
    return file if file is not None and os.path.isfile(file) else None


def _alike(folder: Path, name: str, plain: Callable[[str], str]) -> Path | None:
    """The entry of a folder with clearly the same name; None if there is none."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return None
    wanted = plain(name)
    same = [other for other in names if plain(other) == wanted]
    return folder / (name if name in same else same[0]) if same else None


def _plain(name: str) -> str:
    return name.casefold().partition(";")[0]


def _without_ending(name: str) -> str:
    return _plain(name).removesuffix(".dcm")


def _start(path: Path) -> bytes | None:
    """The first bytes of a file; None if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(START_BYTES)
    except OSError:
        return None
