"""Landmarks from a server: TF Serving, or `phdnet-tf serve`, over REST or gRPC.

What is sent is the pixels and their spacing, and nothing else of the DICOM file.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import grpc
import numpy as np
import requests
import tensorflow as tf
from requests.adapters import HTTPAdapter
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from urllib3.util import Retry

from phdnet_tf.config import VIEWS
from phdnet_tf.dicom import MRImage
from phdnet_tf.inference import (
    Prediction,
    RefusedImageError,
    ServerDownError,
    make_prediction,
)
from phdnet_tf.serving import what_is_wrong

Inputs = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]

ATTEMPTS = 5
"""How often a server that is not available is asked, with rising pauses: 3 s in all."""

AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


class NotServedError(ValueError):
    """A model, a version or a label that the server does not have."""


class Client:
    """A model on a server, used as `inference.Predictor` is one on disk.

    The version is looked up once, so that all answers are of one model; if the server
    has replaced it, the client goes on with the one that took its place.

    Args:
        server: `http://HOST:PORT`, `https://…`, `grpc://…` or `grpcs://…`. A model
            other than that of the view, one of its versions or a label of TF Serving is
            named behind it: `grpc://HOST:PORT/phdnet_sa/3`, `…/phdnet_sa/canary`.
        view: "sa" or "4ch"; None is the only one that is served.
        timeout: Most seconds that a request may take.
        authority: PEM file of the certificate authority, for https and grpcs, where the
            system does not know it.

    Attributes:
        description: What the model's `phdnet.json` says.
        view: "sa" or "4ch".
        landmarks: Names of the L landmarks, in the order of every output.
        name: Name and version, for example "phdnet_4ch/3".

    Raises:
        ValueError: If the address makes no sense.
        NotServedError: If the server has no such model.
        ServerDownError: If it does not answer.
    """

    at_once = 8
    """Images in a request: enough to make little of its overhead, and 2 MB of PNG."""

    def __init__(
        self,
        server: str,
        view: str | None = None,
        timeout: float = 30.0,
        authority: Path | None = None,
    ) -> None:
        """Connects, and asks what is served; see the class."""
        parts = urlsplit(server)
        path = parts.path.strip("/").split("/")
        if parts.scheme not in TRANSPORTS or not parts.hostname or len(path) > 2:
            raise ValueError(
                f"{server}: expected http://HOST:PORT or grpc://HOST:PORT (https and "
                "grpcs with TLS), and behind it /MODEL or /MODEL/VERSION if needed."
            )
        self._server = f"{parts.scheme}://{parts.netloc}"
        transport, secure = TRANSPORTS[parts.scheme]
        self._transport: _Transport = transport(
            parts.netloc, secure, timeout, authority
        )
        self._wanted = path[1] if len(path) > 1 else ""
        self._model = path[0] or self._find_model(view)
        self._resolve()

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        """The client; its connection ends with the block."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the connection."""
        self.close()

    def predict(self, image: MRImage, name: str = "") -> Prediction:
        """Locates the landmarks of one image.

        Args:
            image: The image, as `dicom.read_image` returns it.
            name: What the prediction calls the image; it is not sent.

        Returns:
            The prediction, as `inference.Predictor` would give it.

        Raises:
            RefusedImageError: If the model refuses the image.
            NotServedError: If the server no longer has the model.
            ServerDownError: If it does not answer.
        """
        [outputs] = self._locate([image])
        return make_prediction(self, outputs, image, name)

    def predict_many(
        self, images: Sequence[MRImage], names: Sequence[str]
    ) -> list[Prediction | RefusedImageError]:
        """Locates the landmarks of images, in as few requests as their sizes allow.

        Args:
            images: The images.
            names: What the predictions call them; they are not sent.

        Returns:
            For each image its prediction, or why the model refuses it.

        Raises:
            NotServedError: If the server no longer has the model.
            ServerDownError: If it does not answer.
        """
        found: dict[int, Prediction | RefusedImageError] = {}
        order = sorted(range(len(images)), key=lambda i: images[i].pixels.shape)
        for _, group in groupby(order, key=lambda i: images[i].pixels.shape):
            for indices in _pieces(list(group), self.at_once):
                try:
                    answers = self._locate([images[i] for i in indices])
                except RefusedImageError as error:
                    if len(indices) == 1:
                        found[indices[0]] = error
                        continue
                    # One of them is refused, and with it the request: ask one by one.
                    for i in indices:
                        found[i] = self._predict_or_refuse(images[i], names[i])
                    continue
                for i, outputs in zip(indices, answers, strict=True):
                    found[i] = make_prediction(self, outputs, images[i], names[i])
        return [found[i] for i in range(len(images))]

    def candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        """The smoothed candidate map of each landmark (equation 3).

        Args:
            image: The image, as `dicom.read_image` returns it.

        Returns:
            As `inference.Predictor.candidate_maps`.

        Raises:
            RefusedImageError: If the model refuses the image.
            NotServedError: If the server no longer has the model.
            ServerDownError: If it does not answer.
        """
        outputs = self._ask("explain", _inputs([image]))
        return outputs["candidate_map"][0], outputs["candidate_corner"][0]

    def _locate(self, images: list[MRImage]) -> list[Outputs]:
        if self._transport.prefers_png and all(map(_is_png, images)):
            inputs = _inputs(images)
            inputs["image_bytes"] = np.array(
                [encode_png(image.pixels) for image in images], object
            )
            del inputs["image"]
            outputs = self._ask("png", inputs)
        else:
            outputs = self._ask("serving_default", _inputs(images))
        return [
            {name: value[index] for name, value in outputs.items()}
            for index in range(len(images))
        ]

    def _predict_or_refuse(
        self, image: MRImage, name: str
    ) -> Prediction | RefusedImageError:
        try:
            return self.predict(image, name)
        except RefusedImageError as error:
            return error

    def _ask(self, signature: str, inputs: Inputs) -> Outputs:
        try:
            return self._transport.predict(
                self._model, self._version, signature, inputs
            )
        except NotServedError:
            if self._wanted:
                raise
            # The server has replaced the version since it was looked up.
            self._resolve()
            return self._transport.predict(
                self._model, self._version, signature, inputs
            )

    def _find_model(self, view: str | None) -> str:
        served = []
        for candidate in [view] if view else VIEWS:
            try:
                if self._transport.versions(f"phdnet_{candidate}", ""):
                    served.append(f"phdnet_{candidate}")
            except NotServedError:
                continue
        if len(served) > 1:
            raise NotServedError(
                f"{self._server} serves models of several views. Choose with --view "
                "sa or --view 4ch."
            )
        if not served:
            names = " or ".join(f"phdnet_{v}" for v in ([view] if view else VIEWS))
            raise NotServedError(
                f"{self._server}: expected a model {names} in service. Received none: "
                "see what the server loads, or name another model behind the address: "
                f"{self._server}/MODEL."
            )
        return served[0]

    def _resolve(self) -> None:
        """Looks up the version in service, and what it says of itself."""
        model = self._model
        try:
            numbers = self._transport.versions(model, self._wanted)
        except NotServedError:
            numbers = []
        if not numbers:
            raise NotServedError(self._what_is_served())
        self._version = max(numbers)
        self.name = f"{model}/{self._version}"
        asked = {"field": np.array([b"description"], object)}
        try:
            outputs = self._transport.predict(model, self._version, "describe", asked)
        except RefusedImageError as error:
            raise NotServedError(
                f"{self._server}: expected {self.name} to be a model that this version "
                f"of phdnet-tf exported. Received another: {error}"
            ) from error
        self.description: dict[str, Any] = json.loads(outputs["value"][0])
        self.view: str = self.description["view"]
        self.landmarks: tuple[str, ...] = tuple(self.description["landmarks"])

    def _what_is_served(self) -> str:
        """Tells a wrong version from a wrong model."""
        try:
            numbers = self._transport.versions(self._model, "")
        except NotServedError:
            numbers = []
        if numbers:
            return (
                f"{self._server}: no version {self._wanted!r} of {self._model} in "
                f"service. It has {', '.join(map(str, sorted(numbers)))}."
            )
        return (
            f"{self._server}: no model {self._model!r} in service. Check its name, and "
            "the log of the server."
        )


class _Transport(Protocol):
    """How requests reach the server.

    Each method raises NotServedError, RefusedImageError or ServerDownError.
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


class _Grpc:
    # A float image is copied as it is, which costs less than coding and decoding PNG.
    prefers_png = False

    def __init__(
        self, address: str, secure: bool, timeout: float, authority: Path | None
    ) -> None:
        self._address = f"{address}" if ":" in address else f"{address}:8500"
        self._timeout = timeout
        retries = {
            "methodConfig": [
                {
                    "name": [{}],
                    "retryPolicy": {
                        "maxAttempts": ATTEMPTS,
                        "initialBackoff": "0.4s",
                        "maxBackoff": "2s",
                        "backoffMultiplier": 2,
                        "retryableStatusCodes": ["UNAVAILABLE"],
                    },
                }
            ]
        }
        options = [
            ("grpc.service_config", json.dumps(retries)),
            # Candidate maps of a batch are larger than the 4 MB that gRPC allows.
            ("grpc.max_receive_message_length", -1),
            # A server that restarts is back sooner than gRPC would look by itself.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if secure:
            roots = authority.read_bytes() if authority else None
            credentials = grpc.ssl_channel_credentials(roots)
            self._channel = grpc.secure_channel(self._address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(self._address, options)
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        ).Predict
        self._status = model_service_pb2_grpc.ModelServiceStub(
            self._channel
        ).GetModelStatus

    def close(self) -> None:
        self._channel.close()

    def versions(self, model: str, version: str) -> list[int]:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        if version.isdecimal():
            request.model_spec.version.value = int(version)
        elif version:
            request.model_spec.version_label = version
        response = self._call(self._status, request)
        return [
            status.version
            for status in response.model_version_status
            if status.state == AVAILABLE
        ]

    def predict(
        self, model: str, version: int, signature: str, inputs: Inputs
    ) -> Outputs:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.version.value = version
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._call(self._predict, request)
        return {name: tf.make_ndarray(v) for name, v in response.outputs.items()}

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise _failure(
                self._address, error.code(), error.details() or "", self._timeout
            ) from error


class _Rest:
    # A float of JSON takes up to 12 bytes, and much longer to read than base64.
    prefers_png = True

    def __init__(
        self, address: str, secure: bool, timeout: float, authority: Path | None
    ) -> None:
        self._address = f"{'https' if secure else 'http'}://{address}"
        self._timeout = timeout
        self._verify: str | bool = str(authority) if authority else True
        self._session = requests.Session()
        retry = Retry(
            total=ATTEMPTS - 1,
            read=False,  # a server that takes too long would only be given more to do
            backoff_factor=0.2,
            status_forcelist=[503],
            allowed_methods=None,
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def close(self) -> None:
        self._session.close()

    def versions(self, model: str, version: str) -> list[int]:
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
            name: np.array(value, bool if name == "high_confidence" else np.float32)
            for name, value in outputs.items()
        }

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            response = self._session.request(
                method,
                self._address + path,
                json=body,
                timeout=self._timeout,
                verify=self._verify,
            )
        except requests.Timeout as error:
            raise _failure(
                self._address, grpc.StatusCode.DEADLINE_EXCEEDED, "", self._timeout
            ) from error
        except requests.RequestException as error:
            raise _failure(
                self._address, grpc.StatusCode.UNAVAILABLE, _cause(error), self._timeout
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
        raise _failure(self._address, code, str(answer.get("error")), self._timeout)


TRANSPORTS: dict[str, tuple[Any, bool]] = {
    "http": (_Rest, False),
    "https": (_Rest, True),
    "grpc": (_Grpc, False),
    "grpcs": (_Grpc, True),
}

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


def _failure(
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
    return ServerDownError(
        f"{address}: the server does not answer: {details.strip()}. {remedy}"
    )


def _cause(error: BaseException) -> str:
    """The last line of what urllib3 wraps several times."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return str(reason).split(": ", 1)[-1]


def _inputs(images: list[MRImage]) -> dict[str, np.ndarray]:
    return {
        "image": np.stack([image.pixels for image in images]).astype(np.float32),
        "pixel_spacing": np.array(
            [image.pixel_spacing for image in images], np.float32
        ),
    }


def _is_png(image: MRImage) -> bool:
    """Whether 16 bits hold the pixels as they are, so that the answer is the same."""
    pixels = image.pixels
    return bool(
        pixels.size
        and pixels.min() >= 0
        and pixels.max() <= 65535
        and (pixels == np.floor(pixels)).all()
    )


def encode_png(pixels: np.ndarray) -> bytes:
    """A 16-bit greyscale PNG.

    Args:
        pixels: [H, W], whole numbers from 0 to 65535.

    Returns:
        The file.
    """
    # A little compression is soon done; more of it saves little and takes long.
    return tf.io.encode_png(pixels.astype(np.uint16)[..., None], compression=1).numpy()


def _json(value: np.ndarray) -> Any:
    if value.dtype == object:
        return [{"b64": base64.b64encode(text).decode()} for text in value]
    return value.tolist()


def _pieces(values: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
