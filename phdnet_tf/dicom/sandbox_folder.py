"""Makes a sandbox's folder, which is removed even if the sandbox is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path

PREFIX = "phdnet-tf-sandbox-"


class SandboxFolder:
    """A new folder for temporary files that only this user may open.

    The folder is locked as long as its owner lives. Unlike a process number, a lock is
    reliable. The next sandbox can therefore remove folders whose owners are gone.

    Attributes:
        name: Path of the folder.
    """

    def __init__(self) -> None:
        """Removes folders that others left, and makes the folder."""
        remove_leftovers()
        while True:
            self._folder = tempfile.TemporaryDirectory(prefix=PREFIX)
            self.name = self._folder.name
            lock = _lock(self.name)
            # Before it was locked, another process could have taken it for a leftover.
            if os.path.isdir(self.name):
                break
            self._folder.cleanup()
            _unlock(lock)
        self._locked = lock

    def cleanup(self) -> None:
        """Removes the folder."""
        self._folder.cleanup()
        _unlock(self._locked)
        self._locked = None


def remove_leftovers() -> None:
    """Removes this user's folders of sandboxes whose owners are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                continue
            lock = _lock(str(folder))
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                _unlock(lock)


def _lock(folder: str) -> int | None:
    """A descriptor that locks a folder; None if the lock is taken or not possible."""
    descriptor = None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _unlock(descriptor)
        return None
    return descriptor


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
