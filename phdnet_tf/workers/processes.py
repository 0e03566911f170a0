"""Pieces of work one after the other on this machine, in a process that may die.

It needs no cluster: a job of Slurm or Kubernetes does its slice of an archive so. A
piece is a shard.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

MAX_DEATHS = 8
"""Processes that may end at one shard in one go, before it is left for the next.

Two end at a study that ends its process every time. Where more end it is not the
files: perhaps there is too little memory.
"""

GRACE_SECONDS = 10.0
"""For a process to take its mark away when it is told to end."""

Task = Callable[[int], Any]
Result = dict[str, Any] | str
"""What a task returned; or in words why the piece is not done."""


_endings: set[Callable[[], None]] = set()


def at_end(ending: Callable[[], None]) -> None:
    """Has a function called when this worker is told to end in the middle of a piece.

    Dask does not wait for the piece, nor does it raise anything in it. A process of
    `run_here` is told by an exception.
    """
    _endings.add(ending)


def not_at_end(ending: Callable[[], None]) -> None:
    """Takes back what `at_end` was given."""
    _endings.discard(ending)


def end_in_order() -> None:
    """Calls what `at_end` was given."""
    for ending in list(_endings):
        ending()


def run_here(task: Task, shards: Iterable[int]) -> Iterator[tuple[int, Result]]:
    """Does shards in a process of their own, and in another when that one dies.

    Args:
        task: Does a shard; a function that can be pickled.
        shards: Their numbers.

    Yields:
        Each number, with what the task returned, or in words why it is not done.
    """
    with contextlib.ExitStack() as stack:
        child: _Child | None = None
        for shard in shards:
            for _ in range(MAX_DEATHS):
                child = child or stack.enter_context(_Child(task))
                result = child.ask(shard)
                if result is not None:
                    yield shard, result
                    break
                child = None
            else:
                yield shard, died(MAX_DEATHS)


def died(times: int) -> str:
    """Why a shard was left whose process died again and again."""
    return (
        f"its process was ended {times} times. Perhaps there is too little memory: "
        "start it again with more"
    )


class _Child:
    """A process that does one shard after the other."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(task, other), daemon=True)
        self._process.start()
        other.close()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.terminate()
        self._process.join(GRACE_SECONDS)
        # One that is stopped, or at work in a library, hears nothing else.
        self._process.kill()
        self._process.join()

    def ask(self, shard: int) -> Result | None:
        """What the task returned, or in words what it raised; None if it died."""
        try:
            self._pipe.send(shard)
            wait([self._pipe, self._process.sentinel])
            return self._pipe.recv() if self._pipe.poll() else None
        except (EOFError, OSError):
            return None


def _work(task: Task, pipe: Connection) -> None:
    # Whoever ends the job ends it by this signal: the mark is taken away before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Ctrl-C is for the process that asks, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        result: Any
        try:
            shard = pipe.recv()
            result = task(shard)
        except EOFError:
            return
        except Exception as error:
            result = in_words(error)
        pipe.send(result)


def _end_with_parent() -> None:
    """Ends this process when the one that asks was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    # No study is to blame: the main thread takes its mark away.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def in_words(error: BaseException) -> str:
    """An exception as one line."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = str(error).partition("\n")[0].rstrip(".")
    plain = isinstance(error, ValueError | ChildProcessError)
    return text if plain else f"{type(error).__name__}: {text}"
