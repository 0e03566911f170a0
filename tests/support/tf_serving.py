"""A stand-in for TF Serving, in what it does otherwise than `phdnet-tf serve`.

It follows TF Serving's `get_model_status_impl.cc`, `get_model_metadata_impl.cc`,
`http_rest_api_util.cc` and `server_core.cc`: several versions are in service, the
status takes no notice of labels, the metadata tells which version a label is at, a
label that nobody knows is a malformed request, and a failed assertion is wrapped.
"""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

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

from phdnet_tf.export import saved_model

CODES = {400: grpc.StatusCode.INVALID_ARGUMENT, 404: grpc.StatusCode.NOT_FOUND}


class Refused(Exception):
    """Status and message."""


class TFServing:
    """One model in two versions, which are the same but for the number."""

    def __init__(self, folder):
        self._signatures = saved_model.load_signatures(folder)
        self.versions = [1, 2]
        self.labels = {"stable": 1, "canary": 2}
        self.left_out = ()

    def version(self, number, label):
        if label and label not in self.labels:
            raise Refused(400, f"Unrecognized servable version label: {label}")
        return self.labels[label] if label else number or max(self.versions)

    def status(self, name, number):
        found = [v for v in self.versions if number in (None, v)]
        if name != "phdnet_sa" or not found:
            raise Refused(404, f"Could not find any versions of model {name}")
        return found

    def predict(self, signature, inputs):
        if "pixel_spacing" in inputs and np.min(inputs["pixel_spacing"]) <= 0:
            raise Refused(
                400,
                "assertion failed: [pixel_spacing: expected mm. Received:] [0 1]\n"
                "\t [[{{node Assert_2/AssertGuard/Assert}}]]",
            )
        outputs = self._signatures[signature](
            **{name: tf.constant(value) for name, value in inputs.items()}
        )
        return {k: v.numpy() for k, v in outputs.items() if k not in self.left_out}


def _grpc(tf_serving):
    def answering(answer):
        def method(self, request, context):
            try:
                return answer(request, request.model_spec)
            except Refused as refused:
                context.abort(CODES[refused.args[0]], refused.args[1])

        return method

    def version(spec):
        return tf_serving.version(spec.version.value, spec.version_label)

    def status(request, spec):
        number = spec.version.value if spec.HasField("version") else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for found in tf_serving.status(spec.name, number):
            response.model_version_status.add(version=found, state=30)
        return response

    def metadata(request, spec):
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version(spec)
        return response

    def predict(request, spec):
        response = predict_pb2.PredictResponse()
        inputs = {name: tf.make_ndarray(v) for name, v in request.inputs.items()}
        for name, value in tf_serving.predict(spec.signature_name, inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    prediction = prediction_service_pb2_grpc.PredictionServiceServicer
    model = model_service_pb2_grpc.ModelServiceServicer
    server = grpc.server(ThreadPoolExecutor(4))
    methods = {"Predict": answering(predict), "GetModelMetadata": answering(metadata)}
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        type("Prediction", (prediction,), methods)(), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        type("Model", (model,), {"GetModelStatus": answering(status)})(), server
    )
    return server


def _rest(tf_serving):
    path = re.compile(
        r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata|:predict)?"
    )

    class Handler(BaseHTTPRequestHandler):
        def told(self):
            name, number, label, kind = path.fullmatch(self.path).groups()
            number = int(number) if number else None
            if kind:
                version = tf_serving.version(number, label)
                return {"model_spec": {"name": name, "version": str(version)}}
            found = tf_serving.status(name, number)
            status = [{"version": str(v), "state": "AVAILABLE"} for v in found]
            return {"model_version_status": status}

        def predicted(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            inputs = {name: self.decoded(v) for name, v in body["inputs"].items()}
            outputs = tf_serving.predict(body["signature_name"], inputs)
            plain = {
                name: [v.decode() for v in value]
                if value.dtype == object
                else value.tolist()
                for name, value in outputs.items()
            }
            return {"outputs": plain if len(plain) > 1 else next(iter(plain.values()))}

        @staticmethod
        def decoded(value):
            if isinstance(value[0], dict):
                return np.array([base64.b64decode(v["b64"]) for v in value], object)
            return np.array(value, "f4")

        def answer(self, found):
            try:
                status, content = 200, found()
            except Refused as refused:
                status, content = refused.args[0], {"error": refused.args[1]}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def do_GET(self):
            self.answer(self.told)

        def do_POST(self):
            self.answer(self.predicted)

        def log_message(self, *arguments):
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@contextmanager
def running(folder):
    """Both protocols for the time of a block, over a `model` that may be changed."""
    tf_serving = TFServing(folder)
    grpc_server, rest_server = _grpc(tf_serving), _rest(tf_serving)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    Thread(target=rest_server.serve_forever, daemon=True).start()
    try:
        yield SimpleNamespace(
            grpc=f"grpc://127.0.0.1:{port}",
            rest=f"http://127.0.0.1:{rest_server.server_port}",
            model=tf_serving,
        )
    finally:
        rest_server.shutdown()
        rest_server.server_close()
        grpc_server.stop(None)
