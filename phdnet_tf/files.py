"""Files and folders that appear whole or not at all, and where the cache is.

What is written gets a hidden name of its own beside its target first, so that whoever
looks meanwhile sees what was there before, two writers cannot mix, and a kill leaves
the target as it was.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
    return target.with_name(f".unfinished-{uuid.uuid4().hex}{target.suffix}")


def cache_folder() -> Path:
    """The user's folder for what can be made again: `~/.cache/phdnet_tf`, or XDG's."""
    # XDG's rule: an empty or relative value counts as none.
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():
        home = Path.home() / ".cache"
    return home / "phdnet_tf"
