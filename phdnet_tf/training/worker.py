"""What a worker process does: one training after the other.

The scheduler of a cluster imports this module, too: nothing here loads TensorFlow.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from phdnet_tf.startup import load_tensorflow
from phdnet_tf.training.data import AnnotatedImages
from phdnet_tf.training.networks import Network
from phdnet_tf.workers.engine import give_back, is_wanted, tell

if TYPE_CHECKING:
    from phdnet_tf.training.progress import Progress

TELL_SECONDS = 30.0
"""Least time between two messages of one training."""

LOCK_SECONDS = 120
"""Longest to wait for another process that is told to leave a training's folder."""

THREADS = "TF_NUM_INTRAOP_THREADS"
"""TensorFlow reads this variable when it is imported, and not later."""


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
    """

    open_source: Callable[[], AnnotatedImages]
    fingerprint: str
    cache_memory: float
    threads: int | None
    topic: str


def train_apart(
    place: Workplace, networks: tuple[Network, ...], number: int
) -> dict[str, Any] | str:
    """Trains one of some networks in this process, or goes on with it.

    Args:
        place: What there is to work with.
        networks: All of them.
        number: Which one, from 0.

    Returns:
        The `Outcome`, but for the model; or in words why there is none.
    """
    network = networks[number]

    def work(
        source: AnnotatedImages, on_progress: Callable[[Progress], None]
    ) -> dict[str, Any]:
        from phdnet_tf.training.members import train_network

        outcome = train_network(
            network, source, cache_memory=place.cache_memory, on_progress=on_progress
        )
        if outcome.ended_by == "interrupt":
            raise KeyboardInterrupt
        fields = dataclasses.fields(outcome)
        return {f.name: getattr(outcome, f.name) for f in fields if f.name != "model"}

    return at_work(place, network.folder, work)


def at_work(
    place: Workplace,
    folder: Path,
    work: Callable[
        [AnnotatedImages, Callable[[Progress], None]],
        dict[str, Any],
    ],
) -> dict[str, Any] | str:
    """Does what takes long, alone in its folder, and until nobody waits for it.

    Args:
        place: What there is to work with.
        folder: Of the training; made where it does not exist.
        work: Is given the data, and a function for its progress, which raises
            KeyboardInterrupt when it shall end.

    Returns:
        What it returned; or in words why there is nothing.

    Raises:
        Reschedule: If nobody waits for it here; another worker may do it.
    """
    told = time.monotonic()
    losses: dict[str, float] = {}

    def on_progress(now: Progress) -> None:
        nonlocal told, losses
        if not is_wanted():
            raise KeyboardInterrupt
        losses = now.losses or losses
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            message = dataclasses.asdict(dataclasses.replace(now, losses=losses))
            tell(place.topic, {"folder": str(folder), **message})

    try:
        _start_tensorflow(place.threads)
        source = place.open_source()
        if source.fingerprint != place.fingerprint:
            raise ValueError(
                f"{source.name}: expected the data of the command. Received others on "
                "a worker: all machines need the same data under one path."
            )
        folder.mkdir(parents=True, exist_ok=True)
        lock = _alone(folder)
        try:
            return work(source, on_progress)
        finally:
            lock.release()
    except KeyboardInterrupt:
        give_back()
    except ValueError as error:
        # To try again would lead to the same.
        return str(error)


def named(folder: Path, trouble: str) -> str:
    """Why a training is not done, with its folder."""
    return trouble if trouble.startswith(str(folder)) else f"{folder}: {trouble}"


def _start_tensorflow(threads: int | None) -> None:
    if threads is not None:
        if "tensorflow" not in sys.modules:
            os.environ[THREADS] = str(threads)
        elif os.environ.get(THREADS) != str(threads):
            raise ValueError(
                f"--deterministic: expected {THREADS}={threads} in the environment of "
                f"a worker. Received {os.environ.get(THREADS)}: start new workers."
            )
    load_tensorflow()


def _alone(folder: Path) -> FileLock:
    """The lock of a folder, where a process that nobody waits for may still train."""
    lock = FileLock(folder / ".phdnet-tf.lock")
    for _ in range(LOCK_SECONDS):
        try:
            # The system lets go of it when its process ends, however it does.
            lock.acquire(timeout=1)
        except Timeout:
            if not is_wanted():
                raise KeyboardInterrupt from None
        else:
            return lock
    raise ValueError(
        f"{folder}: another phdnet-tf trains there now. Wait for its end, and give the "
        "same command again."
    )
