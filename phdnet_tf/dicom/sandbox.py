"""Decodes files in a separate process, so that no file can harm the calling one."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from phdnet_tf.dicom.errors import DicomError, printable
from phdnet_tf.dicom.frames import FrameHeader
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.read import FileHeader

MEMORY_BYTES = 384 * 1024 * 1024
"""Memory that one file may use, in bytes, beside the libraries that decode it."""

SECONDS = 10.0
"""Longest time for one answer, in seconds. A file needs two: its header and its frame.

A phase of a cine takes some milliseconds, 240 MB of frames at once take four seconds.
"""

UNATTENDED_SECONDS = 60.0
"""The same for an archive, where nobody waits for the answer and nobody tries again.

A network drive, or a busy machine, may pause for longer than ten seconds.
"""

START_SECONDS = 60.0
"""Longest time for the process to start, in seconds. An idle machine takes 0.5."""

AHEAD = 4
"""Images that are decoded before they are asked for."""

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class FileLocation:
    """A file, or a file of an archive.

    Attributes:
        path: The file, or the archive.
        member: Name within the archive, or None.
    """

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        """The name to display. It may be the same for two files."""
        name = self.path if self.member is None else f"{self.path}/{self.member}"
        return printable(str(name))


class Sandbox:
    """A process that opens and decodes files. If a file kills it, it is started again.

    Use it in a `with` statement. Threads may share it; they take turns.

    Args:
        memory: Bytes of memory that a file may use.
        seconds: Longest time for one answer, in seconds.
    """

    def __init__(self, memory: int = MEMORY_BYTES, seconds: float = SECONDS) -> None:
        """Starts the process, which is ready in half a second; see the class.

        Raises:
            OSError: On Windows.
        """
        if os.name != "posix":
            raise OSError(
                "DICOM files are read in a separate process, which Windows does not "
                "support. Run phdnet-tf on Linux, on macOS, or in Windows' WSL."
            )
        # It locks with what Windows has not.
        from phdnet_tf.dicom.sandbox_folder import SandboxFolder

        self._memory, self._seconds = memory, seconds
        self._turn = threading.Lock()
        self._folder = SandboxFolder()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = self._closed = False
        self._start()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the process."""
        self.close()

    def close(self) -> None:
        """Ends the process, whatever it is doing, and removes its files."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()  # A thread that waits for an answer has its turn till then.
        with self._turn:
            self._end()
            self._folder.cleanup()

    @property
    def process_id(self) -> int | None:
        """Id of the current process, for monitoring."""
        return self._process.pid if self._process else None

    def members(self, archive: Path) -> list[tuple[str, bytes | None]]:
        """Name and first `START_BYTES` bytes of each file in a zip archive, in order.

        The bytes are None if they cannot be read.

        Raises:
            DicomError: If the archive cannot be read.
        """
        found = self._ask("members", FileLocation(archive))["members"]
        return [
            (name, None if start is None else bytes.fromhex(start))
            for name, start in found
        ]

    def file_set(self, dicomdir: Path) -> list[str]:
        """Paths of the files that a DICOMDIR lists, relative to its folder.

        Raises:
            DicomError: If the DICOMDIR cannot be read.
        """
        return self._ask("file set", FileLocation(dicomdir))["members"]

    def header(self, source: FileLocation) -> FileHeader:
        """A file's series, place and time.

        Raises:
            DicomError: If the file cannot be read.
        """
        values = self._ask("header", source)
        frames = tuple(
            FrameHeader(
                **frame
                | {
                    "position": _tuple(frame["position"]),
                    "orientation": _tuple(frame["orientation"]),
                    "kind": tuple(frame["kind"]),
                }
            )
            for frame in values.pop("frames")
        )
        for name in ("image_type", "descriptions"):
            values[name] = tuple(values[name])
        return FileHeader(**values, frames=frames)

    def identity(
        self, source: FileLocation, token: str | None = None
    ) -> dict[str, str]:
        """The patient's identity; see `DicomFile.identity`.

        Args:
            source: The file.
            token: `MRImage.token` of the image that was read from it before.

        Raises:
            DicomError: If the file cannot be read, or has changed since then.
        """
        return self._ask("identity", source, token=token)

    def content(self, source: FileLocation) -> str:
        """A hash that is equal for files of the same pixels; see `DicomFile.content`.

        Raises:
            DicomError: If the pixels cannot be decoded.
        """
        return self._ask("content", source)["content"]

    def image(
        self,
        source: FileLocation,
        frame: int | None = None,
        pixel_spacing: tuple[float, float] | None = None,
    ) -> MRImage:
        """The image of a frame; see `read_image`.

        Raises:
            DicomError: If it cannot be read, or needs too much memory or time.
        """
        values = self._ask("image", source, frame=frame, pixel_spacing=pixel_spacing)
        rows, columns = values["pixel_spacing"]
        return MRImage(
            pixels=values["pixels"],
            pixel_spacing=(rows, columns),
            position=_tuple(values["position"]),
            orientation=_tuple(values["orientation"]),
            token=values["token"],
            header=values["header"],
        )

    def images(
        self,
        wanted: Iterable[tuple[Thing, FileLocation, int | None]],
        pixel_spacing: tuple[float, float] | None = None,
    ) -> Iterator[tuple[Thing, MRImage | DicomError]]:
        """Images of frames, in order. The next ones are decoded in advance.

        Args:
            wanted: For each frame: an object that is returned with it, the file, and
                the number of the frame, from 1. The number is None for files with a
                single frame.
            pixel_spacing: (y, x), mm, for files that have none.

        Yields:
            The object, and the image, or the error that prevented reading it.
        """

        def read(source: FileLocation, frame: int | None) -> MRImage | DicomError:
            try:
                return self.image(source, frame, pixel_spacing)
            except DicomError as error:
                return error

        waiting: collections.deque[tuple[Thing, Future[MRImage | DicomError]]]
        waiting = collections.deque()
        with ThreadPoolExecutor(1) as thread:
            try:
                for thing, source, frame in wanted:
                    waiting.append((thing, thread.submit(read, source, frame)))
                    if len(waiting) > AHEAD:
                        thing, image = waiting.popleft()
                        yield thing, image.result()
                while waiting:
                    thing, image = waiting.popleft()
                    yield thing, image.result()
            finally:
                thread.shutdown(cancel_futures=True)

    def _ask(self, what: str, source: FileLocation, **details: Any) -> dict[str, Any]:
        request = {"what": what, "path": str(source.path), "member": source.member}
        line = json.dumps(request | details).encode()
        with self._turn:
            values = self._answer(line, source)
            if values is None:
                # What a file before it did may have ended the process: a new one tells.
                values = self._answer(line, source)
        if values is None:
            raise DicomError(
                f"{source}: it crashes the decoder, or needs more than "
                f"{self._memory >> 20} MiB of memory. Export or copy the file again."
            )
        if "error" in values:
            raise DicomError(values["error"])
        return values

    def _answer(self, line: bytes, source: FileLocation) -> dict[str, Any] | None:
        """The answer of the process; None if it has died."""
        self._require_open()
        if self._process is None:
            self._start()
            # Who closed it meanwhile knew nothing of this process.
            self._require_open()
        try:
            self._pipe.send_bytes(line)
            if not self._ready:
                self._receive(START_SECONDS)
                self._ready = True
            values = json.loads(self._receive(self._seconds))
            if "shape" in values:
                values["pixels"] = np.frombuffer(
                    bytearray(self._receive(self._seconds)), np.float32
                ).reshape(values.pop("shape"))
            return values
        except TimeoutError:
            self._end()
            raise DicomError(
                f"{source}: reading it takes longer than {self._seconds:g} seconds, so "
                "it was skipped. Copy it to this machine, or export it again."
            ) from None
        except (EOFError, OSError, ValueError):
            self._end()
            return None

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this sandbox is closed")

    def _receive(self, seconds: float) -> bytes:
        if not self._pipe.poll(seconds):
            raise TimeoutError
        return self._pipe.recv_bytes()

    def _start(self) -> None:
        self._pipe, other = Pipe()
        self._ready = False
        command = [sys.executable, "-P", "-m", "phdnet_tf.dicom.sandbox_process"]
        command += [str(other.fileno()), str(self._memory), str(self._seconds)]
        command += [self._folder.name]
        # A program, not a fork: a copy of this process would have its threads' locks,
        # and all of its memory to count.
        # In a session of its own, Ctrl-C leaves it to this process when it ends.
        self._process = subprocess.Popen(
            command, pass_fds=[other.fileno()], start_new_session=True
        )
        other.close()

    def _end(self) -> None:
        if self._process is not None:
            # Before the pipe is closed, which would make it remove the folder.
            self._process.kill()
            self._process.wait()
            self._process = None
        self._pipe.close()


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
