"""Which images there are in files, folders and archives, and which belong together.

An archive of cardiac MR holds cines: the phases of one slice through a heart beat, as
one file each or as frames of one file. `survey` finds them, and tells what it left out
and why. What a file holds is known from a `Decoder`; no file is opened here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from phdnet_tf.decoder import Decoder, Source
from phdnet_tf.dicom import DicomError, FileHeader
from phdnet_tf.dicom_frames import FrameHeader
from phdnet_tf.dicom_guards import may_be_dicom, printable

LOCALISERS = ("localizer", "localiser", "scout", "survey")
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

    source: Source
    name: Path
    named: bool


@dataclass(frozen=True)
class Frame:
    """One image: a frame of a file.

    Attributes:
        file: The file.
        number: Of the frame in the file, from 1.
        of: Frames that the file has.
        header: Its place and time.
        phase: Its number in its cine, from 1.
    """

    file: Found
    number: int
    of: int
    header: FrameHeader
    phase: int = 1

    def __str__(self) -> str:
        """The name to show."""
        suffix = f" frame {self.number}" if self.of > 1 else ""
        return f"{self.file.source}{suffix}"


@dataclass(frozen=True)
class Cine:
    """The phases of one slice; a still image is a cine of one.

    Attributes:
        frames: In the order of time.
        header: Of the file that the first is in.
        heart_beat: Duration of the heart beat that the phases divide, in ms, if the
            phases cover all of it; or None.
    """

    frames: tuple[Frame, ...]
    header: FileHeader
    heart_beat: float | None


@dataclass(frozen=True)
class Skipped:
    """A file that is not predicted.

    Attributes:
        source: The file.
        reason: Why, such as "localiser"; for a file that failed, the whole line.
        failed: Whether it should have been an image: it is damaged, or the user named
            it.
    """

    source: Source
    reason: str
    failed: bool


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
    decoder: Decoder,
    advance: Callable[[], None] = lambda: None,
) -> Survey:
    """Looks through files, folders, zip archives and DICOMDIRs for images.

    Args:
        paths: What the user named.
        decoder: Reads the headers.
        advance: Called after each file.

    Returns:
        The cines, and what is none.
    """
    result = Survey()
    headers: list[tuple[Found, FileHeader]] = []
    seen: set[tuple] = set()
    for found in find_files(paths, decoder, result.skipped):
        try:
            header = decoder.header(found.source)
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


def find_files(
    paths: list[Path], decoder: Decoder, skipped: list[Skipped]
) -> Iterator[Found]:
    """The files that may be images: those named, and what lies in folders and archives.

    Args:
        paths: Files, folders, zip archives and DICOMDIRs.
        decoder: Reads the lists in archives and DICOMDIRs.
        skipped: Takes what is left out.

    Yields:
        Each file. Those of a folder or an archive in the order of their names.
    """
    for path in paths:
        if path.is_dir():
            folder = Path(path.resolve().name)
            for file in _files(path, skipped):
                name = folder / file.relative_to(path)
                yield from _in_folder(file, name, decoder, skipped)
        elif not path.is_file():
            # To open a pipe would be to wait for somebody to write into it.
            source = Source(path)
            line = (
                f"{source}: is no file. Expected a DICOM file, a folder or an archive."
            )
            skipped.append(Skipped(source, line, failed=True))
        elif path.name.upper() == "DICOMDIR":
            yield from _in_file_set(path, decoder, skipped)
        elif (_start(path) or b"").startswith(ZIP):
            yield from _in_archive(path, Path(path.name), decoder, skipped)
        else:
            yield Found(Source(path), Path(path.name), named=True)


def _files(folder: Path, skipped: list[Skipped]) -> list[Path]:
    """All files below a folder, in the order of their names."""

    def refuse(error: OSError) -> None:
        source = Source(Path(error.filename))
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
    file: Path, name: Path, decoder: Decoder, skipped: list[Skipped]
) -> Iterator[Found]:
    start = _start(file)
    if file.name.upper() == "DICOMDIR":
        # The folder is looked through whatever its index says.
        skipped.append(Skipped(Source(file), "index of a folder", failed=False))
    elif start is None or may_be_dicom(start):
        # What cannot be opened may be an image; that it cannot is told by its header.
        yield Found(Source(file), name, named=False)
    elif start.startswith(ZIP) and file.suffix.lower() == ".zip":
        yield from _in_archive(file, name, decoder, skipped)
    else:
        skipped.append(Skipped(Source(file), "not DICOM", failed=False))


def _in_archive(
    path: Path, name: Path, decoder: Decoder, skipped: list[Skipped]
) -> Iterator[Found]:
    try:
        members = decoder.members(path)
    except DicomError as error:
        skipped.append(Skipped(Source(path), str(error), failed=True))
        return
    folder = name.with_name(name.stem.strip(".") or "archive")
    for member, start in members:
        # What could lead out of the output folder, a root or a drive, is left out.
        parts = member.replace("\\", "/").split("/")
        inside = Path(*(p for p in parts if p not in ("", ".", "..") and ":" not in p))
        source = Source(path, member)
        if inside.name.upper() == "DICOMDIR":
            skipped.append(Skipped(source, "index of a folder", failed=False))
        elif start is None or may_be_dicom(start):
            yield Found(source, folder / inside, named=False)
        else:
            skipped.append(Skipped(source, "not DICOM", failed=False))


def _in_file_set(
    path: Path, decoder: Decoder, skipped: list[Skipped]
) -> Iterator[Found]:
    try:
        listed = decoder.file_set(path)
    except DicomError as error:
        skipped.append(Skipped(Source(path), str(error), failed=True))
        return
    folder = path.resolve().parent
    for name in listed:
        file = _without_case(path.parent, name)
        # The functions of a Path fail where a name is too long for any file.
        if os.path.isfile(file):
            yield Found(Source(file), Path(folder.name) / name, named=False)
        else:
            source = Source(file)
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


def group(headers: list[tuple[Found, FileHeader]]) -> list[Cine]:
    """Puts frames of one series, place and kind together, in the order of time.

    Magnitude and phase of a velocity measurement may be in one series. A file that does
    not tell its series stands for itself.

    Args:
        headers: Files and what their headers say.

    Returns:
        The cines, in the order of their first files.
    """
    slices: dict[tuple, list[tuple[Frame, FileHeader]]] = {}
    for found, header in headers:
        series = header.series_uid or found.source
        for frame in header.frames:
            place = _place(frame, found, header)
            key = (series, header.rows, header.columns, frame.kind, place)
            entry = Frame(found, frame.number, len(header.frames), frame), header
            slices.setdefault(key, []).append(entry)
    return [_cine(entries) for entries in slices.values()]


def _place(frame: FrameHeader, found: Found, header: FileHeader) -> object:
    """Equal for frames of one slice. The tenth of a mm is far below any slice's."""
    if frame.position is None or frame.orientation is None:
        # Frames of one file that tell no place are phases; files that do not are not
        # known to be.
        return found.source
    return (
        tuple(round(value, 1) + 0.0 for value in frame.position),
        tuple(round(value, 3) + 0.0 for value in frame.orientation),
    )


def _cine(entries: list[tuple[Frame, FileHeader]]) -> Cine:
    def in_time(entry: tuple[Frame, FileHeader]) -> tuple:
        frame, header = entry
        time, order = frame.header.time, frame.header.order
        # What is not told sorts as 0 for all frames, and leaves it to what follows.
        return (time or 0, order or 0, header.instance_number or 0, frame.number)

    ordered = sorted(entries, key=in_time)
    frames = tuple(
        Frame(frame.file, frame.number, frame.of, frame.header, phase)
        for phase, (frame, _) in enumerate(ordered, 1)
    )
    return Cine(frames, ordered[0][1], _whole_beat(frames, ordered[0][1].heart_beat))


def _whole_beat(frames: tuple[Frame, ...], beat: float | None) -> float | None:
    """The heart beat, if a step after the last phase comes the first again."""
    times = [frame.header.time for frame in frames if frame.header.time is not None]
    if beat is None or len(times) != len(frames) or len(times) < 3:
        return None
    step = (times[-1] - times[0]) / (len(times) - 1)
    return beat if step > 0 and abs(times[-1] + step - beat - times[0]) < step else None


def choose(cine: Cine, which: str | int | None) -> list[Frame]:
    """The frames of a cine to predict.

    Args:
        cine: The cine.
        which: "first", "all", the number of a phase from 1, or None: then the files
            that the user named one by one, or else the first.

    Returns:
        The frames, in the order of time; none if there is no such phase.
    """
    if which == "all":
        return list(cine.frames)
    if which == "first":
        return [cine.frames[0]]
    if which is None:
        named = [frame for frame in cine.frames if frame.file.named and frame.of == 1]
        return named or [cine.frames[0]]
    return [frame for frame in cine.frames if frame.phase == which]
