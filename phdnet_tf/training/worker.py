"""What a worker of a cluster does: one training after the other, each in a process.

In the worker's own process, whose other threads draw random numbers, too, the same seed
would not give the same weights. The scheduler imports this module: nothing here loads
TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phdnet_tf import __version__
from phdnet_tf.training.data import AnnotatedImages
from phdnet_tf.training.networks import Network
from phdnet_tf.workers.engine import give_back, is_wanted, tell

if TYPE_CHECKING:
    from phdnet_tf.training.progress import Progress

POLL_SECONDS = 0.5
"""How often is asked whether anybody still waits for a training."""

GRACE_SECONDS = 60.0
"""For a training to end after its current step and validation."""

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""TensorFlow reads these variables when it is imported, and not later."""

Work = Callable[[AnnotatedImages, "Callable[[Progress], None]"], dict[str, Any]]
"""Is given the data, and a function for its progress; can be pickled."""


@dataclass(frozen=True)
class Workplace:
    """What workers need to know beside what to train.

    Attributes:
        open_source: Opens the data; a function that can be pickled, and loads no
            TensorFlow when it is.
        fingerprint: The data's.
        cache_memory: As for `loop.train`, of each worker.
        threads: TensorFlow's threads; None leaves them to the worker's environment.
        topic: Names whom to tell; see `engine.listening`.
        version: Of the command's phdnet-tf.
    """

    open_source: Callable[[], AnnotatedImages]
    fingerprint: str
    cache_memory: float
    threads: int | None
    topic: str
    version: str = __version__


def train_apart(
    place: Workplace, networks: tuple[Network, ...], number: int
) -> dict[str, Any] | str:
    """Trains one of some networks, or goes on with it, in a process of its own.

    Args:
        place: What there is to work with.
        networks: All of them.
        number: Which one, from 0.

    Returns:
        The `Outcome`, but for the model; or in words why there is none.
    """
    network = networks[number]
    work = functools.partial(_train, network, place.cache_memory)
    return at_work(place, network.folder, work)


def _train(
    network: Network,
    cache_memory: float,
    source: AnnotatedImages,
    on_progress: Callable[[Progress], None],
) -> dict[str, Any]:
    from phdnet_tf.training.members import train_network

    outcome = train_network(
        network, source, cache_memory=cache_memory, on_progress=on_progress
    )
    if outcome.ended_by == "interrupt":
        raise KeyboardInterrupt
    fields = dataclasses.fields(outcome)
    return {f.name: getattr(outcome, f.name) for f in fields if f.name != "model"}


def at_work(place: Workplace, folder: Path, work: Work) -> dict[str, Any] | str:
    """Has work done in a process of its own, for as long as anybody waits for it.

    Args:
        place: What there is to work with.
        folder: Of the training.
        work: What takes long.

    Returns:
        What it returned; or in words why there is nothing.

    Raises:
        Reschedule: If nobody waits for it here; another worker may do it.
        ChildProcessError: If its process was ended, or an error came that may be gone
            at the next try.
    """
    ours, theirs = multiprocessing.Pipe()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    if place.threads is not None:
        environment.update(dict.fromkeys(THREADS, str(place.threads)))
    process = subprocess.Popen(
        [sys.executable, "-m", "phdnet_tf.training.alone", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        env=environment,
        # Ctrl-C is for the client.
        start_new_session=True,
    )
    theirs.close()
    try:
        ours.send((place, folder, work))
        while True:
            if not is_wanted():
                give_back()
            if not ours.poll(POLL_SECONDS):
                continue
            kind, message = ours.recv()
            if kind == "done":
                return message
            if kind == "failed":
                raise ChildProcessError(message)
            tell(place.topic, message)
    except (EOFError, ConnectionError) as error:
        raise ChildProcessError(
            f"its process was ended ({process.wait()}). Perhaps there is too little "
            "memory"
        ) from error
    finally:
        # Which tells the process to end, as the death of this one does.
        ours.close()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def named(folder: Path, trouble: str) -> str:
    """Why a training is not done, with its folder."""
    return trouble if trouble.startswith(str(folder)) else f"{folder}: {trouble}"
