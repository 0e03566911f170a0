"""TF Serving's REST API over `Models`."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf import json_format
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from phdnet_tf.server import json_requests
from phdnet_tf.server.admission import Admission, Visit
from phdnet_tf.server.config import ServerConfig
from phdnet_tf.server.grpc import metadata, status, unknown_label
from phdnet_tf.server.monitoring import Metrics
from phdnet_tf.server.refusal import (
    Refusal,
    invalid,
    require_token,
    too_large,
    unexpected,
)
from phdnet_tf.server.registry import Models

METRICS = "/monitoring/prometheus/metrics"

# TF Serving's own, of http_rest_api_util.cc.
VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
ASK = re.compile(
    rf"/v1/models/(?P<model>[^/:]+){VERSION}:(?P<method>classify|regress|predict)", re.I
)
TELL = re.compile(
    rf"/v1/models(?:/(?P<model>[^/:]+))?{VERSION}(?:/(?P<metadata>metadata))?", re.I
)


def make_app(
    config: ServerConfig,
    token: str | None,
    models: Models,
    metrics: Metrics,
    admission: Admission,
) -> ASGIApp:
    """The ASGI application.

    Args:
        config: The server's settings.
        token: Token that a request must send. None requires no token.
        models: The served models.
        metrics: Counts predict requests; Prometheus reads it.
        admission: Admits requests.
    """

    async def predict(request: Request, model: str, version: int | None) -> Response:
        started = time.perf_counter()
        code = grpc.StatusCode.INTERNAL
        try:
            async with admission.visit(config.seconds) as visit:
                body = await _body(request, visit)
                answer = await _while_there(request, _answer(body, model, version))
            code = grpc.StatusCode.OK
            return Response(answer, media_type="application/json")
        except Refusal as refusal:
            code = refusal.code
            raise
        except (ClientDisconnect, asyncio.CancelledError):
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            metrics.count(model, "rest", code, time.perf_counter() - started)

    async def _body(request: Request, visit: Visit) -> bytes:
        """Reads the body, up to the allowed size."""
        zipped = "gzip" in request.headers.get("content-encoding", "")
        parts, values = [], 0
        async for part in request.stream():
            admission.hold(visit, len(part))
            if visit.size > config.max_bytes:
                raise too_large(config.max_bytes)
            # Numbers that are too many need not be kept until they are all there.
            values += 0 if zipped else json_requests.values_of(part)
            if values > config.max_bytes // json_requests.BYTES_A_VALUE:
                raise json_requests.too_many(config.max_bytes)
            parts.append(part)
        body = b"".join(parts)
        if zipped:
            body = await admission.read(
                lambda body: json_requests.inflate(body, config.max_bytes),
                body,
                grows=True,
            )
            admission.hold(visit, len(body))
        return body

    async def _answer(body: bytes, model: str, version: int | None) -> bytes:
        asked = await admission.read(
            lambda body: json_requests.read(
                body, models, model, version, config.max_bytes
            ),
            body,
        )
        outputs = await models.predict(asked.version, asked.signature, asked.inputs)
        return await asyncio.to_thread(json_requests.answer, outputs, asked.rows)

    async def answer(request: Request) -> Response:
        require_token(token, request.headers.get("authorization", ""))
        path = request.scope["raw_path"].decode("ascii", "replace")
        if query := request.scope["query_string"]:
            path += f"?{query.decode('ascii', 'replace')}"
        if request.method == "GET" and path == METRICS:
            return Response(metrics.text(), media_type="text/plain; version=0.0.4")
        if not path.lower().startswith("/v1/"):
            raise Refusal(
                grpc.StatusCode.NOT_FOUND, f"Not found: {request.method} {path}"
            )
        pattern = {"POST": ASK, "GET": TELL}.get(request.method)
        found = pattern.fullmatch(path) if pattern else None
        if not found:
            raise invalid(f"Malformed request: {request.method} {path}")
        named = found.groupdict()
        if named["model"] is None:
            raise invalid("Missing model name in request.")
        model, version = unquote(named["model"]), _number(named["version"])
        tells_status = "method" not in named and not named["metadata"]
        if named["label"] and not tells_status:
            raise unknown_label(unquote(named["label"]))
        if "method" not in named:
            tell = status if tells_status else metadata
            return _message(tell(models, model, version))
        if named["method"] != "predict":
            raise invalid(f"Expected the method predict. Received: {named['method']}.")
        return await predict(request, model, version)

    return _answered(answer)


def _answered(answer: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    """Wraps a handler so that every request is answered with JSON, even on errors."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await answer(request)
        except Refusal as refusal:
            response = _refused(refusal)
        except ClientDisconnect:
            response = Response(status_code=499)  # as nginx has it; nobody reads it
        except Exception as error:
            response = _refused(unexpected(error))
        await response(scope, receive, send)

    return app


def _refused(refusal: Refusal) -> Response:
    asks = {"WWW-Authenticate": "Bearer"} if refusal.http == 401 else None
    return JSONResponse({"error": refusal.message}, refusal.http, asks)


async def _while_there(request: Request, work: Coroutine[Any, Any, bytes]) -> bytes:
    """The result of the work. It is cancelled, or not started, if the client leaves."""
    working = asyncio.ensure_future(work)
    # If it fails just as the client leaves, that is nobody's to hear.
    working.add_done_callback(lambda done: done.cancelled() or done.exception())
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        # An error knows this frame, and the task knows the error: what was read of a
        # refused request, up to 100 MB, would last until Python looks for cycles.
        del working, leaving


def _number(digits: str | None) -> int | None:
    if digits is None:
        return None
    # What a signed integer of 64 bits holds, as TF Serving's.
    if len(digits) > 4000 or int(digits) >= 2**63:
        raise invalid(f"Failed to convert version: {digits[:40]} to numeric.")
    return int(digits)


def _message(message: Any) -> Response:
    text = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return Response(text, media_type="application/json")
