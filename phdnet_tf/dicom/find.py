"""The files that may be images, in folders, zip archives and DICOMDIRs.

What a file holds is known from a `Sandbox`; no file is decoded here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from phdnet_tf.dicom.errors import DicomError, printable
from phdnet_tf.dicom.guards import may_be_dicom
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox

ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Found:
    """A file that may be an image.

    Attributes:
        source: The file.
        name: Relative name for what is made of it: its file name; below a folder or in
            an archive with the path from there that begins with its own name.
        named: Whether the user named this very file.
    """

    source: FileLocation
    name: Path
    named: bool


@dataclass(frozen=True)
class Skipped:
    """A file that is not predicted.

    Attributes:
        source: The file.
        reason: Why, such as "localiser"; for a file that failed, the whole line.
        failed: Whether it should have been an image: it is damaged, or the user named
            it.
    """

    source: FileLocation
    reason: str
    failed: bool


def find_files(
    paths: list[Path], sandbox: Sandbox, skipped: list[Skipped]
) -> Iterator[Found]:
    """The files that may be images: those named, and what lies in folders and archives.

    Args:
        paths: Files, folders, zip archives and DICOMDIRs.
        sandbox: Reads the lists in archives and DICOMDIRs.
        skipped: Takes what is left out.

    Yields:
        Each file. Those of a folder or an archive in the order of their names.
    """
    for path in paths:
        if path.is_dir():
            folder = Path(path.resolve().name)
            for file in _files(path, skipped):
                name = folder / file.relative_to(path)
                yield from _in_folder(file, name, sandbox, skipped)
        elif not path.is_file():
            # To open a pipe would be to wait for somebody to write into it.
            source = FileLocation(path)
            line = (
                f"{source}: is no file. Expected a DICOM file, a folder or an archive."
            )
            skipped.append(Skipped(source, line, failed=True))
        elif path.name.upper() == "DICOMDIR":
            yield from _in_file_set(path, sandbox, skipped)
        elif (_start(path) or b"").startswith(ZIP):
            yield from _in_archive(path, Path(path.name), sandbox, skipped)
        else:
            yield Found(FileLocation(path), Path(path.name), named=True)


def _files(folder: Path, skipped: list[Skipped]) -> list[Path]:
    """All files below a folder, in the order of their names."""

    def refuse(error: OSError) -> None:
        source = FileLocation(Path(error.filename))
        line = f"{source}: cannot be opened: {error.strerror}."
        skipped.append(Skipped(source, line, failed=True))

    found = (
        Path(below, name)
        for below, _, names in os.walk(folder, onerror=refuse)
        for name in names
    )
    # Pipes, sockets and links to nowhere are none. What seems not to exist at all lies
    # where nobody may look at it, and has failed when it is read.
    return sorted(
        file for file in found if os.path.isfile(file) or not os.path.lexists(file)
    )


def _in_folder(
    file: Path, name: Path, sandbox: Sandbox, skipped: list[Skipped]
) -> Iterator[Found]:
    start = _start(file)
    if file.name.upper() == "DICOMDIR":
        # The folder is looked through whatever its index says.
        skipped.append(Skipped(FileLocation(file), "index of a folder", failed=False))
    elif start is None or may_be_dicom(start):
        # What cannot be opened may be an image; that it cannot is told by its header.
        yield Found(FileLocation(file), name, named=False)
    elif start.startswith(ZIP) and file.suffix.lower() == ".zip":
        yield from _in_archive(file, name, sandbox, skipped)
    else:
        skipped.append(Skipped(FileLocation(file), "not DICOM", failed=False))


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
        source = FileLocation(path, member)
        if inside.name.upper() == "DICOMDIR":
            skipped.append(Skipped(source, "index of a folder", failed=False))
        elif start is None or may_be_dicom(start):
            yield Found(source, folder / inside, named=False)
        else:
            skipped.append(Skipped(source, "not DICOM", failed=False))


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
        file = _without_case(path.parent, name)
        # The functions of a Path fail where a name is too long for any file.
        if os.path.isfile(file):
            yield Found(FileLocation(file), Path(folder.name) / name, named=False)
        else:
            source = FileLocation(file)
            line = f"{source}: no such file, though {path} lists it. Check the copy."
            skipped.append(Skipped(source, printable(line), failed=True))


def _without_case(folder: Path, name: str) -> Path:
    """The file as it is called here: a CD's upper case may have become lower case."""
    for candidate in (name, name.lower()):
        if os.path.exists(folder / candidate):
            return folder / candidate
    return folder / name


def _start(path: Path) -> bytes | None:
    """The first bytes of a file; None if it cannot be opened."""
    try:
        with path.open("rb") as file:
            return file.read(132)
    except OSError:
        return None
