"""An archive looked through once, into an index on disk.

Headers are read in several processes and go by one by one: memory does not grow with
the archive.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

from phdnet_tf.batch.index import Index, new_index
from phdnet_tf.dicom.find import Found, Skipped, find_files
from phdnet_tf.dicom.read import FileHeader
from phdnet_tf.dicom.sandbox import UNATTENDED_SECONDS, Sandbox
from phdnet_tf.dicom.survey import look

TOGETHER = 32
"""Files that a process is given at a time."""

Looked = list[tuple[Found, FileHeader | Skipped]]


def plan(
    sources: Sequence[Path],
    listed: Path | None,
    folder: Path,
    readers: int,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Writes the index of an archive.

    Args:
        sources: Folders, zip archives, DICOMDIRs and files.
        listed: A text file with more of them, one path a line; or None.
        folder: The output folder, which has no index yet.
        readers: Processes that read headers.
        advance: Called after each file.

    Raises:
        ValueError: If no image is found.
        OSError: If the list cannot be read, or the index cannot be written.
    """
    about = described(sources, listed)
    skipped: list[Skipped] = []
    with new_index(folder) as index, ExitStack() as stack:
        sandboxes = [
            stack.enter_context(Sandbox(seconds=UNATTENDED_SECONDS))
            for _ in range(readers)
        ]
        found = find_files(_paths(sources, listed), sandboxes[0], skipped)
        images = 0
        for each, header in _looked_at(found, sandboxes):
            if isinstance(header, Skipped):
                index.leave_out(header)
            else:
                index.add(each, header)
                images += 1
            _drain(skipped, index.leave_out)
            advance()
        _drain(skipped, index.leave_out)
        if not images:
            raise ValueError(
                f"{', '.join(map(str, sources)) or listed}: found no image to "
                "predict. Name folders, zip archives or DICOMDIRs with MR images."
            )
        index.finish(**about)


def described(sources: Sequence[Path], listed: Path | None) -> dict[str, object]:
    """What an index says of its sources.

    Raises:
        ValueError: If the list is no file, but a pipe.
        OSError: If it cannot be read.
    """
    about: dict[str, object] = {"sources": [os.path.abspath(s) for s in sources]}
    if listed is not None:
        if not listed.is_file():
            raise ValueError(
                f"{listed}: expected a file, which is read again when the batch goes "
                "on. Write the list to a file."
            )
        about["list"] = hashlib.sha256(listed.read_bytes()).hexdigest()
    return about


def require_same_sources(
    sources: Sequence[Path], listed: Path | None, folder: Path
) -> None:
    """Refuses sources that are not those of the plan.

    Raises:
        ValueError: If they are others.
    """
    with Index(folder) as index:
        about = index.about()
    wanted = described(sources, listed)
    if any(about.get(name) != wanted.get(name) for name in ("sources", "list")):
        own = ", ".join(about["sources"]) or "a list of paths"
        raise ValueError(
            f"{folder}: expected the sources that it was planned with, {own}, or none. "
            "Received others: choose another --output for them."
        )


def _paths(sources: Sequence[Path], listed: Path | None) -> Iterator[Path]:
    # Absolute, for a worker may be started in another folder.
    for source in sources:
        yield Path(os.path.abspath(source))
    if listed is not None:
        # As the system has names: any bytes but a line break.
        with listed.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
            for line in lines:
                if line.strip():
                    yield Path(os.path.abspath(line.rstrip("\r\n")))


def _looked_at(
    found: Iterable[Found], sandboxes: Sequence[Sandbox]
) -> Iterator[tuple[Found, FileHeader | Skipped]]:
    """Files and their headers, in order."""
    free: SimpleQueue[Sandbox] = SimpleQueue()
    for sandbox in sandboxes:
        free.put(sandbox)

    def read(files: list[Found]) -> Looked:
        sandbox = free.get()
        try:
            # Localisers stay: that they are not wanted is known when there is a view.
            return [(file, look(file, sandbox, localisers=True)) for file in files]
        finally:
            free.put(sandbox)

    waiting: deque[Future[Looked]] = deque()
    files = iter(found)
    with ThreadPoolExecutor(len(sandboxes)) as threads:
        try:
            while some := list(islice(files, TOGETHER)):
                waiting.append(threads.submit(read, some))
                if len(waiting) > 2 * len(sandboxes):
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            threads.shutdown(cancel_futures=True)


def _drain(skipped: list[Skipped], take: Callable[[Skipped], None]) -> None:
    for each in skipped:
        take(each)
    skipped.clear()
