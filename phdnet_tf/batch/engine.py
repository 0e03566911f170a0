"""Shards side by side on the workers of a Dask cluster, on this machine or on many.

The scheduler gives the shard of a worker that is killed, or is silent for a while, to
another. Only paths and numbers go over the network, and counts come back.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.client import FutureCancelledError

from phdnet_tf.batch.processes import MAX_DEATHS, Result, Task, died, in_words

SILENCE = "30s"
"""After so long without a sign of life a worker is taken for dead.

To load TensorFlow and a model on a busy machine takes less.
"""

START_SECONDS = 30.0
"""Longest that a scheduler may take to answer."""

RETRIES = 2
"""Of a shard that raised an error: a network drive may be back in a moment."""

SETTINGS = {
    # A shard waits with the scheduler, not with a worker that may die.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": MAX_DEATHS - 1,
    "distributed.comm.timeouts.connect": f"{START_SECONDS:g}s",
    # What watches itself fifty times a second takes more of a core than the shards.
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.worker.profile.enabled": False,
}


@contextlib.contextmanager
def local_cluster(workers: int) -> Iterator[Client]:
    """Worker processes on this machine, one shard and one thread each.

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
        yield client


@contextlib.contextmanager
def joined_cluster(address: str) -> Iterator[Client]:
    """The workers of a scheduler that runs already.

    Args:
        address: For example "tcp://node1:8786".

    Yields:
        The client to give to `run_on`.

    Raises:
        ValueError: If no scheduler answers there.
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
            yield client


def run_on(
    client: Client, task: Task, shards: Iterable[int]
) -> Iterator[tuple[int, Result]]:
    """Does shards on the workers, as many at once as there are.

    Args:
        client: Of the cluster.
        task: Does a shard; a function that can be pickled, which the workers can
            import.
        shards: Their numbers.

    Yields:
        Each number as it is done, with what the task returned, or in words why it is
        not done.

    Raises:
        ConnectionError: If the scheduler is gone.
    """

    def submit(shard: int) -> Future:
        # The key has to be new where a shard is tried again.
        key = f"shard-{shard:05d}-{time.monotonic_ns()}"
        return client.submit(task, shard, key=key, pure=False, retries=RETRIES)

    numbers = {}
    deaths: dict[int, int] = {}
    waiting = as_completed(loop=client.loop)
    for shard in shards:
        future = submit(shard)
        numbers[future.key] = shard
        # Nothing else holds it: what is held is computed again when a worker dies.
        waiting.add(future)
        del future
    for future in waiting:
        shard = numbers.pop(future.key)
        result: Result
        try:
            result = future.result()
        except FutureCancelledError as error:
            raise ConnectionError("the scheduler is gone") from error
        except KilledWorker as error:
            deaths[shard] = deaths.get(shard, 0) + error.allowed_failures + 1
            # A scheduler that others started may allow fewer.
            if deaths[shard] < MAX_DEATHS:
                again = submit(shard)
                numbers[again.key] = shard
                waiting.add(again)
                continue
            result = died(deaths[shard])
        except Exception as error:
            result = in_words(error)
        future.release()
        yield shard, result


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what Dask logs of workers that die: what matters is told."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
