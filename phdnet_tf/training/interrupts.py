"""Delays Ctrl-C while a step must not be left half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C until the block has ended.

    Ctrl-C interrupts only the main thread, so nothing changes in other threads.

    Yields:
        Nothing.

    Raises:
        KeyboardInterrupt: After the block, if Ctrl-C was pressed during it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[FrameType | None] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(signal.SIGINT, came[0])
