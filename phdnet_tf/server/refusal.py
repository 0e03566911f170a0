"""A request that is not answered, and how each protocol says so."""

import hmac
import logging
import secrets

import grpc

logger = logging.getLogger(__name__)

HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INTERNAL: 500,
    # TF Serving's 429 would say that this client asked too often.
    grpc.StatusCode.RESOURCE_EXHAUSTED: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""Status of HTTP for each of the codes that this server uses."""


class Refusal(Exception):
    """A request that is not answered, and why.

    Attributes:
        code: The reason as gRPC names it.
        message: One sentence for the client.
        http: The same as a status of HTTP.
    """

    def __init__(
        self, code: grpc.StatusCode, message: str, http: int | None = None
    ) -> None:
        """Keeps all; see the class. Without `http`, the code's own is meant."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.http = http or HTTP[code]


def invalid(message: str) -> Refusal:
    """A request that makes no sense: 400, INVALID_ARGUMENT."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def too_large(most: int) -> Refusal:
    """A request of more bytes than are taken: 413, RESOURCE_EXHAUSTED."""
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"The request is larger than {most} bytes. Send fewer images in one, or images "
        "as PNG (signature png).",
        http=413,
    )


def busy(what: str) -> Refusal:
    """A request that found no room: 503, RESOURCE_EXHAUSTED."""
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, f"The server is busy: {what}. Ask again."
    )


def unexpected(error: Exception) -> Refusal:
    """An error that nobody foresaw: 500, INTERNAL.

    Its text may tell of the machine and of other requests, and is for the log alone.
    """
    name = secrets.token_hex(4)
    logger.error("unexpected error %s", name, exc_info=error)
    return Refusal(
        grpc.StatusCode.INTERNAL,
        f"Internal error {name}: see the log of the server.",
    )


def require_token(token: str | None, shown: str) -> None:
    """Refuses a request that does not show the token.

    Args:
        token: What is asked for; None asks for nothing.
        shown: The request's `authorization`.

    Raises:
        Refusal: If it shows another, or none.
    """
    kind, _, received = shown.partition(" ")
    # Of the same duration wherever they differ, which would otherwise tell the token.
    if token is not None and not (
        kind.lower() == "bearer"
        and hmac.compare_digest(received.strip().encode(), token.encode())
    ):
        raise Refusal(
            grpc.StatusCode.UNAUTHENTICATED,
            "authorization: expected the token of this server, as 'Bearer TOKEN'. "
            f"Received {'another' if shown else 'none'}.",
        )
