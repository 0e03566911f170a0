"""Pieces of work side by side on a Dask cluster, on this machine or on many.

A piece is a shard of an archive, or a training. The scheduler gives that of a worker
that is killed, or is silent for a while, to another. Only paths and numbers go over the
network, and counts come back.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import dask
from distributed import (
    Client,
    KilledWorker,
    LocalCluster,
    Reschedule,
    Worker,
    WorkerPlugin,
    as_completed,
    get_worker,
)
from distributed.client import FutureCancelledError
from distributed.core import Status

from phdnet_tf.workers.processes import (
    MAX_DEATHS,
    Result,
    Task,
    died,
    end_in_order,
    in_words,
)

SILENCE = "30s"
"""After so long without a sign of life a worker is taken for dead.

To load TensorFlow and a model on a busy machine takes less.
"""

START_SECONDS = 30.0
"""Longest that a scheduler may take to answer."""

RETRIES = 2
"""Of a piece that raised an error: a network drive may be back in a moment."""

SETTINGS = {
    # A piece waits with the scheduler, not with a worker that may die.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": MAX_DEATHS - 1,
    "distributed.comm.timeouts.connect": f"{START_SECONDS:g}s",
    # What watches itself fifty times a second takes more of a core than the work.
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.worker.profile.enabled": False,
}


class _EndInOrder(WorkerPlugin):
    """A worker that is told to end leaves no study to blame for it."""

    name = "phdnet-tf-end-in-order"

    def teardown(self, worker: Worker) -> None:
        end_in_order()


class _LeaveCtrlC(_EndInOrder):
    """Ctrl-C reaches workers of this machine, too, but it is the client that ends them.

    They then have the time to leave nothing half-written.
    """

    def setup(self, worker: Worker) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def local_cluster(workers: int) -> Iterator[Client]:
    """Worker processes on this machine, one piece of work at a time each.

    Args:
        workers: How many.

    Yields:
        The client to give to `run_on`.
    """
    with (
        dask.config.set(SETTINGS | {"distributed.scheduler.worker-ttl": SILENCE}),
        _quiet(),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            # None would open ports to the whole network.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(_LeaveCtrlC())
        yield client


@contextlib.contextmanager
def joined_cluster(address: str) -> Iterator[Client]:
    """The workers of a scheduler that is already running.

    Args:
        address: For example "tcp://node1:8786".

    Yields:
        The client to give to `run_on`.

    Raises:
        ValueError: If no scheduler answers there, or a worker has several threads.
    """
    with dask.config.set(SETTINGS), _quiet():
        try:
            client = Client(address, timeout=START_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ValueError(
                f"{address}: expected a Dask scheduler. Received no answer: start one "
                "with 'dask scheduler', and workers with 'dask worker "
                f"{address} --nthreads 1'."
            ) from error
        with client:
            busy = [name for name, threads in client.nthreads().items() if threads > 1]
            if busy:
                raise ValueError(
                    f"{busy[0]}: expected workers of one thread each. Received one of "
                    "several: work that ends its process would end the rest with it. "
                    f"Start workers with 'dask worker {address} --nthreads 1'."
                )
            client.register_plugin(_EndInOrder())
            yield client


def run_on(
    client: Client,
    task: Task,
    numbers: Iterable[int],
    then: Callable[[int, Result], Iterable[int]] = lambda number, result: (),
) -> Iterator[tuple[int, Result]]:
    """Does pieces of work on the workers, as many at once as there are.

    Args:
        client: Of the cluster.
        task: Does a piece; a function that can be pickled, which the workers can
            import.
        numbers: Of the pieces.
        then: Is given each number that is done, with what `run_on` yields; returns the
            numbers of pieces that have waited for it, and go first now.

    Yields:
        Each number as it is done, with what the task returned, or in words why it is
        not done.

    Raises:
        ConnectionError: If the scheduler is gone.
    """
    keys: dict[str, int] = {}
    deaths: dict[int, int] = {}
    waiting = as_completed(loop=client.loop)

    def submit(number: int, priority: int = 0) -> None:
        # The key has to be new where a piece is tried again.
        key = f"piece-{number:05d}-{time.monotonic_ns()}"
        keys[key] = number
        # Nothing else holds it: what is held is computed again when a worker dies.
        waiting.add(
            client.submit(
                task, number, key=key, pure=False, retries=RETRIES, priority=priority
            )
        )

    for number in numbers:
        submit(number)
    for future in waiting:
        number = keys.pop(future.key)
        result: Result
        try:
            result = future.result()
        except FutureCancelledError as error:
            raise ConnectionError("the scheduler is gone") from error
        except KilledWorker as error:
            deaths[number] = deaths.get(number, 0) + error.allowed_failures + 1
            # A scheduler that others started may allow fewer.
            if deaths[number] < MAX_DEATHS:
                submit(number)
                continue
            result = died(deaths[number])
        except Exception as error:
            result = in_words(error)
        future.release()
        for next_one in then(number, result):
            submit(next_one, priority=1)
        yield number, result


@contextlib.contextmanager
def listening(client: Client, hear: Callable[[Any], None]) -> Iterator[str]:
    """Hears what pieces of work tell with `tell` while they are done.

    Args:
        client: Of the cluster.
        hear: Is given each message, in another thread.

    Yields:
        The topic that they name.
    """
    topic = f"phdnet-tf-{uuid.uuid4().hex}"
    client.subscribe_topic(topic, lambda event: hear(event[1]))
    yield topic


def tell(topic: str, message: dict[str, Any]) -> None:
    """Sends a message from a piece of work to whoever listens.

    Args:
        topic: What `listening` yields.
        message: Numbers and texts by name.
    """
    get_worker().log_event(topic, message)


def is_wanted() -> bool:
    """Whether anybody waits for the piece of work that is done in this thread.

    Nobody does when the command has ended, or when the worker is told to end. Dask
    cannot stop a thread: what takes long has to ask.
    """
    worker = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    wanted = task is not None and task.state == "executing"
    return wanted and worker.status in (Status.running, Status.paused)


def give_back() -> NoReturn:
    """Ends a piece of work that nobody waits for here; another worker may do it.

    Raises:
        Reschedule: To Dask, which does not count it as an error.
    """
    raise Reschedule


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what Dask logs of workers that die: what matters is told."""
    # Some of its loggers have a level of their own.
    known = logging.root.manager.loggerDict
    names = [
        "distributed",
        *(name for name in known if name.startswith("distributed.")),
    ]
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
