"""Refusals of requests, and how each protocol reports them."""

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
"""HTTP status for each gRPC code that this server uses."""


class Refusal(Exception):
    """A request is refused.

    Attributes:
        code: The reason as a gRPC code.
        message: One sentence for the client.
        http: The reason as an HTTP status.
    """

    def __init__(
        self, code: grpc.StatusCode, message: str, http: int | None = None
    ) -> None:
        """Keeps the arguments. `http` defaults to the status of `code`."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.http = http or HTTP[code]


def invalid(message: str) -> Refusal:
    """A refusal of an invalid request: 400, INVALID_ARGUMENT."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def too_large(most: int) -> Refusal:
    """A refusal of a request that is too large: 413, RESOURCE_EXHAUSTED."""
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"The request is larger than {most} bytes. Send fewer images per request, or "
        "send them as PNG (signature png).",
        http=413,
    )


def busy(what: str) -> Refusal:
    """A refusal because the server is busy: 503, RESOURCE_EXHAUSTED."""
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, f"The server is busy: {what}. Try again."
    )


def unexpected(error: Exception) -> Refusal:
    """A refusal because of an unexpected error: 500, INTERNAL.

    The error's text may reveal details of the machine and of other requests, so it goes
    only to the log.
    """
    name = secrets.token_hex(4)
    logger.error("unexpected error %s", name, exc_info=error)
    return Refusal(
        grpc.StatusCode.INTERNAL,
        f"Internal error {name}: see the log of the server.",
    )


def require_token(token: str | None, shown: str) -> None:
    """Refuses a request without the right token.

    Args:
        token: The required token. None requires no token.
        shown: The request's `authorization`.

    Raises:
        Refusal: If the request has another token, or none.
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
