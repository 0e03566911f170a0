"""Limits the number of REST connections, and how long each may stay idle.

uvicorn waits forever for a request that does not come, and accepts connections until
the system refuses more. Here a request must come in time. When all places are taken, an
idle connection is closed for a new one. Of the address with the most idle connections,
it is the one that has waited longest.
"""

import asyncio
import resource
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""Longest time for the head of a request, or for a TLS handshake, in seconds."""

BODY_SECONDS = 40.0
"""Longest time for a body, or for the client to read an answer, in seconds. It is
longer than the limit of a request, so that the request is answered first."""


def most_connections() -> int:
    """Largest number of connections of each protocol.

    The system's limit of open files is raised as far as possible. The rest of the files
    is for models, logs and threads.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if soft < wanted and hard != soft:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(soft, wanted) * 3 // 8


class Places:
    """The places for connections.

    Args:
        most: Number of places.
        context: TLS context, or None.
        closed: Called with the reason when a connection is ended: "slow" or "full".
    """

    def __init__(
        self, most: int, context: ssl.SSLContext | None, closed: Callable[[str], None]
    ) -> None:
        """Starts without connections."""
        self.most = most
        self.context = context
        self.taken: dict[Connection, None] = {}
        self._closed = closed

    def take(self, connection: "Connection") -> None:
        """Gives a place to a new connection, and ends another if necessary."""
        if len(self.taken) >= self.most:
            waiting = [each for each in self.taken if not each.busy]
            if not waiting:
                self.give_up(connection, "full")
                return
            share = Counter(each.address for each in waiting)
            longest = min(waiting, key=lambda each: (-share[each.address], each.since))
            self.give_up(longest, "full")
        self.taken[connection] = None

    def leave(self, connection: "Connection") -> None:
        """Frees a place."""
        self.taken.pop(connection, None)

    def give_up(self, connection: "Connection", why: str) -> None:
        """Ends a connection."""
        self._closed(why)
        self.leave(connection)
        connection.raw.abort()

    def __call__(self, **keywords: Any) -> "Connection":
        """Makes a connection, as uvicorn requests it."""
        return Connection(self, **keywords)


class Connection(H11Protocol):
    """A connection that is ended if its client is slow.

    Attributes:
        raw: Transport below TLS.
        address: Address of the client.
        since: Start of the current wait, in the event loop's time.
    """

    def __init__(self, places: Places, **keywords: Any) -> None:
        """Not yet connected."""
        super().__init__(**keywords)
        self._places = places
        self._timer: asyncio.TimerHandle | None = None
        self._awaited = ""
        self._encrypting = False
        self._early = b""
        self._lost = False
        self.raw: asyncio.Transport
        self.address = ""
        self.since = 0.0

    @property
    def busy(self) -> bool:
        """Whether a whole request is being answered."""
        return self._awaited == ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a place, and starts TLS if it is configured."""
        self.raw = transport
        self.address = transport.get_extra_info("peername")[0]
        self._await("head", HEAD_SECONDS)
        self._places.take(self)
        if self._places.context is None or transport.is_closing():
            super().connection_made(transport)
        else:
            self._encrypting = True
            transport.pause_reading()
            self._handshake = self.loop.create_task(
                self._encrypt(transport, self._places.context)
            )

    async def _encrypt(
        self, transport: asyncio.Transport, context: ssl.SSLContext
    ) -> None:
        # asyncio's own server would begin with this before it told of the connection,
        # which could then be counted by nobody.
        try:
            encrypted = await self.loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HEAD_SECONDS,
            )
        except (OSError, EOFError):
            encrypted = None
        if encrypted is None or self._lost:
            transport.abort()
            self._end()
        else:
            self._encrypting = False
            super().connection_made(encrypted)
            if self._early:
                self.data_received(self._early)

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees the place."""
        self._lost = True
        self._end()
        if not self._encrypting:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receives a part of a request, and notes what is still missing."""
        if self._encrypting:
            # TLS has it before the task that waits for the handshake goes on.
            self._early += data
            return
        super().data_received(data)
        self._note()

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._note()

    def pause_writing(self) -> None:
        """Gives the client time to read the answer."""
        super().pause_writing()
        self._await("taking", BODY_SECONDS)

    def resume_writing(self) -> None:
        """Notes that the client reads again."""
        super().resume_writing()
        self._note()

    def _note(self) -> None:
        """Notes what the client must still send, or that the request is complete."""
        if self.conn.their_state is h11.SEND_BODY:
            self._await("body", BODY_SECONDS)
        elif self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._await("head", HEAD_SECONDS)
        elif self.conn.their_state is h11.IDLE:
            # uvicorn ends it if no request comes.
            self._await("request", None)
        else:
            self._await("", None)

    def _await(self, what: str, seconds: float | None) -> None:
        if what == self._awaited:
            return  # or a byte now and then would last for ever
        self._awaited, self.since = what, self.loop.time()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if seconds:
            self._timer = self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._places.give_up(self, "slow")

    def _end(self) -> None:
        self._await("", None)
        self._places.leave(self)
