"""Clients that are slow, that leave, and that want too much."""

import asyncio
import gc
import gzip
import json
import re
import socket
import ssl
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import grpc
import numpy as np
import pytest
import requests
import tensorflow as tf
from support.certificates import certificate
from tensorflow_serving.apis import predict_pb2

from phdnet_tf.server import app, connections, json_requests
from phdnet_tf.server.admission import MOST_INCOMING, Admission
from phdnet_tf.server.app import Server, ServerConfig
from phdnet_tf.server.refusal import Refusal, invalid

IMAGE = np.random.default_rng(0).integers(0, 900, (1, 40, 40))
GOOD = {"image": IMAGE.tolist(), "pixel_spacing": [[1.5, 1.25]]}
PATH = "/v1/models/phdnet_sa"
HEAD = f"POST {PATH}:predict HTTP/1.1\r\nHost: h\r\nContent-Length: "


@contextmanager
def serving(server, **options):
    """A server of its own, so that nobody else is on it."""
    config = ServerConfig(
        *(server.folder, "127.0.0.1", 0, 0), poll_seconds=60, **options
    )
    with Server(config) as running:
        yield running


def connect(server, source=None):
    host, port = server.rest.split("//")[1].split(":")
    return socket.create_connection((host, int(port)), 30, source)


def half_open(stack, server, count, sent=b"GET /v1/mod", source=None):
    """Connections on which a request is begun and not ended."""
    opened = [stack.enter_context(connect(server, source)) for _ in range(count)]
    for connection in opened:
        connection.sendall(sent)
    return opened


def receive(connection, wanted):
    """Reads until that comes."""
    received = b""
    while wanted not in received:
        part = connection.recv(10_000)
        assert part, received
        received += part


def is_closed(connection):
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def metrics(server):
    url = f"{server.rest}/monitoring/prometheus/metrics"
    text = requests.get(url, timeout=30).text
    found = re.findall(r'^phdnet_requests_total{code="(\w+)".* (\S+)$', text, re.M)
    found += re.findall(
        r'^phdnet_connections_closed_total{reason="(\w+)"} (\S+)$', text, re.M
    )
    return {name: sum(float(v) for n, v in found if n == name) for name, _ in found}


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


@contextmanager
def held_up(server, monkeypatch):
    """The graph waits until the block's event is set; the list is of its calls."""
    go, calls = threading.Event(), []
    version = server.models.find("phdnet_sa", None)
    run = version.run

    def slowly(signature, inputs):
        calls.append(len(next(iter(inputs.values()))))
        assert go.wait(60)
        return run(signature, inputs)

    monkeypatch.setattr(version, "run", slowly)
    try:
        yield go, calls
    finally:
        go.set()


def post(server, body=GOOD, **options):
    data = body if isinstance(body, bytes) else json.dumps({"inputs": body})
    return requests.post(
        f"{server.rest}{PATH}:predict", data=data, timeout=60, **options
    )


def call(server, timeout=60, image=IMAGE):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "phdnet_sa"
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(image.astype("f4")))
    spacing = np.full((len(image), 2), 1.5, "f4")
    request.inputs["pixel_spacing"].CopyFrom(tf.make_tensor_proto(spacing))
    options = [("grpc.enable_retries", 0)]
    address = server.grpc.removeprefix("grpc://")
    with grpc.insecure_channel(address, options) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        return predict(request.SerializeToString(), timeout=timeout)


def test_a_place_is_had_from_whoever_waited_longest_for_nothing(
    server, monkeypatch, caplog
):
    monkeypatch.setattr(app, "most_connections", lambda: 20)
    with serving(server) as small, ExitStack() as stack:
        url = small.rest + PATH
        opened = half_open(stack, small, 60)
        for _ in range(3):
            assert requests.get(url, timeout=30).status_code == 200
        assert all(is_closed(each) for each in opened[:40])
        assert metrics(small)["full"] >= 40
        opened[-1].sendall(b"els/phdnet_sa HTTP/1.1\r\nHost: h\r\n\r\n")
        receive(opened[-1], b"AVAILABLE")

    assert not caplog.records


def test_who_has_many_connections_takes_no_place_of_others(server, monkeypatch):
    monkeypatch.setattr(app, "most_connections", lambda: 20)
    with serving(server) as small, ExitStack() as stack:
        [first] = half_open(stack, small, 1)
        many = half_open(stack, small, 60, source=("127.0.0.2", 0))
        assert all(is_closed(each) for each in many[:41])
        first.sendall(b"els/phdnet_sa HTTP/1.1\r\nHost: h\r\n\r\n")
        receive(first, b"AVAILABLE")


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /v1/mod", HEAD.encode() + b"9\r\n\r\n{"],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_request_that_does_not_come_ends_its_connection(server, monkeypatch, sent):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.5)
    with serving(server) as running, connect(running) as connection:
        started = time.monotonic()
        connection.sendall(sent)

        assert is_closed(connection)
        assert 0.3 < time.monotonic() - started < 10
        assert metrics(running)["slow"] == 1


def test_a_byte_now_and_then_does_not_keep_a_connection(server, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.7)
    with serving(server) as running, connect(running) as connection:
        started = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < started + 20:
                connection.sendall(b"G")
                time.sleep(0.1)

    assert time.monotonic() - started < 10


def test_a_body_that_comes_too_late_is_told_so(server):
    with serving(server, seconds=0.5) as running, connect(running) as connection:
        connection.sendall(HEAD.encode() + b"99\r\n\r\n{")

        assert connection.recv(10_000).startswith(b"HTTP/1.1 504")
        assert metrics(running)["DEADLINE_EXCEEDED"] == 1


def test_a_handshake_that_does_not_come_takes_no_place(
    server, monkeypatch, tmp_path, caplog
):
    pair = certificate(tmp_path)
    monkeypatch.setattr(app, "most_connections", lambda: 5)
    trusting = ssl.create_default_context(cafile=pair[0])
    with serving(server, certificate=pair) as secure, ExitStack() as stack:
        opened = half_open(stack, secure, 20, b"\x16\x03")
        plain = stack.enter_context(connect(secure))
        with trusting.wrap_socket(plain, server_hostname="localhost") as encrypted:
            encrypted.sendall(f"GET {PATH} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            receive(encrypted, b"AVAILABLE")
        assert all(is_closed(each) for each in opened[:15])

    assert not caplog.records


@pytest.mark.parametrize("says", ["nothing", "half a handshake", "a whole handshake"])
def test_who_opens_tls_and_says_nothing_is_dropped(
    server, monkeypatch, tmp_path, says, caplog
):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.7)
    pair = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=pair[0])
    with serving(server, certificate=pair) as secure, connect(secure) as connection:
        started = time.monotonic()
        if says == "half a handshake":
            connection.sendall(b"\x16\x03")
        elif says == "a whole handshake":
            connection = trusting.wrap_socket(connection, server_hostname="localhost")

        assert is_closed(connection)
        assert 0.5 < time.monotonic() - started < 10
        connection.close()

    assert not caplog.records


def test_who_leaves_before_his_turn_costs_nothing_and_is_not_counted_as_answered(
    server, monkeypatch
):
    body = json.dumps({"inputs": GOOD}).encode()
    with serving(server) as running, held_up(running, monkeypatch) as (go, calls):
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(post, running)
            wait_until(lambda: calls)
            for _ in range(40):
                with connect(running) as leaving:
                    head = f"{HEAD}{len(body)}\r\n\r\n".encode()
                    leaving.sendall(head + body)
                    wait_until(lambda: running.models._batches._waiting)
                wait_until(lambda: not running.models._batches._waiting)
            wait_until(lambda: metrics(running).get("CANCELLED") == 40)
            go.set()
            assert first.result().status_code == 200

        assert calls == [1]
        assert metrics(running)["OK"] == 1


def test_an_answer_that_would_come_too_late_is_not_begun(server, monkeypatch):
    with serving(server, seconds=1) as running:
        with (
            held_up(running, monkeypatch) as (go, calls),
            ThreadPoolExecutor(2) as pool,
        ):
            first = pool.submit(post, running)
            wait_until(lambda: calls)
            late = post(running)
            with pytest.raises(grpc.RpcError) as error:
                call(running, timeout=0.5)
            go.set()

        assert late.status_code == 504 and "Try again" in late.json()["error"]
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert first.result().status_code in (200, 504)
        assert calls == [1]
        wait_until(lambda: metrics(running)["DEADLINE_EXCEEDED"] >= 2)


def test_a_full_queue_says_so_by_both_protocols(server, monkeypatch):
    with serving(server) as running, held_up(running, monkeypatch) as (go, calls):
        monkeypatch.setattr(running.models._batches, "_most_waiting", 1)
        with ThreadPoolExecutor(2) as pool:
            answered = [pool.submit(post, running)]
            wait_until(lambda: calls)
            answered.append(pool.submit(post, running))
            wait_until(lambda: running.models._batches._waiting)
            refused = post(running)
            with pytest.raises(grpc.RpcError) as error:
                call(running)
            go.set()
            assert [a.result().status_code for a in answered] == [200, 200]

    assert refused.status_code == 503 and "busy" in refused.json()["error"]
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_messages_of_grpc_that_do_not_come_keep_nobody_out(server):
    never = threading.Event()

    def nothing():
        never.wait(60)
        yield b""

    with serving(server, seconds=20) as running, ExitStack() as stack:
        address = running.grpc.removeprefix("grpc://")
        channel = stack.enter_context(grpc.insecure_channel(address))
        predict = channel.stream_unary("/tensorflow.serving.PredictionService/Predict")
        slow = [predict.future(nothing()) for _ in range(MOST_INCOMING + 8)]
        wait_until(lambda: sum(each.done() for each in slow) >= 8)
        assert call(running)
        never.set()

    assert slow[0].code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_message_of_grpc_that_is_late_is_told_so(server):
    def late():
        time.sleep(1.5)
        yield b""

    with serving(server, seconds=0.3) as running:
        address = running.grpc.removeprefix("grpc://")
        with grpc.insecure_channel(address) as channel:
            predict = channel.stream_unary(
                "/tensorflow.serving.PredictionService/Predict"
            )
            with pytest.raises(grpc.RpcError) as error:
                predict(late(), timeout=30)

    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b" " * 300_000, {}),
        (gzip.compress(b" " * 300_000), {"Content-Encoding": "gzip"}),
        (b'{"inputs": {"image": [' + b"1," * 30_000 + b"1]}}", {}),
        (b'{"inputs": [' + b"[]," * 30_000 + b"[]]}", {}),
        (b'{"inputs": [' + b"{}," * 30_000 + b"{}]}", {}),
    ],
    ids=["bytes", "gzip", "numbers", "lists", "objects"],
)
def test_a_request_of_too_much_is_refused(server, body, headers):
    with serving(server, max_bytes=250_000) as running:
        refused = post(running, body, headers=headers)

    assert refused.status_code == 413 and "larger than" in refused.json()["error"]


def test_numbers_that_are_too_many_are_refused_before_they_are_all_there(server):
    with (
        serving(server, max_bytes=2_400_000) as running,
        connect(running) as connection,
    ):
        connection.sendall(f"{HEAD}2000000\r\n\r\n".encode() + b"1," * 150_000)

        receive(connection, b"HTTP/1.1 413")


def test_gzip_that_grpc_inflates_is_bounded(server):
    options = [("grpc.default_compression_algorithm", 2)]
    with serving(server, max_bytes=1_000_000) as running:
        address = running.grpc.removeprefix("grpc://")
        with grpc.insecure_channel(address, options) as channel:
            predict = channel.unary_unary(
                "/tensorflow.serving.PredictionService/Predict"
            )
            with pytest.raises(grpc.RpcError) as error:
                predict(b"\0" * 50_000_000, compression=grpc.Compression.Gzip)

    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture
def collector_off():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def too_small_by_grpc(server):
    with pytest.raises(grpc.RpcError) as error:
        call(server, image=IMAGE[:, :3])
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def too_small_by_rest(server):
    assert post(server, GOOD | {"image": IMAGE[:, :3].tolist()}).status_code == 400


@pytest.mark.parametrize("ask", [too_small_by_rest, too_small_by_grpc])
def test_an_image_that_the_graph_refuses_is_freed_at_once(
    server, monkeypatch, collector_off, ask
):
    images = []
    with serving(server) as running:
        version = running.models.find("phdnet_sa", None)
        run = version.run

        def noted(signature, inputs):
            images.append(weakref.ref(inputs["image"]))
            return run(signature, inputs)

        monkeypatch.setattr(version, "run", noted)
        ask(running)

        wait_until(lambda: images and images[0]() is None, seconds=5)


def test_what_is_read_of_json_that_is_refused_is_freed_at_once(
    server, monkeypatch, collector_off
):
    numbers = []

    def refused(*_):
        array = np.zeros(9)
        numbers.append(weakref.ref(array))
        raise invalid("nonsense")

    monkeypatch.setattr(json_requests, "read", refused)
    with serving(server) as running:
        assert post(running).status_code == 400

        wait_until(lambda: numbers and numbers[0]() is None, seconds=5)


def test_what_is_inflated_is_read_in_turn_however_small_it_came(server, monkeypatch):
    def inflated(*_):
        threads.append(threading.current_thread().name)
        return json.dumps({"inputs": GOOD}).encode()

    threads = []
    monkeypatch.setattr(json_requests, "inflate", inflated)
    with serving(server) as running:
        answer = post(running, b"small", headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 200
    assert threads[0].startswith("large")


def test_the_largest_request_gives_way_when_memory_is_full():
    async def run():
        admission = Admission(most_bytes=100)

        async def visit(*sizes):
            async with admission.visit(30) as visit:
                for size in sizes:
                    admission.hold(visit, size)
                await asyncio.sleep(0.2)
                return "stayed"

        return await asyncio.gather(
            *(visit(60), visit(30), visit(5, 10), visit(70), visit(20)),
            return_exceptions=True,
        )

    first, second, third, fourth, fifth = asyncio.run(run())

    assert [second, third, fifth] == ["stayed"] * 3
    for refused in (first, fourth):
        assert isinstance(refused, Refusal) and refused.http == 503


def test_an_unexpected_error_is_named_in_the_log_and_its_text_stays_there(
    server, monkeypatch, caplog
):
    def broken(*_):
        raise ZeroDivisionError("the patient's name")

    with serving(server) as running:
        monkeypatch.setattr(running.models.find("phdnet_sa", None), "run", broken)
        answer = post(running)
        with pytest.raises(grpc.RpcError) as error:
            call(running)

    assert answer.status_code == 500
    assert error.value.code() == grpc.StatusCode.INTERNAL
    for text in (answer.json()["error"], error.value.details()):
        name = re.fullmatch(
            r"Internal error (\w{8}): see the log of the server\.", text
        )
        assert f"unexpected error {name[1]}" in caplog.text
    assert "the patient's name" in caplog.text
