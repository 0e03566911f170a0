"""A client's requests over gRPC."""

import json
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from phdnet_tf.client.transport import ATTEMPTS, PAUSE, Inputs, Outputs, failure

AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


class GrpcTransport:
    """gRPC, in the clear or over TLS; see `transport.Transport`.

    Args:
        address: HOST:PORT, or HOST for port 8500.
        secure: Whether to use TLS.
        timeout: Longest time for a request, with its retries, in seconds.
        authority: PEM file of the certificate authority. None trusts gRPC's own list.
        token: The token that the server requires, if any.
    """

    # A float image is copied as it is, which costs less than coding and decoding PNG.
    prefers_png = False

    def __init__(
        self,
        address: str,
        secure: bool,
        timeout: float,
        authority: Path | None,
        token: str | None = None,
    ) -> None:
        """Opens the channel. It connects at the first request."""
        named = ":" in address.rpartition("]")[2]  # the colons of [::1] name no port
        self._address = address if named else f"{address}:8500"
        self._timeout = timeout
        self._shown = [("authorization", f"Bearer {token}")] if token else None
        retries = {
            "methodConfig": [
                {
                    "name": [{}],
                    "retryPolicy": {
                        "maxAttempts": ATTEMPTS,
                        "initialBackoff": f"{PAUSE}s",
                        "maxBackoff": "8s",
                        "backoffMultiplier": 2,
                        "retryableStatusCodes": ["UNAVAILABLE"],
                    },
                }
            ]
        }
        options = [
            ("grpc.service_config", json.dumps(retries)),
            # gRPC sends nothing again that is larger than this, by default 256 KiB, and
            # that is the size of an image.
            ("grpc.per_rpc_retry_buffer_size", 2**31 - 1),
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
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._predict, self._metadata = stub.Predict, stub.GetModelMetadata
        self._status = model_service_pb2_grpc.ModelServiceStub(
            self._channel
        ).GetModelStatus

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def versions(self, model: str, version: str) -> list[int]:
        """Calls GetModelStatus, or GetModelMetadata for a label."""
        if version and not version.isdecimal():
            # TF Serving's status takes no notice of labels, and tells of all versions.
            asked = get_model_metadata_pb2.GetModelMetadataRequest()
            asked.model_spec.name = model
            asked.model_spec.version_label = version
            asked.metadata_field.append("signature_def")
            return [self._call(self._metadata, asked).model_spec.version.value]
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        if version:
            request.model_spec.version.value = int(version)
        response = self._call(self._status, request)
        return [
            status.version
            for status in response.model_version_status
            if status.state == AVAILABLE
        ]

    def predict(
        self, model: str, version: int, signature: str, inputs: Inputs
    ) -> Outputs:
        """Calls Predict."""
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
            return method(request, timeout=self._timeout, metadata=self._shown)
        except grpc.RpcError as error:
            raise failure(
                self._address, error.code(), error.details() or "", self._timeout
            ) from error
