"""The process that decodes files from untrusted sources.

A damaged or malicious file can make a decoder crash, hang or fill the memory. Files are
therefore opened in a separate process with limits. `sandbox.Sandbox` starts it, sends
requests, and starts another when it dies. The two exchange JSON and raw pixels over a
pipe, so that no answer can run code in the calling process.

Run as `python -m phdnet_tf.dicom.sandbox_process DESCRIPTOR MEMORY SECONDS FOLDER`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from phdnet_tf.dicom.dicomdir import file_set
from phdnet_tf.dicom.errors import DicomError, printable, shown
from phdnet_tf.dicom.guards import MAX_FILE_BYTES, START_BYTES
from phdnet_tf.dicom.read import DicomFile

MAX_MEMBERS = 20_000
"""Largest number of files and folders in an archive."""


class SandboxProcess:
    """Answers one request after another.

    Args:
        folder: Folder for the one file of an archive that is being read.
    """

    def __init__(self, folder: Path) -> None:
        """Opens nothing yet."""
        self._copy = folder / "member"
        # The last file is kept open: the frames of one are asked for one by one.
        self._key: tuple[str, str | None, tuple[int, ...]] | None = None
        self._file: DicomFile | None = None
        # So is its archive, whose directory may list thousands.
        self._archive_key: tuple[str, tuple[int, ...]] | None = None
        self._archive: zipfile.ZipFile | None = None
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self.spent = False
        """Whether a file took all memory: what it left of it may not do for others."""

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """Answers a request with values for JSON, and with float32 pixels or None.

        An error that the user can correct is an answer as well: {"error": one line}.
        """
        path, member = request["path"], request["member"]
        try:
            if request["what"] == "members":
                return {"members": self._members(path)}, None
            if request["what"] == "file set":
                return {"members": file_set(Path(path))}, None
            file = self._open(path, member)
            if request["what"] == "header":
                return vars(file.header()), None
            if request["what"] == "identity":
                return file.identity(request["token"]), None
            if request["what"] == "content":
                return {"content": file.content()}, None
            image = file.image(request["frame"], request["pixel_spacing"])
            values = {
                "shape": image.pixels.shape,
                "pixel_spacing": image.pixel_spacing,
                "position": image.position,
                "orientation": image.orientation,
                "token": image.token,
                "header": image.header,
            }
            return values, image.pixels
        except DicomError as error:
            self.spent = isinstance(error.__cause__, MemoryError)
            name = path if member is None else f"{path}/{member}"
            # Of a file in an archive the error names the archive, or the copy.
            reason = str(error)
            for own in (str(self._copy), path):
                reason = reason.removeprefix(printable(own))
            return {"error": printable(name) + reason}, None

    def _open(self, path: str, member: str | None) -> DicomFile:
        key = (path, member, _state(path))
        if self._file is None or self._key != key:
            self._file = self._key = None
            if member is None:
                self._close_archive()
            else:
                self._extract(path, member)
            self._file = DicomFile(Path(path) if member is None else self._copy)
            self._key = key
        return self._file

    def _extract(self, path: str, member: str) -> None:
        """Copies a file of an archive to the folder, where it can be read."""
        archive = self._open_archive(path)
        with _zip_errors(self._copy, "cannot be extracted from the zip archive"):
            # `getinfo` says that there is none.
            info = self._infos.get(member) or archive.getinfo(member)
            if info.file_size > MAX_FILE_BYTES:
                raise DicomError(
                    f"{self._copy}: expected a file of at most {MAX_FILE_BYTES >> 20} "
                    "MiB. Export it as single-frame (classic) MR, one file per frame."
                )
            with archive.open(info) as source, self._copy.open("wb") as target:
                # zipfile stops at the size that the archive tells, which was checked.
                shutil.copyfileobj(source, target)

    def _open_archive(self, path: str) -> zipfile.ZipFile:
        key = (path, _state(path))
        if self._archive is None or self._archive_key != key:
            self._close_archive()
            with _zip_errors(path, "not readable as a zip archive"):
                archive = zipfile.ZipFile(path)
                count = len(archive.infolist())
                if count > MAX_MEMBERS:
                    archive.close()
                    raise DicomError(
                        f"{path}: expected an archive of at most {MAX_MEMBERS} files "
                        f"and folders. Received: {count}. Unpack it, and name the "
                        "folder."
                    )
            self._infos = _files(archive)
            self._archive, self._archive_key = archive, key
        return self._archive

    def _close_archive(self) -> None:
        if self._archive is not None:
            self._archive.close()
        self._archive = self._archive_key = None

    def _members(self, path: str) -> list[tuple[str, str | None]]:
        """Name and first bytes, in hexadecimal, of each file in an archive.

        The bytes are None if they cannot be read. Then this one file is damaged, and an
        attempt to read it gives the error.
        """
        archive = self._open_archive(path)
        found: list[tuple[str, str | None]] = []
        for name, info in self._infos.items():
            start = None
            # Damaged, encrypted, or compressed in a way that zipfile has not.
            with contextlib.suppress(Exception), archive.open(info) as file:
                start = file.read(START_BYTES).hex()
            found.append((name, start))
        return found


def _files(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by name. A further file of a name gets a number."""
    found: dict[str, zipfile.ZipInfo] = {}
    met: Counter[str] = Counter()
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        name = info.filename
        if name.endswith("/"):  # A folder; `is_dir` fails without a name.
            continue
        # An archive may hold several files of a name, as an exporter makes it that
        # names the images of each series from 1.
        while name in found:
            met[info.filename] += 1
            name = f"{info.filename} ({met[info.filename] + 1})"
        found[name] = info
    return found


def _state(path: str) -> tuple[int, ...]:
    """A value that changes when the file changes."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _zip_errors(path: Path | str, failure: str) -> Iterator[None]:
    """Turns whatever zipfile raises for a damaged archive into a `DicomError`."""
    try:
        yield
    except (DicomError, MemoryError):
        raise
    except Exception as error:
        reason = shown(str(error).strip().rstrip(".") or type(error).__name__)
        raise DicomError(
            f"{path}: {failure}: {reason}. Unpack it, and name the folder."
        ) from error


def _limit_memory(bytes_: int) -> None:
    """Limits the memory that the process can allocate from here on."""
    # What is mapped by now is the libraries, of which only a part is in memory.
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        mapped = pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + bytes_, mapped + bytes_))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answers requests until the calling process ends, or memory is short."""
    # What ends a batch job is sent to all of its processes: this one has to outlive the
    # one that asks.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    descriptor, memory, seconds, folder = sys.argv[1:]
    connection = Connection(int(descriptor))
    process = SandboxProcess(Path(folder))
    # Decoders print to standard output and error what nobody asked for.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    watch = threading.Thread(target=_watch, args=(int(descriptor), folder), daemon=True)
    watch.start()
    _load_decoders()
    _limit_memory(int(memory))
    try:
        connection.send_bytes(b"ready")
        while not process.spent:
            request = json.loads(connection.recv_bytes())
            # Who asks waits no longer than `seconds`, if there still is anybody. Unlike
            # the watch, it ends a decoder that lets no other thread run.
            signal.setitimer(signal.ITIMER_REAL, 2 * float(seconds))
            values, pixels = process.answer(request)
            signal.setitimer(signal.ITIMER_REAL, 0)
            # The frames of a header are objects. `dataclasses.asdict` would copy all.
            connection.send_bytes(json.dumps(values, default=vars).encode())
            if pixels is not None:
                connection.send_bytes(pixels.tobytes())
    except (EOFError, OSError):
        watch.join()


def _watch(descriptor: int, folder: str) -> None:
    """Ends the process when the other end of the pipe is closed, whatever it is doing.

    The calling process is then gone, perhaps without a chance to remove the folder. A
    patient's file may be in it, so it is removed here. (Linux can signal the death of a
    parent, but by that it means the thread that started the process.)
    """
    poll = select.poll()
    poll.register(descriptor, 0)  # for nothing but that
    poll.poll()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _load_decoders() -> None:
    """Imports the libraries that pydicom would import at the first compressed file.

    If they were loaded under the limit, they could fail because an earlier file uses
    the memory.
    """
    for name in ("gdcm", "jpeg_ls", "openjpeg", "pylibjpeg"):
        with contextlib.suppress(ImportError):
            __import__(name)


if __name__ == "__main__":
    main()
