"""How much of the server a request may take: time, memory, and a thread."""

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
"""Bytes up to which a request is read beside large ones, and not after them."""

MOST_INCOMING = 32
"""Requests of gRPC that come in at once: none tells before its end how large it is."""


@dataclass(eq=False)
class Visit:
    """A request from its first byte to its answer.

    Attributes:
        limit: When it ends, answered or not.
        size: Bytes that it holds.
        model: What it asks, once that is known.
        gives_way: Whether it was ended for others.
    """

    limit: asyncio.Timeout
    size: int = 0
    model: str = ""
    gives_way: bool = False

    def give_way(self) -> None:
        """Ends it, wherever it waits."""
        if not self.limit.expired():
            self.gives_way = True
            self.limit.reschedule(0)


class Admission:
    """Lets requests in, and ends those that take too much. For one event loop.

    Args:
        most_bytes: Of all requests together.
    """

    def __init__(self, most_bytes: int) -> None:
        """Has nobody in."""
        self._most_bytes = most_bytes
        self._visits: set[Visit] = set()
        self._incoming: list[Visit] = []
        self._trimming: asyncio.TimerHandle | None = None
        self._small = ThreadPoolExecutor(2, thread_name_prefix="small")
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large")

    @asynccontextmanager
    async def visit(self, seconds: float) -> AsyncIterator[Visit]:
        """A request, for the time of a block.

        Args:
            seconds: Most time; `Visit.limit` may be moved.

        Yields:
            The request.

        Raises:
            Refusal: From the block, if it took too long, or gave way to others.
        """
        limit = asyncio.timeout(seconds)
        visit = Visit(limit)
        self._visits.add(visit)
        try:
            async with limit:
                yield visit
        except TimeoutError:
            if visit.gives_way:
                raise busy("others take its memory") from None
            raise Refusal(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"Expected the request to come and its turn to be over within "
                f"{seconds:g} s. Received less of it, or too many others: ask again.",
            ) from None
        finally:
            self._visits.discard(visit)

    def hold(self, visit: Visit, size: int) -> None:
        """Counts bytes; if there are too many, the largest request gives way.

        Args:
            visit: Whose they are.
            size: Of what came now.

        Raises:
            Refusal: If it is this one that gives way.
        """
        visit.size += size
        while sum(each.size for each in self._visits) > self._most_bytes:
            largest = max(self._visits, key=lambda each: each.size)
            self._visits.discard(largest)
            if largest is visit:
                raise busy("others take its memory")
            largest.give_way()

    @asynccontextmanager
    async def incoming(self, visit: Visit) -> AsyncIterator[None]:
        """The time in which a request of gRPC comes in.

        Yields:
            Nothing. If too many come in, the one that began first gives way.
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
        """What a function makes of a request, off the event loop.

        Large ones, and those that may become so (`grows`), take turns, so that small
        ones need not wait for them. Who leaves before his turn has none.
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
        """Gives the system what the C library keeps: a gigabyte in the end."""
        self._trimming = None
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
            loop.run_in_executor(self._large, trim, 0)
