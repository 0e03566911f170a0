"""Writes files and folders in one step, claims output folders, and finds the cache.

Everything is written under a hidden name beside its target, and renamed at the end.
Until then a reader sees the previous content. Two writers cannot mix, and a killed
process leaves the target unchanged.
"""

import errno
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
    """Writes a file in one step: it replaces the target if the block succeeds.

    Args:
        target: The file. Folders above it are created. An existing file is replaced.

    Yields:
        The path to write to, with the target's suffix. If nothing is written to it, the
        target does not change.

    Raises:
        OSError: If the file cannot be written.
    """
    partial = _beside(target)
    try:
        with _telling(target, partial):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            if partial.exists():
                # A file that only its owner may read stays such a file. There may be
                # none yet, or a file system that keeps no permissions.
                with suppress(OSError):
                    shutil.copymode(target, partial)
                os.replace(partial, target)
    finally:
        # If writing failed, removing may fail as well; the first error is the one that
        # matters.
        with suppress(OSError):
            partial.unlink()


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, to be filled and then given to `os.replace`.

    If the block ends with an error or Ctrl-C, nothing unfinished stays behind.

    Args:
        target: Final path of the folder. Folders above it are created.

    Yields:
        The folder to fill. Rename it to `target.resolve()`.

    Raises:
        ValueError: If the target is the current folder, or one that holds it.
        OSError: If the folder cannot be created.
    """
    if Path.cwd().is_relative_to(target.resolve()):
        # A shell would stay in the folder that was replaced, and find nothing in it.
        raise ValueError(
            f"{target}: is the current folder. Name a new folder in it, such as "
            f"{target / 'data'}."
        )
    # A sibling, because only within one file system is a rename a single step.
    partial = _beside(target.resolve())
    try:
        with _telling(target, partial):
            partial.mkdir(parents=True)
            yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class OutputFolder:
    """A context that claims an output folder for one process.

    `manifest.txt` lists each file before it is written. When results are replaced, even
    those of a killed run, only the listed files are removed, and only when there is a
    first new one: a command that fails before leaves the earlier results.

    Args:
        folder: The folder. It is created if it does not exist.
        overwrite: Whether existing results may be replaced.
        tell: Called with a sentence if results of a killed run are replaced.

    Attributes:
        folder: The folder.

    Raises:
        ValueError: On entry, if another process writes there, or the folder has content
            that may not be replaced.
        OSError: On entry, if the folder cannot be created or written.
    """

    HEADER = "# written by phdnet-tf"
    COMPLETE = "# complete"

    def __init__(
        self, folder: Path, overwrite: bool, tell: Callable[[str], None]
    ) -> None:
        """Claims nothing yet."""
        self.folder = folder
        self._overwrite, self._tell = overwrite, tell
        # The system releases the lock when its process ends, however it ends.
        self._lock = FileLock(folder / ".phdnet-tf.lock")
        self._manifest = folder / "manifest.txt"
        self._earlier: list[str] | None = None
        self._written: set[Path] = set()

    def __enter__(self) -> Self:
        """Claims the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"{self.folder}: another phdnet-tf is writing to it. Wait until it "
                "ends, or choose another --output."
            ) from None
        try:
            self._earlier = self._replaceable()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Marks the results as complete, unless there was an error, and unlocks."""
        try:
            if kind is None and self._written:
                self._note(self.COMPLETE)
        finally:
            self._lock.release()

    def whole_file(self, target: Path) -> AbstractContextManager[Path]:
        """Lists a file of the folder, then writes it; see the function `whole_file`.

        Raises:
            FileExistsError: If there is a file that phdnet-tf did not write.
            OSError: If the file cannot be written.
        """
        self._clear()
        if target not in self._written and target.is_file():
            raise FileExistsError(
                errno.EEXIST,
                "phdnet-tf did not write this file, so it is not replaced. Move it "
                "away, or choose another --output",
                str(target),
            )
        # As JSON, for a name may hold a line break, or anything else.
        self._note(json.dumps(target.relative_to(self.folder).as_posix()))
        self._written.add(target)
        return whole_file(target)

    def _note(self, line: str) -> None:
        whole = self._manifest.stat().st_size if self._manifest.exists() else 0
        try:
            with self._manifest.open("a", encoding="utf-8") as manifest:
                if not whole:
                    manifest.write(f"{self.HEADER}\n")
                manifest.write(f"{line}\n")
        except OSError:
            # A full disk may have left half a line, to which the next would be added.
            with suppress(OSError):
                os.truncate(self._manifest, whole)
            raise

    def _replaceable(self) -> list[str]:
        """The lines of the earlier manifest, if its files may be replaced."""
        manifest = self._manifest
        if not any(
            path != Path(self._lock.lock_file) for path in self.folder.iterdir()
        ):
            return []
        lines: list[str] = []
        if manifest.exists():
            lines = manifest.read_text("utf-8", errors="replace").splitlines()
            if lines[:1] != [self.HEADER]:
                raise ValueError(
                    f"{manifest}: expected the list of files that phdnet-tf wrote. "
                    "Received another file of that name. Choose another --output."
                )
        killed = bool(lines) and self.COMPLETE not in lines
        if killed:
            self._tell(
                f"{self.folder}: the previous run was stopped while it was writing. "
                "Its files are replaced."
            )
        elif not self._overwrite:
            raise ValueError(
                f"{self.folder}: expected a new or an empty folder. Received one with "
                "files. Choose another --output, or add --overwrite, which replaces "
                "only the files that phdnet-tf wrote there."
            )
        return lines

    def _clear(self) -> None:
        """Removes the earlier results, once."""
        if self._earlier is None:
            return
        here = self.folder.resolve()
        for line in self._earlier:
            try:
                path = (self.folder / json.loads(line)).resolve()
            except (TypeError, ValueError):
                # No name: a comment, or what a full disk left of a line. The file of
                # such a line was never begun.
                continue
            # A manifest that somebody changed may name files elsewhere.
            if path.is_relative_to(here) and path.is_file():
                path.unlink()
        self._manifest.unlink(missing_ok=True)
        self._earlier = None


@contextmanager
def _telling(target: Path, partial: Path) -> Iterator[None]:
    """Makes errors name the target instead of the hidden name, or of no name at all.

    An error of a full disk names no file.
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
    """The user's cache folder: below `$XDG_CACHE_HOME`, or `~/.cache/phdnet_tf`."""
    # XDG's rule: an empty or relative value counts as none.
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():
        home = Path.home() / ".cache"
    return home / "phdnet_tf"
