"""What carries a client's requests, and what each way of failing means."""

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
"""How often a server that is not available is asked; gRPC allows no more."""

PAUSE = 1.0
"""Seconds before it is asked again, doubled each time: about 15 in all, which is longer
than `phdnet-tf serve` takes to start."""


class Transport(Protocol):
    """How requests reach the server.

    Each method raises NotServedError, RefusedImageError or ServerDownError.

    Attributes:
        prefers_png: Whether images should be sent as PNG where it holds them exactly.
    """

    prefers_png: bool

    def versions(self, model: str, version: str) -> list[int]:
        """Numbers of the versions in service: all, one by number or one by label."""

    def predict(
        self, model: str, version: int, signature: str, inputs: Inputs
    ) -> Outputs:
        """The outputs of a signature."""

    def close(self) -> None:
        """Ends the connection."""


def failure(
    address: str, code: grpc.StatusCode, details: str, timeout: float
) -> ValueError:
    """The error that a status code means."""
    if code == grpc.StatusCode.NOT_FOUND:
        return NotServedError(f"{address}: {details}")
    # gRPC has one code for a request that is too large and a server that is too busy.
    large = code == grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than" in details
    refusals = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
    if large or code in refusals:
        return RefusedImageError(what_is_wrong(details))
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServerDownError(
            f"{address}: no answer within {timeout:g} s. Check that the server is "
            "well, or allow it more time: --timeout."
        )
    what, remedy = "does not answer", "Check the address, and that it runs."
    if code != grpc.StatusCode.UNAVAILABLE:
        what, remedy = "failed", "See its log, or that of a proxy before it."
    if code == grpc.StatusCode.UNAUTHENTICATED:
        remedy = "Show it the token that it asks for: --server-token."
    elif code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        remedy = "Ask again later."
    if "CERTIFICATE_VERIFY_FAILED" in details:
        remedy = "If you trust it, name the authority that signed it: --server-ca."
    return ServerDownError(
        f"{address}: the server {what}: {details.strip().rstrip('.')}. {remedy}"
    )
