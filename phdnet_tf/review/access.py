"""Limits access to the review page to its own browser tab on this machine.

Any web page in a browser, and any program on the machine, can send requests to
127.0.0.1. A cookie for 127.0.0.1 would be sent to all of its ports, and an address with
a secret stays in the browser's history. The first address therefore has a one-time code
after a "#". The tab exchanges it for a token, which it sends in a header.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phdnet_tf.review.project import Project
from phdnet_tf.review.store import Store
from phdnet_tf.review.trail import Lane

TOKEN_SECONDS = 7 * 24 * 3600.0
"""How long a token is valid, in seconds. The server may be restarted meanwhile."""

MOST_BYTES = 4 * 1024 * 1024
"""Largest size of a request, in bytes."""

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Keys:
    """One-time codes, and the tokens that they are exchanged for.

    Args:
        store: Keeps hashes of the tokens, so that open tabs still work after a restart
            of the server.
    """

    def __init__(self, store: Store) -> None:
        """Starts without a code."""
        self._store = store
        self._codes: set[str] = set()

    def new_code(self) -> str:
        """Makes a code for the first address."""
        code = secrets.token_urlsafe(16)
        self._codes.add(code)
        return code

    def exchange(self, code: str) -> str | None:
        """Exchanges a code for a token; None if the code is wrong or used."""
        if code not in self._codes:
            return None
        self._codes.remove(code)
        token = secrets.token_urlsafe(32)
        with self._store.writing() as connection:
            connection.execute("DELETE FROM tokens WHERE until < ?", (time.time(),))
            connection.execute(
                "INSERT INTO tokens VALUES (?, ?)",
                (_digest(token), time.time() + TOKEN_SECONDS),
            )
        return token

    def knows(self, token: str) -> bool:
        """Whether a token is valid: it was issued, and is not too old."""
        row = self._store.row(
            "SELECT 1 FROM tokens WHERE digest = ? AND until > ?",
            *(_digest(token), time.time()),
        )
        return row is not None


def _digest(token: str) -> str:
    # A look-up by hash prevents guessing a token letter by letter from response times.
    return hashlib.sha256(token.encode()).hexdigest()


def lane_key(project: Project, lane: Lane) -> str:
    """Names a project and one of its readers in the requests of their page."""
    own = project.setting("key")
    if own is None:
        own = secrets.token_hex(16)
        project.set("key", own)
    return _digest(f"{own}:{lane.role}:{lane.reader}")[:16]


class Guard:
    """Refuses requests that are not the page's own, and adds headers to every answer.

    Args:
        app: Answers the requests that are allowed.
        keys: The tokens.
        lane: Whose page is served, as `lane_key` names it.
        port: Port on which the server listens.
    """

    def __init__(self, app: ASGIApp, keys: Keys, lane: str, port: int) -> None:
        """Wraps an app."""
        self._app, self._keys, self._lane = app, keys, lane
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
            return
        status, reason = refusal
        body = json.dumps({"error": reason}).encode()
        kind = [(b"content-type", b"application/json")]
        await send_guarded(
            {"type": "http.response.start", "status": status, "headers": kind}
        )
        await send_guarded({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # A page elsewhere can give its own name this machine's address.
        if host not in self._hosts:
            return 421, "Expected the address that the terminal shows. Open that one."
        origin = headers.get("origin")
        if scope["method"] not in ("GET", "HEAD") and origin is None:
            return 403, "Expected a request from the review page itself."
        if origin is not None and origin != f"http://{host}":
            return (
                403,
                f"Expected a request from the review page, not from {_name(origin)}.",
            )
        try:
            length = int(headers.get("content-length", 0))
        except ValueError:
            length = MOST_BYTES + 1
        if length > MOST_BYTES or "transfer-encoding" in headers:
            return 413, f"Expected at most {MOST_BYTES} bytes."
        path = scope["path"]
        if path.startswith("/api/") and path != "/api/session":
            kind, _, token = headers.get("authorization", "").partition(" ")
            if kind != "Bearer" or not self._keys.knows(token):
                return 401, "Expected a token. Open the address in the terminal again."
            # A tab that was open before may be of another reader or project.
            if headers.get("x-lane", self._lane) != self._lane:
                return 412, (
                    "This tab is of another reader or project than the one that "
                    "'phdnet-tf review open' serves now. Close it, or start the review "
                    "for its reader again: then its changes are stored."
                )
        return None


def _name(origin: str) -> str:
    return urlsplit(origin).hostname or "elsewhere"
