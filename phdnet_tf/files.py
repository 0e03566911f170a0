"""Files and folders that appear whole or not at all, claims, and where the cache is.

What is written gets a hidden name of its own beside its target first, so that whoever
looks meanwhile sees what was there before, two writers cannot mix, and a kill leaves
the target as it was.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

UNFINISHED = ".unfinished-"
"""How the names of files and folders begin that are not whole yet."""


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A name to write to, which becomes the target when the block ends well.

    Args:
        target: The file. Folders above it are made; what it was is replaced.

    Yields:
        The name, with the target's suffix. Where nothing is written to it, the target
        stays as it is.

    Raises:
        OSError: If it cannot be written.
    """
    partial = _beside(target)
    try:
        with _telling(target, partial):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            if partial.exists():
                os.replace(partial, target)
    finally:
        # Where nothing can be written nothing can be removed, and the first error is
        # what matters.
        with suppress(OSError):
            partial.unlink()


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, to be filled and then given to `os.replace`.

    Whatever ends the block, an error or Ctrl-C, nothing unfinished stays behind.

    Args:
        target: Where the folder shall appear. Folders above it are made.

    Yields:
        The folder to fill; rename it to `target.resolve()`.

    Raises:
        OSError: If it cannot be made.
    """
    # A sibling, because only within one file system is a rename a single step.
    partial = _beside(target.resolve())
    try:
        with _telling(target, partial):
            partial.mkdir(parents=True)
            yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class OutputFolder:
    """A folder that one process writes results to, as a context.

    It lists what is written in `manifest.txt`, before it is written, so that whoever
    replaces the results, also those of a run that was killed, removes these files and
    no other.

    Args:
        folder: The folder; made where it does not exist.
        overwrite: Whether results that are there may be replaced.
        tell: Called with a sentence if results of a run that was killed are replaced.

    Attributes:
        folder: The folder.

    Raises:
        ValueError: On entry, if another process writes there, or if there is something
            that may not be replaced.
        OSError: On entry, if it cannot be made or written.
    """

    HEADER = "# written by phdnet-tf"
    COMPLETE = "# complete"

    def __init__(
        self, folder: Path, overwrite: bool, tell: Callable[[str], None]
    ) -> None:
        """Claims nothing yet."""
        self.folder = folder
        self._overwrite, self._tell = overwrite, tell
        # The system lets go of the lock when its process ends, however it does.
        self._lock = FileLock(folder / ".phdnet-tf.lock")
        self._manifest = folder / "manifest.txt"

    def __enter__(self) -> Self:
        """Claims the folder, and removes the results that are to be replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"{self.folder}: another phdnet-tf writes to it now. Wait for its end, "
                "or choose another --output."
            ) from None
        try:
            self._clear()
            self._manifest.unlink(missing_ok=True)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Marks the results as complete, unless there was an error, and lets go."""
        try:
            if kind is None and self._manifest.exists():
                self._note(self.COMPLETE)
        finally:
            self._lock.release()

    def whole_file(self, target: Path) -> AbstractContextManager[Path]:
        """A file in the folder, listed; see the function `whole_file`."""
        # As JSON, for a name may hold a line break, or anything else.
        self._note(json.dumps(target.relative_to(self.folder).as_posix()))
        return whole_file(target)

    def _note(self, line: str) -> None:
        with self._manifest.open("a", encoding="utf-8") as manifest:
            if not manifest.tell():
                manifest.write(f"{self.HEADER}\n")
            manifest.write(f"{line}\n")

    def _clear(self) -> None:
        manifest = self._manifest
        if not any(
            path != Path(self._lock.lock_file) for path in self.folder.iterdir()
        ):
            return
        lines: list[str] = []
        if manifest.exists():
            lines = manifest.read_text("utf-8", errors="replace").splitlines()
            if lines[:1] != [self.HEADER]:
                raise ValueError(
                    f"{manifest}: expected the list of what phdnet-tf wrote. Received "
                    "another file of that name: choose another --output."
                )
        killed = bool(lines) and self.COMPLETE not in lines
        if killed:
            self._tell(
                f"{self.folder}: the run before was ended while it wrote. What it left "
                "is replaced."
            )
        elif not self._overwrite:
            raise ValueError(
                f"{self.folder}: expected a new or an empty folder. There is something "
                "in it: choose another --output, or add --overwrite, which replaces "
                "what phdnet-tf wrote there and nothing else."
            )
        here = self.folder.resolve()
        for line in lines:
            if not line.startswith('"'):
                continue
            path = (self.folder / json.loads(line)).resolve()
            # A manifest that somebody changed may name files elsewhere.
            if path.is_relative_to(here) and path.is_file():
                path.unlink()


@contextmanager
def _telling(target: Path, partial: Path) -> Iterator[None]:
    """Lets errors tell the target: its hidden name says nothing to anybody.

    Where the disk is full an error tells no file at all.
    """
    try:
        yield
    except OSError as error:
        own = error.filename is None or str(partial) in str(error.filename)
        if error.errno is None or not own:
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error


def _beside(target: Path) -> Path:
    return target.with_name(f"{UNFINISHED}{uuid.uuid4().hex}{target.suffix}")


def cache_folder() -> Path:
    """The user's folder for what can be made again: `~/.cache/phdnet_tf`, or XDG's."""
    # XDG's rule: an empty or relative value counts as none.
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():
        home = Path.home() / ".cache"
    return home / "phdnet_tf"
