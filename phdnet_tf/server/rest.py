"""TF Serving's REST API over `Models`."""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from phdnet_tf.server.grpc import SIGNATURE, metadata, status
from phdnet_tf.server.monitoring import Metrics
from phdnet_tf.server.registry import Models, Refusal

HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
}


def make_app(models: Models, metrics: Metrics, max_bytes: int) -> Starlette:
    """The ASGI application.

    Args:
        models: What it serves.
        metrics: Where requests are counted.
        max_bytes: Largest body of a request.
    """

    async def predict(request: Request) -> Response:
        started = time.perf_counter()
        name = request.path_params["model"]
        code = grpc.StatusCode.INTERNAL
        try:
            body = await _body(request, max_bytes)
            answer = await run_in_threadpool(
                _predict, models, name, _version(request), body
            )
            code = grpc.StatusCode.OK
            return Response(answer, media_type="application/json")
        except Refusal as refusal:
            code = refusal.code
            raise
        except ClientDisconnect:
            code = grpc.StatusCode.CANCELLED
            return Response(status_code=499)  # as nginx counts it; nobody reads it
        finally:
            metrics.count(name, "rest", code, time.perf_counter() - started)

    async def model_status(request: Request) -> Response:
        return _message(status(models, request.path_params["model"], _version(request)))

    async def model_metadata(request: Request) -> Response:
        return _message(
            metadata(models, request.path_params["model"], _version(request))
        )

    async def prometheus(request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    routes = [Route("/monitoring/prometheus/metrics", prometheus)]
    # The more special paths first: a model's name takes everything up to a slash.
    for model in (
        "/v1/models/{model}/versions/{version:int}",
        "/v1/models/{model}",
    ):
        routes += [
            Route(f"{model}:predict", predict, methods=["POST"]),
            Route(f"{model}/metadata", model_metadata),
            Route(model, model_status),
        ]
    return Starlette(
        routes=routes,
        exception_handlers={
            Refusal: _refused,
            HTTPException: _no_such_path,
            Exception: _failed,
        },
    )


def _version(request: Request) -> int | None:
    return request.path_params.get("version")


async def _refused(request: Request, refusal: Any) -> Response:
    return JSONResponse({"error": refusal.message}, HTTP[refusal.code])


async def _no_such_path(request: Request, error: Any) -> Response:
    message = f"Malformed request: {request.method} {request.url.path}"
    return JSONResponse({"error": message}, error.status_code, error.headers)


async def _failed(request: Request, error: Any) -> Response:
    return JSONResponse({"error": "Internal error: see the log of the server."}, 500)


async def _body(request: Request, max_bytes: int) -> bytes:
    """The body, of which no more is read than may come."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The request is larger than {max_bytes} bytes. Send fewer images in "
                "one, or images as PNG (signature png).",
            )
        parts.append(part)
    return b"".join(parts)


def _message(message: Any) -> Response:
    text = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return Response(text, media_type="application/json")


def _predict(models: Models, name: str, number: int | None, body: bytes) -> bytes:
    """TF Serving's predict method: JSON in, JSON out."""
    version = models.find(name, number)
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise _invalid("JSON: expected an object.")
    signature = request.get("signature_name", SIGNATURE)
    if not isinstance(signature, str):
        raise _invalid("'signature_name' key must be a string value.")
    signature = signature or SIGNATURE
    if ("inputs" in request) == ("instances" in request):
        raise _invalid("JSON: expected one of the keys 'inputs' and 'instances'.")
    specs = version.inputs(signature)
    rows = "instances" in request
    given = (
        _of_instances(request["instances"], specs)
        if rows
        else _of_inputs(request["inputs"], specs)
    )
    inputs = {
        key: _array(key, value, tf.dtypes.as_dtype(specs[key].dtype))
        for key, value in given.items()
    }
    outputs = models.predict(version, signature, inputs)
    return json.dumps(_rows(outputs) if rows else _columns(outputs)).encode()


def _of_inputs(value: Any, specs: Mapping[str, Any]) -> dict[str, Any]:
    """The column format: every input whole."""
    if not isinstance(value, dict) or _is_base64(value):
        if len(specs) > 1:
            raise _invalid(f"inputs: expected an object with {', '.join(specs)}.")
        return {next(iter(specs)): value}
    missing = specs.keys() - value.keys()
    if missing:
        raise _invalid(f"Missing named input: {', '.join(missing)} in 'inputs' object.")
    return {name: value[name] for name in specs}


def _of_instances(value: Any, specs: Mapping[str, Any]) -> dict[str, Any]:
    """The row format: one object, or the only input's value, for each image."""
    if not isinstance(value, list) or not value:
        raise _invalid("instances: expected a list of one or more.")
    objects = isinstance(value[0], dict) and not _is_base64(value[0])
    if not objects:
        if len(specs) > 1:
            raise _invalid(f"instances: expected objects with {', '.join(specs)}.")
        return {next(iter(specs)): value}
    for number, instance in enumerate(value):
        if not isinstance(instance, dict) or instance.keys() != specs.keys():
            raise _invalid(
                f"instances: expected the keys {', '.join(specs)} in each. Received "
                f"others in number {number}."
            )
    return {name: [instance[name] for instance in value] for name in specs}


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _array(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    try:
        if dtype == tf.string:
            texts = np.array(_strings(value), object)
            # NumPy makes an array of lists of what is ragged.
            if not all(isinstance(text, bytes) for text in texts.flat):
                raise ValueError("received rows that differ in length")
            return texts
        array = np.asarray(value)
    except (ValueError, OverflowError, RecursionError, binascii.Error) as error:
        raise _invalid(f"{name}: expected {dtype.name} values: {error}.") from error
    if array.dtype.kind not in "iuf":
        raise _invalid(
            f"{name}: expected numbers. Received others, or rows that differ in length."
        )
    with np.errstate(over="ignore"):
        return array.astype(dtype.as_numpy_dtype)


def _strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_strings(part) for part in value]
    if isinstance(value, str):
        return value.encode()
    if _is_base64(value) and isinstance(value["b64"], str):
        # As TF Serving does, without line breaks, and with or without padding.
        text = "".join(value["b64"].split()).rstrip("=")
        return base64.b64decode(text + -len(text) % 4 * "=", validate=True)
    raise ValueError("received neither a string nor an object {'b64': ...}")


def _columns(outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in outputs.items()}
    return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}


def _rows(outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in outputs.items()}
    if len(plain) == 1:
        return {"predictions": next(iter(plain.values()))}
    rows = zip(*plain.values(), strict=True)
    return {"predictions": [dict(zip(plain, row, strict=True)) for row in rows]}


def _plain(value: np.ndarray) -> Any:
    if value.dtype == object:
        return [text.decode() for text in value]
    return value.tolist()


def _invalid(message: str) -> Refusal:
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)
