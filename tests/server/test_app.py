"""The local server, asked by clients that are not ours: curl and generated stubs."""

import asyncio
import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from support.drawn import LANDMARKS, export_anew, exported
from support.weights import install
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from phdnet_tf.export import saved_model
from phdnet_tf.server import json_requests
from phdnet_tf.server.app import Server, ServerConfig
from phdnet_tf.startup import cores

SPACING = [[1.5, 1.25]]


def image(seed=0, shape=(70, 90)):
    return np.random.default_rng(seed).integers(0, 900, shape).astype("u2")


def png(pixels):
    return tf.io.encode_png(pixels[..., None]).numpy()


def expected(folder, pixels):
    outputs = saved_model.load_signatures(folder)["serving_default"](
        image=tf.constant(pixels[None].astype("f4")), pixel_spacing=tf.constant(SPACING)
    )
    return {name: value.numpy() for name, value in outputs.items()}


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(
            np.asarray(found[name], "f4"), value.astype("f4"), atol=1e-4, err_msg=name
        )


def curl(url, body=None, tmp_path=None):
    """Status and answer, by a client that knows neither Python nor TensorFlow."""
    data = []
    if body is not None:
        file = tmp_path / "body.json"
        file.write_text(body if isinstance(body, str) else json.dumps(body))
        data = ["--data-binary", f"@{file}"]
    done = subprocess.run(
        ["curl", "-sS", "-w", "\n%{http_code}", *data, url],
        capture_output=True,
        text=True,
        check=True,
    )
    answer, _, code = done.stdout.rpartition("\n")
    return int(code), json.loads(answer)


def ask(server, inputs, signature="serving_default", name="phdnet_sa", **spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return predict(server, request)


def predict(server, request):
    with grpc.insecure_channel(server.grpc.removeprefix("grpc://")) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return stub.Predict(request, timeout=60)


def test_curl_and_the_generated_stub_get_what_python_gets(server, tmp_path):
    pixels = image()
    wanted = expected(server.folder / "phdnet_sa" / "1", pixels)
    url = f"{server.rest}/v1/models/phdnet_sa:predict"
    floats = {"image": pixels[None].astype("f4"), "pixel_spacing": np.float32(SPACING)}
    encoded = {"b64": base64.b64encode(png(pixels)).decode()}

    code, columns = curl(
        url, {"inputs": {k: v.tolist() for k, v in floats.items()}}, tmp_path
    )
    assert code == 200
    assert_same(columns["outputs"], wanted)

    row = {"image_bytes": encoded, "pixel_spacing": SPACING[0]}
    code, rows = curl(url, {"signature_name": "png", "instances": [row]}, tmp_path)
    assert code == 200
    assert_same({k: [v] for k, v in rows["predictions"][0].items()}, wanted)

    for signature, inputs in (
        ("serving_default", floats),
        ("", floats),
        (
            "png",
            {"image_bytes": [png(pixels)], "pixel_spacing": floats["pixel_spacing"]},
        ),
    ):
        response = ask(server, inputs, signature)
        assert_same(
            {k: tf.make_ndarray(v) for k, v in response.outputs.items()}, wanted
        )
        assert response.model_spec.version.value == 1


def test_the_description_can_be_asked_for(server, tmp_path):
    url = f"{server.rest}/v1/models/phdnet_sa:predict"

    code, answer = curl(
        url,
        {"signature_name": "describe", "instances": ["view", "landmarks"]},
        tmp_path,
    )

    assert code == 200
    assert [json.loads(v) for v in answer["predictions"]] == ["sa", list(LANDMARKS)]


GOOD = {"image": image()[None].tolist(), "pixel_spacing": SPACING}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "JSON Parse error"),
        ("{", "JSON Parse error"),
        ("[" * 100_000, "JSON Parse error"),
        ("[]", "expected an object"),
        ({"inputs": GOOD, "instances": []}, "one of the keys"),
        ({}, "one of the keys"),
        ({"signature_name": 3, "inputs": GOOD}, "must be a string"),
        ({"signature_name": "nope", "inputs": GOOD}, "serving_default"),
        ({"inputs": {"image": GOOD["image"]}}, "pixel_spacing"),
        ({"inputs": [1]}, "expected an object"),
        ({"instances": []}, "one or more"),
        ({"instances": [1]}, "expected objects"),
        ({"instances": [{"image": [[1]]}]}, "expected the keys"),
        ({"inputs": {**GOOD, "image": "x"}}, "expected numbers"),
        ({"inputs": {**GOOD, "image": None}}, "expected numbers"),
        ({"inputs": {**GOOD, "image": [[1, 2], [3]]}}, "image: expected"),
        ({"inputs": {**GOOD, "image": [[1, 2]]}}, r"float32\[-1, -1, -1\]"),
        ({"inputs": {**GOOD, "image": [[[float("nan")] * 20] * 20]}}, "finite"),
        ({"inputs": {**GOOD, "image": [[[1e300] * 20] * 20]}}, "finite"),
        ({"inputs": {**GOOD, "image": [[[1] * 3] * 3]}}, "16 rows"),
        ({"inputs": {**GOOD, "pixel_spacing": [[0, 1]]}}, "mm"),
        ({"inputs": {**GOOD, "pixel_spacing": [[-1, 1]]}}, "mm"),
        (
            {
                "signature_name": "png",
                "instances": [{"image_bytes": {"b64": "%"}, "pixel_spacing": [1, 1]}],
            },
            "image_bytes",
        ),
        (
            {"signature_name": "describe", "inputs": {"field": [["a"], ["a", "b"]]}},
            "field: expected string values: .* differ in length",
        ),
        (
            {
                "signature_name": "png",
                "inputs": {"image_bytes": [["a"], "b"], "pixel_spacing": [[1, 1]]},
            },
            "image_bytes: expected string",
        ),
        (
            {"signature_name": "describe", "inputs": {"field": ["view"] * 33}},
            "32 at most",
        ),
        (
            {
                "signature_name": "png",
                "instances": [{"image_bytes": "junk", "pixel_spacing": [1, 1]}],
            },
            "expected PNG",
        ),
    ],
)
def test_a_malformed_rest_request_is_refused_with_a_sentence(
    server, tmp_path, body, message
):
    url = f"{server.rest}/v1/models/phdnet_sa:predict"

    code, answer = curl(url, body, tmp_path)

    assert code == 400
    assert re.search(message, answer["error"]), answer


@pytest.mark.parametrize(
    ("inputs", "options", "code", "message"),
    [
        (
            {"image": np.ones((1, 40, 40), "f4")},
            {},
            "INVALID_ARGUMENT",
            "pixel_spacing",
        ),
        (
            {"image": np.ones((1, 40, 40)), "pixel_spacing": np.float32(SPACING)},
            {},
            "INVALID_ARGUMENT",
            "float64",
        ),
        ({}, {"name": "nope"}, "NOT_FOUND", "nope"),
        ({}, {"version": 9}, "NOT_FOUND", "Specific"),
        ({}, {"signature": "nope"}, "FAILED_PRECONDITION", "serving_default"),
    ],
)
def test_a_malformed_grpc_request_is_refused_with_a_sentence(
    server, inputs, options, code, message
):
    with pytest.raises(grpc.RpcError) as error:
        ask(server, inputs, **options)

    assert error.value.code().name == code
    assert message in error.value.details()


def test_a_tensor_that_lies_about_its_size_is_refused(server):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "phdnet_sa"
    lie = tf.make_tensor_proto(np.ones((1, 40, 40), "f4"))
    lie.tensor_shape.dim[1].size = 1 << 40
    request.inputs["image"].CopyFrom(lie)
    request.inputs["pixel_spacing"].CopyFrom(tf.make_tensor_proto(np.float32(SPACING)))
    with pytest.raises(grpc.RpcError) as error:
        predict(server, request)

    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("shape", [(1, 60_000, 60_000), (1, -60_000, -60_000)])
def test_a_tensor_that_some_bytes_blow_up_is_refused(server, shape):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "phdnet_sa"
    tensor = request.inputs["image"]
    tensor.dtype = tf.float32.as_datatype_enum
    tensor.float_val.append(1.0)  # which stands for all that are missing
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    request.inputs["pixel_spacing"].CopyFrom(tf.make_tensor_proto(np.float32(SPACING)))
    with pytest.raises(grpc.RpcError) as error:
        predict(server, request)

    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "16777216 values at most. Received: 3600000002" in error.value.details()


def test_base64_may_have_line_breaks_and_lack_its_padding(server, tmp_path):
    encoded = base64.encodebytes(png(image(shape=(64, 64)))).decode()
    rows = [
        {"image_bytes": {"b64": text}, "pixel_spacing": SPACING[0]}
        for text in (encoded, encoded.strip().rstrip("="))
    ]
    url = f"{server.rest}/v1/models/phdnet_sa:predict"

    code, answer = curl(url, {"signature_name": "png", "instances": rows}, tmp_path)

    assert "\n" in encoded.strip() and code == 200
    assert answer["predictions"][0] == answer["predictions"][1]


def test_what_was_not_foreseen_is_an_error_in_json(server, monkeypatch, tmp_path):
    config = ServerConfig(server.folder, rest_port=0, grpc_port=0, poll_seconds=60)
    with Server(config) as broken:
        monkeypatch.setattr(broken.models, "predict", lambda *_: 1 / 0)
        url = f"{broken.rest}/v1/models/phdnet_sa:predict"
        code, answer = curl(url, {"inputs": GOOD}, tmp_path)

    assert code == 500 and "log of the server" in answer["error"]


def test_a_client_that_breaks_an_upload_off_is_no_failure_of_the_server(server, caplog):
    config = ServerConfig(server.folder, rest_port=0, grpc_port=0, poll_seconds=60)
    with Server(config) as running:
        host, port = running.rest.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/models/phdnet_sa:predict HTTP/1.1\r\nHost: h\r\n"
                b"Content-Length: 999\r\n\r\n{"
            )
        metrics = f"{running.rest}/monitoring/prometheus/metrics"
        wait_until(lambda: 'code="CANCELLED"' in requests.get(metrics).text)

    assert "Traceback" not in caplog.text


def test_paths_and_models_that_do_not_exist_are_not_found(server, tmp_path):
    for path in ("/", "/v1/models/nope", "/v1/models/phdnet_sa/versions/9", "/v2/x"):
        code, answer = curl(server.rest + path)
        assert code == 404 and answer["error"]
    assert curl(f"{server.rest}/v1/models/nope:predict", {}, tmp_path)[0] == 404


def test_status_and_metadata_are_those_of_tf_serving(server):
    code, status = curl(f"{server.rest}/v1/models/phdnet_sa")
    assert code == 200
    assert status["model_version_status"] == [
        {
            "version": "1",
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
    ]
    _, answer = curl(f"{server.rest}/v1/models/phdnet_sa/versions/1/metadata")
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["image"]["dtype"] == "DT_FLOAT"
    assert [
        d["size"] for d in signature["inputs"]["pixel_spacing"]["tensor_shape"]["dim"]
    ] == ["-1", "2"]

    with grpc.insecure_channel(server.grpc.removeprefix("grpc://")) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "phdnet_sa"
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
            request
        )
        assert [v.version for v in status.model_version_status] == [1]
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        request.model_spec.name = "phdnet_sa"
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.GetModelMetadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        assert {"serving_default", "png", "explain", "describe"} < set(
            signatures.signature_def
        )


def test_answers_on_a_kept_connection_are_not_held_back(server):
    url = f"{server.rest}/v1/models/phdnet_sa"
    times = []
    with requests.Session() as session:
        for _ in range(20):
            started = time.perf_counter()
            session.get(url)
            times.append(time.perf_counter() - started)

    # The system waits 40 ms for more to send, unless it is told not to; the quickest
    # answer says whether it does, however busy the machine is.
    assert min(times) < 0.03


def test_prometheus_can_read_what_was_asked(server):
    def value(code):
        text = requests.get(f"{server.rest}/monitoring/prometheus/metrics").text
        assert 'phdnet_model_version{model="phdnet_sa"} 1.0' in text
        labels = f'{{code="{code}",model="phdnet_sa",protocol="grpc"}}'
        found = re.search(rf"phdnet_requests_total{re.escape(labels)} (\S+)", text)
        return float(found[1]) if found else 0

    before = value("OK"), value("INVALID_ARGUMENT")
    ask(server, {"field": [b"view"]}, "describe")
    with pytest.raises(grpc.RpcError):
        ask(server, {"field": [b"nope"]}, "describe")

    assert (value("OK"), value("INVALID_ARGUMENT")) == (before[0] + 1, before[1] + 1)


def test_a_request_that_is_too_large_is_refused(tmp_path, server):
    config = ServerConfig(
        server.folder, rest_port=0, grpc_port=0, poll_seconds=60, max_bytes=10_000
    )
    with Server(config) as small:
        code, answer = curl(
            f"{small.rest}/v1/models/phdnet_sa:predict", {"inputs": GOOD}, tmp_path
        )
        assert code == 413 and "10000 bytes" in answer["error"]
        with pytest.raises(grpc.RpcError) as error:
            ask(small, {"image": np.ones((1, 99, 99), "f4")})
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_ports_that_are_taken_and_folders_without_models_are_refused(server, tmp_path):
    port = int(server.rest.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="--rest-port"):
        Server(ServerConfig(server.folder, rest_port=port, grpc_port=0)).__enter__()
    port = int(server.grpc.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="--grpc-port"):
        Server(ServerConfig(server.folder, rest_port=0, grpc_port=port)).__enter__()
    with pytest.raises(ValueError, match="phdnet-tf train"):
        Server(ServerConfig(tmp_path, rest_port=0, grpc_port=0)).__enter__()
    neither = tmp_path / "certificate.pem"
    neither.write_text("no certificate")
    config = ServerConfig(server.folder, "127.0.0.1", 0, 0, certificate=(neither,) * 2)
    with pytest.raises(OSError, match="expected a certificate and its private key"):
        Server(config).__enter__()


def served_version(server):
    return server.models.served()["phdnet_sa"]


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def test_a_version_is_served_when_it_is_complete_and_not_before(
    server, tmp_path, caplog
):
    models = tmp_path / "models"
    first = models / "phdnet_sa" / "1"
    shutil.copytree(server.folder / "phdnet_sa" / "1", first)
    complete = exported(tmp_path / "elsewhere", thresholds=(9e9, 9e9))
    config = ServerConfig(models, rest_port=0, grpc_port=0, poll_seconds=0.1)
    with Server(config) as running:
        # File by file, the checksums first: the hardest order.
        target = models / "phdnet_sa" / "2"
        files = sorted(f for f in complete.rglob("*") if f.is_file())
        for file in files:
            copy = target / file.relative_to(complete)
            copy.parent.mkdir(parents=True, exist_ok=True)
            data = file.read_bytes()
            copy.write_bytes(data[: len(data) // 2])
            time.sleep(0.25)
            assert served_version(running) == 1
            ask(running, {"field": [b"view"]}, "describe", version=1)
            copy.write_bytes(data)
        wait_until(lambda: served_version(running) == 2)
        pixels = image()
        response = ask(
            running,
            {"image": pixels[None].astype("f4"), "pixel_spacing": np.float32(SPACING)},
        )
        assert response.model_spec.version.value == 2
        assert not tf.make_ndarray(response.outputs["high_confidence"]).any()

        # A corrupt one is refused and named, once, and the old one goes on.
        corrupt = tmp_path / "corrupt"
        shutil.copytree(complete, corrupt)
        weights = next(corrupt.glob("variables/*.data*"))
        weights.write_bytes(weights.read_bytes()[:-9] + b"corrupted")
        # At once: a version that grows is refused for more than one reason.
        corrupt = corrupt.rename(models / "phdnet_sa" / "3")
        wait_until(lambda: "phdnet_sa/3 is not served" in caplog.text)
        time.sleep(0.5)
        named = [r for r in caplog.records if "phdnet_sa/3 is not" in r.getMessage()]
        assert len(named) == 1 and "variables.data" in named[0].getMessage()
        assert served_version(running) == 2
        states = curl(f"{running.rest}/v1/models/phdnet_sa")[1]["model_version_status"]
        assert [(s["version"], s["state"]) for s in states] == [
            ("3", "END"),
            ("2", "AVAILABLE"),
            ("1", "END"),
        ]
        assert states[0]["status"]["error_code"] == "FAILED_PRECONDITION"

        # Taking the newest away goes back to the one before.
        shutil.rmtree(corrupt)
        shutil.rmtree(target)
        wait_until(lambda: served_version(running) == 1)


def test_a_request_that_a_new_version_overtakes_is_answered(
    server, tmp_path, monkeypatch
):
    """In the worst moment: the version was found, and its inputs are being read."""
    models = tmp_path / "models"
    shutil.copytree(server.folder, models)
    config = ServerConfig(models, rest_port=0, grpc_port=0, poll_seconds=60)
    with Server(config) as running:
        read = json_requests._array

        def read_late(*arguments):
            number = served_version(running)
            source = models / "phdnet_sa" / str(number)
            shutil.copytree(source, source.with_name(str(number + 1)))
            running.models.poll()
            return read(*arguments)

        monkeypatch.setattr(json_requests, "_array", read_late)
        url = f"{running.rest}/v1/models/phdnet_sa:predict"

        assert curl(url, {"inputs": GOOD}, tmp_path)[0] == 200
        assert served_version(running) > 1


def test_a_version_that_was_made_readable_is_tried_again(server, tmp_path, monkeypatch):
    models = tmp_path / "models"
    shutil.copytree(server.folder, models)
    second = models / "phdnet_sa" / "2"
    shutil.copytree(models / "phdnet_sa" / "1", second)
    description = second / "phdnet.json"
    description.chmod(0)
    complete = saved_model.require_complete

    def require_complete(folder):
        # Who runs the tests as root may read everything.
        if folder == second and not description.stat().st_mode & 0o400:
            raise PermissionError("Permission denied")
        complete(folder)

    monkeypatch.setattr(saved_model, "require_complete", require_complete)
    config = ServerConfig(models, rest_port=0, grpc_port=0, poll_seconds=60)
    with Server(config) as running:
        assert served_version(running) == 1
        description.chmod(0o644)
        running.models.poll()

        assert served_version(running) == 2


def test_another_model_under_the_same_number_is_served(server, tmp_path, caplog):
    folder = tmp_path / "models" / "phdnet_sa"
    shutil.copytree(server.folder / "phdnet_sa", folder)
    config = ServerConfig(folder.parent, rest_port=0, grpc_port=0, poll_seconds=60)
    other = export_anew(tmp_path / "others", strategy="weighted")
    with Server(config) as running:
        first = running.models.find("phdnet_sa", 1)
        running.models.poll()
        assert running.models.find("phdnet_sa", 1) is first

        # Taken away, as by `rm -r` or with a network: told once, and served on.
        away = folder.rename(tmp_path / "away")
        for _ in range(2):
            running.models.poll()
        assert running.models.find("phdnet_sa", 1) is first
        assert caplog.text.count("phdnet_sa/1 stays in service, but") == 1

        # Half of a copy is refused, and the first is served on.
        folder.mkdir()
        shutil.copytree(other, folder / "1")
        description = (folder / "1" / "phdnet.json").read_bytes()
        (folder / "1" / "phdnet.json").write_bytes(description[:99])
        running.models.poll()
        assert running.models.find("phdnet_sa", 1) is first
        assert "phdnet_sa/1 is not served" in caplog.text
        assert "What was loaded before stays in service." in caplog.text
        assert [s.state for s in running.models.statuses("phdnet_sa", 1)] == [30]

        (folder / "1" / "phdnet.json").write_bytes(description)
        running.models.poll()
        second = running.models.find("phdnet_sa", 1)
        assert second.content == (other / "SHA256SUMS").read_text() != first.content
        assert away.is_dir()


def test_polling_goes_on_after_an_error(server, monkeypatch, caplog):
    config = ServerConfig(server.folder, rest_port=0, grpc_port=0, poll_seconds=0.05)
    with Server(config) as running:
        polls = []

        def poll():
            polls.append(1)
            raise ValueError("nobody thought of this")

        monkeypatch.setattr(running.models, "poll", poll)
        wait_until(lambda: len(polls) > 2)

    assert "nobody thought of this" in caplog.text


def test_cores_are_counted_where_the_system_does_not_tell_which(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")

    assert cores() == os.cpu_count()


def test_mixed_requests_at_once_are_each_answered_as_they_deserve(server):
    """A short form of `benchmarks/speed/serving.py --soak`."""
    pixels = [image(seed, shape) for seed, shape in enumerate([(64, 64), (70, 90)] * 4)]
    folder = server.folder / "phdnet_sa" / "1"
    wanted = [expected(folder, p)["landmarks"] for p in pixels]
    url = f"{server.rest}/v1/models/phdnet_sa:predict"

    def one(number):
        index = number % len(pixels)
        bad = number % 9 == 8  # odd and even, and so by both protocols
        spacing = [[0.0, 1.0]] if bad else SPACING
        if number % 2:
            encoded = base64.b64encode(png(pixels[index])).decode()
            row = {"image_bytes": {"b64": encoded}, "pixel_spacing": spacing[0]}
            body = {"signature_name": "png", "instances": [row]}
            answer = requests.post(url, json=body, timeout=60)
            if bad:
                return answer.status_code == 400
            found = answer.json()["predictions"][0]["landmarks"]
        else:
            inputs = {
                "image": pixels[index][None].astype("f4"),
                "pixel_spacing": np.float32(spacing),
            }
            try:
                response = ask(server, inputs)
            except grpc.RpcError as error:
                return bad and error.code() == grpc.StatusCode.INVALID_ARGUMENT
            found = tf.make_ndarray(response.outputs["landmarks"])[0]
        return not bad and np.allclose(found, wanted[index][0], atol=1e-3)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(60)))


def test_requests_in_progress_are_answered_before_it_stops(server, monkeypatch):
    arrived = threading.Semaphore(0)
    config = ServerConfig(server.folder, rest_port=0, grpc_port=0, poll_seconds=60)
    with Server(config) as running, ThreadPoolExecutor(2) as pool:
        answer = running.models.predict

        async def slowly(*arguments):
            arrived.release()
            await asyncio.sleep(1)
            return await answer(*arguments)

        monkeypatch.setattr(running.models, "predict", slowly)
        url = f"{running.rest}/v1/models/phdnet_sa:predict"
        rest = pool.submit(requests.post, url, json={"inputs": GOOD}, timeout=60)
        described = pool.submit(ask, running, {"field": [b"view"]}, "describe")
        assert arrived.acquire(timeout=30) and arrived.acquire(timeout=30)
        running.__exit__(None, None, None)

        assert rest.result().status_code == 200
        assert described.result().outputs["value"].string_val == [b'"sa"']


def start(models):
    """`phdnet-tf serve` in a process of its own, and the addresses it prints."""
    process = subprocess.Popen(
        [Path(sys.executable).with_name("phdnet-tf"), "serve", "--models", models]
        + ["--rest-port", "0", "--grpc-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = [process.stdout.readline() for _ in range(2)]
    return process, [line.split()[1] for line in lines]


def test_it_comes_back_after_a_kill_and_ends_in_peace_when_asked(server):
    process, _ = start(server.folder)
    process.kill()
    process.communicate()

    process, (rest, _) = start(server.folder)
    answer = requests.post(
        f"{rest}/v1/models/phdnet_sa:predict", json={"inputs": GOOD}, timeout=60
    )
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=30)

    assert answer.status_code == 200
    assert process.returncode == 0 and "Traceback" not in errors


def test_the_command_refuses_a_folder_without_models_in_one_line(tmp_path):
    from click.testing import CliRunner

    from phdnet_tf.cli import main

    result = CliRunner().invoke(main, ["serve", "--models", str(tmp_path)])

    assert result.exit_code == 1 and "phdnet-tf train" in result.output


def test_installed_weights_can_be_served_where_they_are_copied(tmp_path, monkeypatch):
    version = tmp_path / "phdnet_sa" / "1"
    version.mkdir(parents=True)
    (version / "phdnet.json").write_text('{"view": "sa", "landmarks": ["apex"]}')
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    source = install(tmp_path / "site", version)
    models = tmp_path / "models"

    with pytest.raises(ValueError) as error:
        Server(ServerConfig(models, rest_port=0, grpc_port=0)).__enter__()

    assert str(error.value).endswith(
        f" Or copy installed weights: {source} to {models}/phdnet_sa/1."
    )


def test_without_the_extra_the_command_says_what_to_install(monkeypatch, server):
    from click.testing import CliRunner

    from phdnet_tf.cli import main

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "phdnet_tf.server.app")

    result = CliRunner().invoke(main, ["serve", "--models", str(server.folder)])

    assert result.exit_code == 1 and "pip install 'phdnet-tf[serve]'" in result.output
