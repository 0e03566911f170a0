"""Keeps two processes from training in the same folder."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

NOTICE_SECONDS = 2.0
"""How long to wait for it without a word."""

LOCK_SECONDS = 120.0
"""Longest to wait for another process that is told to leave a training's folder."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Claims the folder of a training for this process; again within it is no error.

    Args:
        folder: The folder, which has to exist.

    Yields:
        Nothing; wrap the training.

    Raises:
        ValueError: If another process trains there, and goes on.
    """
    # The system lets go of it when its process ends, however it does.
    lock = FileLock(folder / ".phdnet-tf.lock", is_singleton=True)
    try:
        with suppress(Timeout):
            lock.acquire(timeout=NOTICE_SECONDS)
        if not lock.is_locked:
            logger.warning("%s: waiting for another phdnet-tf there to end", folder)
            lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise ValueError(
            f"{folder}: another phdnet-tf trains there now. Wait for its end, and give "
            "the same command again."
        ) from None
    try:
        yield
    finally:
        lock.release()
