"""The statuses of TF Serving, as its sources have them, and those of the local server.

Where the two differ, both are in the table, and the reason is beside them. Sources are
below `tensorflow_serving/` of github.com/tensorflow/serving.
"""

import gzip
import json

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

IMAGE = np.random.default_rng(0).integers(0, 900, (1, 40, 40))
GOOD = {"image": IMAGE.tolist(), "pixel_spacing": [[1.5, 1.25]]}
BODY = json.dumps({"inputs": GOOD}).encode()
MODEL = "/v1/models/phdnet_sa"
ASK = f"POST {MODEL}:predict"

REGEX = "model_servers/http_rest_api_util.cc: ParseModelInfo"
HANDLER = "model_servers/http_rest_api_handler.cc: ProcessRequest"
SERVER = "util/net_http/server/internal/evhttp_server.cc: DispatchEvRequest"
GUNZIP = "util/net_http/server/internal/evhttp_request.cc: ReadRequestGzipBytes"
JSON = "util/json_tensor.cc: FillPredictRequestFromJson"
MAP = "model_servers/http_rest_api_handler.cc: GetInfoMap"
CORE = "model_servers/server_core.cc: ServableRequestFromModelSpec"
LABEL = "model_servers/server_core.cc: GetModelVersionForLabel"
MANAGER = "core/basic_manager.cc: GetUntypedServableHandle"
STATUS = "model_servers/get_model_status_impl.cc"
METADATA = "servables/tensorflow/get_model_metadata_impl.cc"
PREDICT = "servables/tensorflow/predict_impl.cc: Predict"
RUN = "servables/tensorflow/predict_util.cc: RunPredict"
FILTER = "servables/tensorflow/predict_util.cc: PreProcessPrediction"
SIZE = "servables/tensorflow/predict_util.cc: VerifyRequestInputsSize"


def inputs(**changed):
    return json.dumps({"inputs": {**GOOD, **changed}}).encode()


@pytest.mark.parametrize(
    ("request_line", "body", "headers", "ours", "theirs", "source"),
    [
        (ASK, BODY, {}, 200, 200, HANDLER),
        (f"POST {MODEL}/versions/1:predict", BODY, {}, 200, 200, REGEX),
        ("POST /V1/Models/phdnet_sa:predict", BODY, {}, 200, 200, REGEX),
        ("POST /v1/models/phdnet_sa:Predict", BODY, {}, 400, 400, HANDLER),
        (f"POST {MODEL}:predict?verbose=1", BODY, {}, 400, 400, REGEX),
        # It is taken for a part of the name.
        (f"GET {MODEL}?verbose=1", b"", {}, 404, 404, STATUS),
        (f"GET {MODEL}", b"", {}, 200, 200, HANDLER),
        (f"GET {MODEL}/metadata", b"", {}, 200, 200, HANDLER),
        # The status takes no notice of labels.
        (f"GET {MODEL}/labels/nope", b"", {}, 200, 200, STATUS),
        ("GET /", b"", {}, 404, 404, SERVER),
        ("GET /v2/models/phdnet_sa", b"", {}, 404, 404, SERVER),
        ("GET /v1/x", b"", {}, 400, 400, HANDLER),
        ("GET /v1/models", b"", {}, 400, 400, HANDLER),
        (f"GET {MODEL}:predict", b"", {}, 400, 400, HANDLER),
        (f"GET {MODEL}/", b"", {}, 400, 400, REGEX),
        (f"POST {MODEL}", BODY, {}, 400, 400, HANDLER),
        (f"POST {MODEL}:explain", BODY, {}, 400, 400, REGEX),
        (f"POST {MODEL}:classify", BODY, {}, 400, 400, HANDLER),
        (f"PUT {MODEL}:predict", BODY, {}, 400, 400, HANDLER),
        (f"POST {MODEL}/versions/x:predict", BODY, {}, 400, 400, REGEX),
        (f"POST {MODEL}/versions/{2**63}:predict", BODY, {}, 400, 400, REGEX),
        (f"GET {MODEL}/versions/{2**63}", b"", {}, 400, 400, REGEX),
        (f"GET {MODEL}/versions/{'9' * 5000}", b"", {}, 400, 400, REGEX),
        (f"POST {MODEL}/versions/{2**63 - 1}:predict", BODY, {}, 404, 404, MANAGER),
        (f"GET {MODEL}/versions/9", b"", {}, 404, 404, STATUS),
        (f"GET {MODEL}/versions/9/metadata", b"", {}, 404, 404, MANAGER),
        (f"POST {MODEL}/labels/nope:predict", BODY, {}, 400, 400, LABEL),
        (f"GET {MODEL}/labels/nope/metadata", b"", {}, 400, 400, LABEL),
        ("POST /v1/models/nope:predict", BODY, {}, 404, 404, MANAGER),
        ("POST /v1/models/nope:predict", b"{", {}, 400, 400, JSON),
        ("POST /v1/models/nope:predict", b"{}", {}, 404, 404, JSON),
        ("GET /v1/models/nope", b"", {}, 404, 404, STATUS),
        (ASK, b"", {}, 400, 400, JSON),
        (ASK, b"[]", {}, 400, 400, JSON),
        (ASK, b"{}", {}, 400, 400, JSON),
        (ASK, b'{"signature_name": 3}', {}, 400, 400, JSON),
        (ASK, b'{"signature_name": "x", "instances": [1]}', {}, 400, 400, MAP),
        (ASK, inputs(image=[[[1, 2], [3]]]), {}, 400, 400, JSON),
        (ASK, inputs(image="x"), {}, 400, 400, JSON),
        # TF Serving reads NaN, and the model refuses it.
        (ASK, inputs(image=[[[float("nan")] * 20] * 20]), {}, 400, 400, JSON),
        (ASK, gzip.compress(BODY), {"Content-Encoding": "gzip"}, 200, 200, GUNZIP),
        (ASK, gzip.compress(BODY)[:-9], {"Content-Encoding": "gzip"}, 400, 400, GUNZIP),
        (ASK, BODY, {"Content-Encoding": "gzip"}, 400, 400, GUNZIP),
        # It stops at 100 MB, and takes what it then has for an empty body.
        (
            *(ASK, gzip.compress(b" " * 200_000_000), {"Content-Encoding": "gzip"}),
            *(413, 400, GUNZIP),
        ),
    ],
)
def test_rest(server, request_line, body, headers, ours, theirs, source):
    method, path = request_line.split()

    answer = requests.request(
        method, server.rest + path, data=body, headers=headers, timeout=60
    )

    assert answer.status_code == ours, answer.text
    assert ours == 200 or answer.json().keys() == {"error"}


def tensors(**values):
    return {key: tf.make_tensor_proto(value) for key, value in values.items()}


PROTOS = tensors(image=IMAGE.astype("f4"), pixel_spacing=np.float32([[1.5, 1.25]]))


def asked(name="phdnet_sa", given=PROTOS, **fields):
    request = predict_pb2.PredictRequest(inputs=given, **fields)
    request.model_spec.name = name
    return request


def spec(request, **fields):
    for name, value in {"name": "phdnet_sa", **fields}.items():
        target = request.model_spec
        if name == "version":
            target.version.value = value
        else:
            setattr(target, name, value)
    return request


def metadata(*fields):
    return get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)


DIFFERENT = {**PROTOS, "image": tf.make_tensor_proto(IMAGE.astype("f8"))}
TWICE = ["landmarks", "landmarks"]


@pytest.mark.parametrize(
    ("method", "message", "ours", "theirs", "source"),
    [
        ("Predict", asked(), "OK", "OK", PREDICT),
        ("Predict", asked(output_filter=["landmarks"]), "OK", "OK", FILTER),
        (
            *("Predict", predict_pb2.PredictRequest(inputs=PROTOS)),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", PREDICT),
        ),
        ("Predict", asked(""), "INVALID_ARGUMENT", "INVALID_ARGUMENT", CORE),
        ("Predict", asked("nope"), "NOT_FOUND", "NOT_FOUND", MANAGER),
        ("Predict", spec(asked(), version=9), "NOT_FOUND", "NOT_FOUND", MANAGER),
        ("Predict", spec(asked(), version=-1), "NOT_FOUND", "NOT_FOUND", MANAGER),
        (
            *("Predict", spec(asked(), version_label="x")),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", LABEL),
        ),
        (
            *("Predict", spec(asked(), signature_name="nope")),
            *("FAILED_PRECONDITION", "FAILED_PRECONDITION", RUN),
        ),
        ("Predict", asked(given={}), "INVALID_ARGUMENT", "INVALID_ARGUMENT", SIZE),
        (
            *("Predict", asked(given=DIFFERENT)),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", RUN),
        ),
        (
            *("Predict", asked(output_filter=["nope"])),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", FILTER),
        ),
        (
            *("Predict", asked(output_filter=TWICE)),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", FILTER),
        ),
        ("GetModelMetadata", spec(metadata("signature_def")), "OK", "OK", METADATA),
        (
            *("GetModelMetadata", metadata("signature_def")),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", METADATA),
        ),
        (
            *("GetModelMetadata", spec(metadata())),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", METADATA),
        ),
        (
            *("GetModelMetadata", spec(metadata("nope"))),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", METADATA),
        ),
        (
            *("GetModelStatus", get_model_status_pb2.GetModelStatusRequest()),
            *("INVALID_ARGUMENT", "INVALID_ARGUMENT", STATUS),
        ),
        (
            *("GetModelStatus", spec(get_model_status_pb2.GetModelStatusRequest())),
            *("OK", "OK", STATUS),
        ),
        (
            "GetModelStatus",
            spec(get_model_status_pb2.GetModelStatusRequest(), version=9),
            *("NOT_FOUND", "NOT_FOUND", STATUS),
        ),
        # It knows other kinds of models, and then refuses this one.
        (
            *("Classify", spec(classification_pb2.ClassificationRequest())),
            *(
                "UNIMPLEMENTED",
                "INVALID_ARGUMENT",
                "servables/tensorflow/classifier.cc",
            ),
        ),
    ],
)
def test_grpc(server, method, message, ours, theirs, source):
    service = "Model" if method == "GetModelStatus" else "Prediction"
    with grpc.insecure_channel(server.grpc.removeprefix("grpc://")) as channel:
        call = channel.unary_unary(
            f"/tensorflow.serving.{service}Service/{method}",
            request_serializer=lambda message: message.SerializeToString(),
        )
        try:
            call(message, timeout=60)
            code = "OK"
        except grpc.RpcError as error:
            code = error.code().name
            assert error.details()

    assert code == ours


@pytest.mark.parametrize(
    ("service", "known"), [("", True), ("tensorflow.serving.Nothing", False)]
)
def test_the_standard_health_service_answers(server, service, known):
    with grpc.insecure_channel(server.grpc.removeprefix("grpc://")) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        request = health_pb2.HealthCheckRequest(service=service)
        if known:
            assert check(request, timeout=30).status == 1  # SERVING
        else:
            with pytest.raises(grpc.RpcError) as error:
                check(request, timeout=30)
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
