"""A client's requests over REST."""

import base64
import json
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import ReadTimeoutError
from urllib3.util import Retry

from phdnet_tf.client.transport import ATTEMPTS, PAUSE, Inputs, Outputs, failure

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    # What a proxy says for a server that restarts, and what TF Serving says.
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}

CONNECT_SECONDS = 3.05
"""Longest time for one connection attempt, in seconds. A lost packet is sent again
after one second."""


class _Retry(Retry):
    """Retries if a server is away. If it is slow, a retry would double its work."""

    def increment(self, *arguments: Any, **keywords: Any) -> Self:
        if isinstance(keywords.get("error"), ReadTimeoutError):
            raise keywords["error"]
        return super().increment(*arguments, **keywords)


class _Bearer(AuthBase):
    """Sends a token. A plain header would be overridden by the user's .netrc."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


BOOLEANS = ("high_confidence", "recognised")
"""Outputs that are true or false in JSON. All others are numbers."""


class RestTransport:
    """REST, over http or https; see `transport.Transport`.

    Args:
        address: HOST:PORT, or HOST for the scheme's own port.
        secure: Whether to use https.
        timeout: Longest time between two parts of the answer, in seconds.
        authority: PEM file of the certificate authority. None trusts the usual ones.
        token: The token that the server requires, if any.
    """

    # A float of JSON takes up to 12 bytes, and much longer to read than base64.
    prefers_png = True

    def __init__(
        self,
        address: str,
        secure: bool,
        timeout: float,
        authority: Path | None,
        token: str | None = None,
    ) -> None:
        """Keeps the settings. The first request connects."""
        self._url = f"{'https' if secure else 'http'}://{address}"
        # A password before the host is for the host alone, and not for a message.
        self._address = self._url.replace(address, address.rpartition("@")[2])
        self._timeout = timeout
        self._verify: str | bool = str(authority) if authority else True
        self._session = requests.Session()
        if token:
            self._session.auth = _Bearer(token)
        retry = _Retry(
            total=ATTEMPTS - 1,
            other=0,  # a certificate that is not trusted now never will be
            backoff_factor=PAUSE,
            status_forcelist=[502, 503],
            allowed_methods=None,
            raise_on_status=False,
            respect_retry_after_header=False,  # it may ask for hours
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def versions(self, model: str, version: str) -> list[int]:
        """Requests the model's status, or the metadata of a label."""
        path = f"/v1/models/{model}"
        if version and not version.isdecimal():
            # TF Serving's status takes no notice of labels, and tells of all versions.
            spec = self._call("GET", f"{path}/labels/{version}/metadata", "model_spec")
            return [int(spec["version"])]
        if version:
            path += f"/versions/{version}"
        return [
            int(status["version"])
            for status in self._call("GET", path, "model_version_status")
            if status["state"] == "AVAILABLE"
        ]

    def predict(
        self, model: str, version: int, signature: str, inputs: Inputs
    ) -> Outputs:
        """Calls the predict method, in the column format."""
        outputs = self._call(
            "POST",
            f"/v1/models/{model}/versions/{version}:predict",
            "outputs",
            {
                "signature_name": signature,
                "inputs": {name: _json(value) for name, value in inputs.items()},
            },
        )
        if signature == "describe":  # TF Serving names an output only beside others
            return {"value": np.array(outputs, object)}
        return {
            name: np.array(value, bool if name in BOOLEANS else np.float32)
            for name, value in outputs.items()
        }

    def _call(self, method: str, path: str, key: str, body: Any = None) -> Any:
        """The value of a key in the answer."""
        try:
            response = self._session.request(
                method,
                self._url + path,
                # Not `json=body`, which refuses NaN: that is the model's to do.
                data=json.dumps(body) if body else None,
                timeout=(min(CONNECT_SECONDS, self._timeout), self._timeout),
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
            answer = None
        if not isinstance(answer, dict):
            answer = {}
        if response.ok and key in answer:
            return answer[key]
        status = response.status_code
        nothing = f"status {status}, without the answer of a model server"
        code = CODES.get(status, grpc.StatusCode.UNKNOWN)
        details = str(answer.get("error", nothing))
        raise failure(self._address, code, details, self._timeout)


def _cause(error: BaseException) -> BaseException:
    """The original error, which urllib3 and requests wrap."""
    return getattr(error.args[0], "reason", error) if error.args else error


def _json(value: np.ndarray) -> Any:
    if value.dtype == object:
        return [{"b64": base64.b64encode(text).decode()} for text in value]
    return value.tolist()
