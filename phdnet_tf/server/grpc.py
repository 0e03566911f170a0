"""TF Serving's gRPC services, PredictionService and ModelService, over `Models`."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from phdnet_tf.server.monitoring import Metrics
from phdnet_tf.server.registry import Models, Refusal, arrays

SIGNATURE = "serving_default"


def add_services(
    server: grpc.Server, models: Models, metrics: Metrics, max_bytes: int
) -> None:
    """Registers both services.

    Args:
        server: Not yet started.
        models: What it serves.
        metrics: Where requests are counted.
        max_bytes: Largest request, which bounds its tensors in memory, too.
    """
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _PredictionService(models, metrics, max_bytes), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        _ModelService(models), server
    )


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the stubs answer UNIMPLEMENTED to the rest."""

    def __init__(self, models: Models, metrics: Metrics, max_bytes: int) -> None:
        self._models = models
        self._metrics = metrics
        self._most = max_bytes // np.dtype(np.float32).itemsize

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        started = time.perf_counter()
        code = grpc.StatusCode.INTERNAL
        try:
            response = self._predict(request)
            code = grpc.StatusCode.OK
            return response
        except Refusal as refusal:
            code = refusal.code
            context.abort(refusal.code, refusal.message)
        finally:
            self._metrics.count(
                request.model_spec.name, "grpc", code, time.perf_counter() - started
            )

    def _predict(self, request: predict_pb2.PredictRequest) -> Any:
        spec = request.model_spec
        signature = spec.signature_name or SIGNATURE
        version = self._models.find(spec.name, _number(spec))
        outputs = self._models.predict(
            version,
            signature,
            arrays(request.inputs, self._most),
            request.output_filter,
        )
        response = predict_pb2.PredictResponse()
        _fill(response.model_spec, spec.name, version.number, signature)
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    def GetModelMetadata(
        self,
        request: get_model_metadata_pb2.GetModelMetadataRequest,
        context: grpc.ServicerContext,
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        if list(request.metadata_field) != ["signature_def"]:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                "metadata_field: expected 'signature_def'. Received: "
                f"{list(request.metadata_field)}.",
            )
        spec = request.model_spec
        return _or_abort(
            context, lambda: metadata(self._models, spec.name, _number(spec))
        )


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models: Models) -> None:
        self._models = models

    def GetModelStatus(
        self,
        request: get_model_status_pb2.GetModelStatusRequest,
        context: grpc.ServicerContext,
    ) -> get_model_status_pb2.GetModelStatusResponse:
        spec = request.model_spec
        return _or_abort(
            context, lambda: status(self._models, spec.name, _number(spec))
        )


def metadata(
    models: Models, name: str, number: int | None
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of a model, as both protocols tell them.

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
    """What became of the versions of a model, as both protocols tell it.

    Raises:
        Refusal: If nothing is known of it.
    """
    return get_model_status_pb2.GetModelStatusResponse(
        model_version_status=models.statuses(name, number)
    )


def _number(spec: Any) -> int | None:
    if spec.WhichOneof("version_choice") == "version_label":
        raise Refusal(
            grpc.StatusCode.NOT_FOUND,
            "version_label: labels are TF Serving's; this server knows numbers only.",
        )
    return spec.version.value if spec.HasField("version") else None


def _fill(spec: Any, name: str, number: int, signature: str) -> None:
    spec.name = name
    spec.version.value = number
    spec.signature_name = signature


def _or_abort(context: grpc.ServicerContext, answer: Callable[[], Any]) -> Any:
    try:
        return answer()
    except Refusal as refusal:
        context.abort(refusal.code, refusal.message)
