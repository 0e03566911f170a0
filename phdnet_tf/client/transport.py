"""The protocol of a client's transports, and the errors of failed requests."""

from collections.abc import Mapping
from typing import Protocol

import grpc
import numpy as np

from phdnet_tf.export.refusals import what_is_wrong
from phdnet_tf.inference.errors import (
    NotServedError,
    RefusedImageError,
    ServerDownError,
)

Inputs = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]

ATTEMPTS = 5
"""Number of attempts if a server is not available. gRPC allows no more."""

PAUSE = 1.0
"""Time before the next attempt, in seconds, doubled each time: about 15 s in all, which
is longer than `phdnet-tf serve` takes to start."""


class Transport(Protocol):
    """A way to send requests to a server.

    Each method raises NotServedError, RefusedImageError or ServerDownError.

    Attributes:
        prefers_png: Whether to send images as PNG if it holds them exactly.
    """

    prefers_png: bool

    def versions(self, model: str, version: str) -> list[int]:
        """Numbers of served versions: all, the one of a number, or that of a label."""

    def predict(
        self, model: str, version: int, signature: str, inputs: Inputs
    ) -> Outputs:
        """The outputs of a signature."""

    def close(self) -> None:
        """Ends the connection."""


def failure(
    address: str, code: grpc.StatusCode, details: str, timeout: float
) -> ValueError:
    """The error for a status code."""
    if code == grpc.StatusCode.NOT_FOUND:
        return NotServedError(f"{address}: {details}")
    # gRPC has one code for a request that is too large and a server that is too busy.
    large = code == grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than" in details
    refusals = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
    if large or code in refusals:
        return RefusedImageError(what_is_wrong(details))
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServerDownError(
            f"{address}: no answer within {timeout:g} s. Check the server, or allow "
            "more time with --timeout."
        )
    what, remedy = "does not answer", "Check the address, and that the server runs."
    if code != grpc.StatusCode.UNAVAILABLE:
        what, remedy = "failed", "See the log of the server, or of a proxy."
    if code == grpc.StatusCode.UNAUTHENTICATED:
        remedy = "Give the server's token with --server-token."
    elif code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        remedy = "Try again later."
    if "CERTIFICATE_VERIFY_FAILED" in details:
        remedy = "If you trust it, give its certificate authority with --server-ca."
    return ServerDownError(
        f"{address}: the server {what}: {details.strip().rstrip('.')}. {remedy}"
    )
