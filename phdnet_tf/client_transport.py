"""What carries a client's requests, and what each way of failing means."""

from collections.abc import Mapping
from typing import Protocol

import grpc
import numpy as np

from phdnet_tf.inference import RefusedImageError, ServerDownError
from phdnet_tf.serving import what_is_wrong

Inputs = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]

ATTEMPTS = 5
"""How often a server that is not available is asked, with rising pauses: 3 s in all."""


class NotServedError(ValueError):
    """A model, a version or a label that the server does not have."""


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
    if code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.FAILED_PRECONDITION,
    ):
        return RefusedImageError(what_is_wrong(details))
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServerDownError(
            f"{address}: no answer within {timeout:g} s. Check that the server is "
            "well, or allow it more time."
        )
    remedy = "Check the address, and that it runs."
    if "CERTIFICATE_VERIFY_FAILED" in details:
        remedy = "If you trust it, name the authority that signed it: --server-ca."
    down = code == grpc.StatusCode.UNAVAILABLE
    return ServerDownError(
        f"{address}: the server {'does not answer' if down else 'failed'}: "
        f"{details.strip().rstrip('.')}. {remedy}"
    )
