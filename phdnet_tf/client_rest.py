"""A client's requests over REST."""

import base64
import json
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from phdnet_tf.client_transport import ATTEMPTS, Inputs, Outputs, failure

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


BOOLEANS = ("high_confidence", "recognised")
"""Outputs that JSON has as true and false; all others are numbers."""


class RestTransport:
    """REST, over http or https; see `client_transport.Transport`.

    Args:
        address: HOST:PORT, or HOST for the scheme's own port.
        secure: Whether to use https.
        timeout: Most seconds to connect, and between two parts of the answer.
        authority: PEM file of the certificate authority; None trusts the usual ones.
    """

    # A float of JSON takes up to 12 bytes, and much longer to read than base64.
    prefers_png = True

    def __init__(
        self, address: str, secure: bool, timeout: float, authority: Path | None
    ) -> None:
        """Connects to nothing yet."""
        self._address = f"{'https' if secure else 'http'}://{address}"
        self._timeout = timeout
        self._verify: str | bool = str(authority) if authority else True
        self._session = requests.Session()
        retry = Retry(
            total=ATTEMPTS - 1,
            read=1,  # a kept connection may have ended; but a server may just be slow
            backoff_factor=0.2,
            status_forcelist=[503],
            allowed_methods=None,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def versions(self, model: str, version: str) -> list[int]:
        """Asks for the model's status."""
        kind = "versions" if version.isdecimal() else "labels"
        path = f"/v1/models/{model}" + (f"/{kind}/{version}" if version else "")
        return [
            int(status["version"])
            for status in self._call("GET", path)["model_version_status"]
            if status["state"] == "AVAILABLE"
        ]

    def predict(
        self, model: str, version: int, signature: str, inputs: Inputs
    ) -> Outputs:
        """Asks the predict method, in the column format."""
        outputs = self._call(
            "POST",
            f"/v1/models/{model}/versions/{version}:predict",
            {
                "signature_name": signature,
                "inputs": {name: _json(value) for name, value in inputs.items()},
            },
        )["outputs"]
        if signature == "describe":  # TF Serving names an output only beside others
            return {"value": np.array(outputs, object)}
        return {
            name: np.array(value, bool if name in BOOLEANS else np.float32)
            for name, value in outputs.items()
        }

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            response = self._session.request(
                method,
                self._address + path,
                # Not `json=body`, which refuses NaN: that is the model's to do.
                data=json.dumps(body) if body else None,
                timeout=self._timeout,
                verify=self._verify,
            )
        except requests.RequestException as error:
            cause = _cause(error)
            late = isinstance(cause, requests.Timeout | ReadTimeoutError)
            codes = grpc.StatusCode
            raise failure(
                self._address,
                codes.DEADLINE_EXCEEDED if late else codes.UNAVAILABLE,
                str(cause).split(": ", 1)[-1],
                self._timeout,
            ) from error
        try:
            answer = response.json()
        except ValueError:
            answer = {
                "error": f"an answer that is not JSON, status {response.status_code}"
            }
        if response.ok and "error" not in answer:
            return answer
        code = CODES.get(response.status_code, grpc.StatusCode.UNAVAILABLE)
        raise failure(self._address, code, str(answer.get("error")), self._timeout)


def _cause(error: BaseException) -> BaseException:
    """What urllib3 gave up for, which it and requests wrap."""
    return getattr(error.args[0], "reason", error) if error.args else error


def _json(value: np.ndarray) -> Any:
    if value.dtype == object:
        return [{"b64": base64.b64encode(text).decode()} for text in value]
    return value.tolist()
