"""Limits the time, memory and threads that a request may use."""

import asyncio
import ctypes
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import grpc

from phdnet_tf.server.refusal import Refusal, busy

Result = TypeVar("Result")

SMALL = 1024 * 1024
"""Requests up to this size, in bytes, need not wait for large ones to be read."""

MOST_INCOMING = 32
"""Number of gRPC requests received at once. Their size is known only at their end."""


@dataclass(eq=False)
class Visit:
    """A request from its first byte to its answer.

    Attributes:
        limit: When the request ends, answered or not.
        size: Bytes of memory that it holds.
        model: Name of the requested model, once it is known.
        gives_way: Whether it was ended to make room for others.
    """

    limit: asyncio.Timeout
    size: int = 0
    model: str = ""
    gives_way: bool = False

    def give_way(self) -> None:
        """Ends the request, wherever it waits."""
        if not self.limit.expired():
            self.gives_way = True
            self.limit.reschedule(0)


class Admission:
    """Admits requests, and ends those that use too much. For one event loop.

    Args:
        most_bytes: Largest number of bytes for all requests together.
    """

    def __init__(self, most_bytes: int) -> None:
        """Starts without requests."""
        self._most_bytes = most_bytes
        self._visits: set[Visit] = set()
        self._incoming: list[Visit] = []
        self._trimming: asyncio.TimerHandle | None = None
        self._small = ThreadPoolExecutor(2, thread_name_prefix="small")
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large")

    @asynccontextmanager
    async def visit(self, seconds: float) -> AsyncIterator[Visit]:
        """Admits a request for the duration of a block.

        Args:
            seconds: Longest duration, in seconds. `Visit.limit` may be moved.

        Yields:
            The request.

        Raises:
            Refusal: From the block, if it took too long, or was ended for others.
        """
        limit = asyncio.timeout(seconds)
        visit = Visit(limit)
        self._visits.add(visit)
        try:
            async with limit:
                yield visit
        except TimeoutError:
            if visit.gives_way:
                raise busy("other requests use its memory") from None
            raise Refusal(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"The request was not received and answered within {seconds:g} s. The "
                "client is too slow, or the server too busy. Try again.",
            ) from None
        finally:
            self._visits.discard(visit)

    def hold(self, visit: Visit, size: int) -> None:
        """Counts bytes of a request. If there are too many, the largest one is ended.

        Args:
            visit: The request.
            size: Number of new bytes.

        Raises:
            Refusal: If this request is the one that is ended.
        """
        visit.size += size
        while sum(each.size for each in self._visits) > self._most_bytes:
            largest = max(self._visits, key=lambda each: each.size)
            self._visits.discard(largest)
            if largest is visit:
                raise busy("other requests use its memory")
            largest.give_way()

    @asynccontextmanager
    async def incoming(self, visit: Visit) -> AsyncIterator[None]:
        """Wraps the time in which a gRPC request is received.

        Yields:
            Nothing. If too many are being received, the oldest is ended.
        """
        if len(self._incoming) >= MOST_INCOMING:
            self._incoming.pop(0).give_way()
        self._incoming.append(visit)
        try:
            yield
        finally:
            if visit in self._incoming:
                self._incoming.remove(visit)

    async def read(
        self, read: Callable[[bytes], Result], body: bytes, grows: bool = False
    ) -> Result:
        """Runs a function on a request outside the event loop, and returns its result.

        Large requests, and those that may become large (`grows`), take turns, so that
        small ones need not wait for them. A request that is cancelled loses its turn.
        """
        loop = asyncio.get_running_loop()
        if len(body) <= SMALL and not grows:
            return await loop.run_in_executor(self._small, read, body)
        try:
            return await loop.run_in_executor(self._large, read, body)
        finally:
            if self._trimming is None:
                # When what was made of it is freed, too.
                self._trimming = loop.call_later(1, self._trim, loop)

    def _trim(self, loop: asyncio.AbstractEventLoop) -> None:
        """Returns free memory from the C library to the system, up to a gigabyte."""
        self._trimming = None
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            loop.run_in_executor(self._large, trim, 0)
