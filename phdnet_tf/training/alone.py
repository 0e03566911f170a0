"""The process of a training that a worker has started: `worker.at_work` talks to it."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phdnet_tf import __version__
from phdnet_tf.startup import load_tensorflow
from phdnet_tf.training.folder_lock import folder_lock
from phdnet_tf.workers.processes import in_words

if TYPE_CHECKING:
    from phdnet_tf.training.progress import Progress
    from phdnet_tf.training.worker import Work, Workplace

TELL_SECONDS = 30.0
"""Least time between two messages of one training."""


def main() -> None:
    """Does what the worker sends, and answers; ends as by Ctrl-C if the worker does."""
    # The worker leaves Ctrl-C to others, and what it starts inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pipe = Connection(int(sys.argv[1]))
    try:
        place, folder, work = pipe.recv()
        threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
        message = do(place, folder, work, lambda told: pipe.send(("told", told)))
        kind = "done"
    except (KeyboardInterrupt, EOFError, ConnectionError):
        # Nobody waits for an answer.
        return
    except Exception as error:
        kind, message = "failed", in_words(error)
    # The worker is not there for longer than until it has the answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send((kind, message))


def do(
    place: Workplace,
    folder: Path,
    work: Work,
    send: Callable[[dict[str, Any]], None],
) -> dict[str, Any] | str:
    """Does work in this process, alone in its folder.

    Args:
        place: What there is to work with.
        folder: Of the training; made where it does not exist.
        work: What takes long.
        send: Is told how it goes, now and then: the folder, and a `Progress`.

    Returns:
        What it returned; or in words why there is nothing.
    """
    told = time.monotonic()
    losses: dict[str, float] = {}

    def on_progress(now: Progress) -> None:
        nonlocal told, losses
        losses = now.losses or losses
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            message = dataclasses.asdict(dataclasses.replace(now, losses=losses))
            send({"folder": str(folder), **message})

    if place.version != __version__:
        return (
            f"expected the phdnet-tf {place.version} of the command. Received a worker "
            f"with {__version__}: install the same version on all machines."
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with folder_lock(folder):
            load_tensorflow()
            source = place.open_source()
            if source.fingerprint != place.fingerprint:
                return (
                    f"{source.name}: expected the data of the command. Received others "
                    "on a worker: all machines need the same data under one path."
                )
            return work(source, on_progress)
    except ValueError as error:
        # To try again would lead to the same.
        return str(error)


def _end_with(pipe: Connection) -> None:
    try:
        pipe.recv()
    except (EOFError, OSError):
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
