"""Files and folders that appear whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, to be filled and then renamed to it.

    Whatever ends the block, an error or Ctrl-C, nothing unfinished stays behind.

    Args:
        target: Where the folder shall appear. Folders above it are made.

    Yields:
        The folder to fill. It is hidden; rename it to `target.resolve()`.
    """
    # A sibling, because only within one file system is a rename a single step.
    target = target.resolve()
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
