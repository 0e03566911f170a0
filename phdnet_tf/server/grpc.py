"""TF Serving's gRPC services over `Models`, and gRPC's health service."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from phdnet_tf.server.admission import Admission, Visit
from phdnet_tf.server.config import ServerConfig
from phdnet_tf.server.json_requests import SIGNATURE
from phdnet_tf.server.monitoring import Metrics
from phdnet_tf.server.refusal import Refusal, invalid, require_token, unexpected
from phdnet_tf.server.registry import Models
from phdnet_tf.server.tensors import arrays

Answer = Callable[[Any, Visit], Awaitable[Any]]


class Services:
    """PredictionService and ModelService; gRPC answers UNIMPLEMENTED to the rest.

    Args:
        config: The server's settings.
        token: Token that a request must send. None requires no token.
        models: The served models.
        metrics: Counts predict requests.
        admission: Admits requests.
    """

    def __init__(
        self,
        config: ServerConfig,
        token: str | None,
        models: Models,
        metrics: Metrics,
        admission: Admission,
    ) -> None:
        """Keeps the arguments; `add_to` registers the services."""
        self._seconds = config.seconds
        self._most_values = config.max_bytes // np.dtype(np.float32).itemsize
        self._token = token
        self._models = models
        self._metrics = metrics
        self._admission = admission

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the services with a server that is not yet started."""
        # It tells that the server runs, and asks for no token, as no probe has one.
        health_pb2_grpc.add_HealthServicer_to_server(
            health.aio.HealthServicer(), server
        )
        for service, methods in (
            (
                "PredictionService",
                {"Predict": self._predict, "GetModelMetadata": self._metadata},
            ),
            ("ModelService", {"GetModelStatus": self._status}),
        ):
            handlers = {
                # A client sends one message. For a method that says so, gRPC itself
                # would wait for it, without end.
                name: grpc.stream_unary_rpc_method_handler(
                    self._handler(name, answer),
                    response_serializer=lambda message: message.SerializeToString(),
                )
                for name, answer in methods.items()
            }
            server.add_generic_rpc_handlers(
                (
                    grpc.method_handlers_generic_handler(
                        f"tensorflow.serving.{service}", handlers
                    ),
                )
            )

    def _handler(
        self, name: str, answer: Answer
    ) -> Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]:
        async def handle(_: Any, context: grpc.aio.ServicerContext) -> Any:
            started = time.perf_counter()
            code, message, model = grpc.StatusCode.CANCELLED, "", ""
            try:
                headers = dict(context.invocation_metadata())
                require_token(self._token, str(headers.get("authorization", "")))
                async with self._admission.visit(self._seconds) as visit:
                    async with self._admission.incoming(visit):
                        body = await context.read()
                    if not isinstance(body, bytes):
                        raise invalid("Expected a message. Received none.")
                    self._admission.hold(visit, len(body))
                    # How long it waits for its answer is the client's to say.
                    visit.limit.reschedule(None)
                    try:
                        response = await answer(body, visit)
                    finally:
                        model = visit.model
                code = grpc.StatusCode.OK
                return response
            except Refusal as refusal:
                code, message = refusal.code, refusal.message
            except asyncio.CancelledError:
                left = context.time_remaining()
                if left is not None and left <= 0:
                    code = grpc.StatusCode.DEADLINE_EXCEEDED
                raise
            except Exception as error:
                hidden = unexpected(error)
                code, message = hidden.code, hidden.message
            finally:
                if name == "Predict":
                    seconds = time.perf_counter() - started
                    self._metrics.count(model, "grpc", code, seconds)
            await context.abort(code, message)

        return handle

    async def _predict(self, body: bytes, visit: Visit) -> predict_pb2.PredictResponse:
        def read(body: bytes) -> tuple[Any, dict[str, np.ndarray]]:
            request = _parse(predict_pb2.PredictRequest, body)
            return request, arrays(request.inputs, self._most_values)

        request, inputs = await self._admission.read(read, body)
        spec = request.model_spec
        visit.model = spec.name
        signature = spec.signature_name or SIGNATURE
        version = self._models.find(spec.name, number(spec))
        outputs = await self._models.predict(
            version, signature, inputs, list(request.output_filter)
        )
        response = predict_pb2.PredictResponse()
        _fill(response.model_spec, spec.name, version.number, signature)
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    async def _metadata(
        self, body: bytes, _: Visit
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        request = _parse(get_model_metadata_pb2.GetModelMetadataRequest, body)
        if set(request.metadata_field) != {"signature_def"}:
            raise invalid(
                "metadata_field: expected 'signature_def'. Received: "
                f"{list(request.metadata_field)}."
            )
        spec = request.model_spec
        return metadata(self._models, spec.name, number(spec))

    async def _status(
        self, body: bytes, _: Visit
    ) -> get_model_status_pb2.GetModelStatusResponse:
        request = _parse(get_model_status_pb2.GetModelStatusRequest, body)
        spec = request.model_spec
        # As TF Serving's, it takes no notice of labels.
        wanted = spec.version.value if spec.HasField("version") else None
        return status(self._models, spec.name, wanted)


def _parse(kind: Any, body: bytes) -> Any:
    try:
        request = kind.FromString(body)
    except DecodeError as error:
        raise invalid(
            f"Expected a {kind.DESCRIPTOR.name}. Received: {error}."
        ) from error
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request


def metadata(
    models: Models, name: str, number: int | None
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a model, as both protocols report them.

    Raises:
        Refusal: If the model is not in service.
    """
    version = models.find(name, number)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    _fill(response.model_spec, name, version.number, "")
    response.metadata["signature_def"].Pack(version.signature_defs)
    return response


def status(
    models: Models, name: str, number: int | None
) -> get_model_status_pb2.GetModelStatusResponse:
    """The state of a model's versions, as both protocols report it.

    Raises:
        Refusal: If the model is unknown.
    """
    return get_model_status_pb2.GetModelStatusResponse(
        model_version_status=models.statuses(name, number)
    )


def unknown_label(label: str) -> Refusal:
    """The error for a label. TF Serving calls an unknown label malformed."""
    return invalid(f"Unrecognized servable version label: {label}")


def number(spec: Any) -> int | None:
    """The version that a ModelSpec names; None means the one in service.

    Raises:
        Refusal: If it names a label.
    """
    if spec.WhichOneof("version_choice") == "version_label":
        raise unknown_label(spec.version_label)
    return spec.version.value if spec.HasField("version") else None


def _fill(spec: Any, name: str, number: int, signature: str) -> None:
    spec.name = name
    spec.version.value = number
    spec.signature_name = signature
