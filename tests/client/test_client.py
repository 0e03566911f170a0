import json
import shutil
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import pytest
from click.testing import CliRunner
from support import certificates, tf_serving
from support.cines import SHORT_AXIS, oblique, write_cine
from support.drawn import exported
from urllib3.exceptions import MaxRetryError, NewConnectionError

from phdnet_tf.cli import main
from phdnet_tf.client import client as client_module
from phdnet_tf.client import grpc as client_grpc
from phdnet_tf.client import rest as client_rest
from phdnet_tf.client.client import Client
from phdnet_tf.client.encoding import encode_png
from phdnet_tf.client.transport import failure
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.read import read_image
from phdnet_tf.dicom.write import write_image
from phdnet_tf.inference.errors import (
    NotServedError,
    RefusedImageError,
    ServerDownError,
)
from phdnet_tf.inference.predictor import Predictor
from phdnet_tf.presets import USUAL_ORIENTATIONS
from phdnet_tf.server.app import Server, ServerConfig

PATIENT = "ROENTGEN-W-C-18450327"
PROTOCOLS = ("rest", "grpc")
SCHEMES = {"rest": "http", "grpc": "grpc"}


def image(seed=0, shape=(70, 90), scale=1.0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 900, shape).astype("f4") * np.float32(scale)
    return MRImage(pixels, (1.5, 1.25))


@pytest.fixture(scope="module")
def predictor(server):
    return Predictor(server.folder / "phdnet_sa")


@pytest.fixture
def impatient(monkeypatch):
    """Clients that give a server up after 1.5 seconds instead of 15."""
    monkeypatch.setattr(client_grpc, "PAUSE", 0.1)
    monkeypatch.setattr(client_rest, "PAUSE", 0.1)


def connect(server, protocol, path="", **options):
    return Client(getattr(server, protocol) + path, **options)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "given",
    [
        image(),
        # Neither fits a 16-bit PNG, and both have to come out the same all the same.
        image(scale=0.37),
        MRImage(image().pixels - 500, (1.5, 1.25)),
        # As a short axis that is turned by a right angle.
        MRImage(image().pixels, (1.5, 1.25), (0, 0, 0), (0, 1, 0, -1, 0, 0)),
    ],
    ids=["whole", "fractions", "negative", "turned"],
)
def test_a_server_and_a_model_on_disk_give_the_same(server, predictor, protocol, given):
    with connect(server, protocol) as client:
        assert client.predict(given, "a") == predictor.predict(given, "a")
        for found, wanted in zip(
            client.candidate_maps(given), predictor.candidate_maps(given), strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
        assert client.description == predictor.description


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_images_share_requests_and_a_refused_one_does_not_spoil_the_others(
    server, predictor, protocol
):
    images = [image(seed, (64 + 6 * (seed % 2), 80)) for seed in range(20)]
    images[7] = MRImage(images[7].pixels[:3, :3], (1.0, 1.0))
    images[9] = MRImage(images[9].pixels, (0.0, 1.0))
    images[11] = MRImage(images[11].pixels * np.float32(np.nan), (1.0, 1.0))
    images[13] = replace(images[13], orientation=(0, -1, 0, 1, 0, 0))
    names = [f"image {number}" for number in range(20)]
    with connect(server, protocol) as client:
        requests = count_requests(client)

        found = client.predict_many(images, names)

    for number, (one, wanted) in enumerate(
        zip(found, predictor.predict_many(images, names), strict=True)
    ):
        assert type(one) is type(wanted)
        if number in (7, 9, 11):
            assert isinstance(one, RefusedImageError)
            assert "expected" in str(one) and "\n" not in str(one)
        else:
            assert one.image == f"image {number}"
            np.testing.assert_allclose(
                [(m.x, m.y, m.confidence) for m in one.landmarks],
                [(m.x, m.y, m.confidence) for m in wanted.landmarks],
                rtol=1e-4,
            )
    # Two sizes and a tiny one: five requests, one of which had to be asked one by one.
    assert len(requests) == 5 + client.at_once


def count_requests(client):
    transport, asked = client._transport, []
    predict = transport.predict
    transport.predict = lambda *request: asked.append(1) or predict(*request)
    return asked


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_not_served_is_told_apart(server, protocol):
    with pytest.raises(NotServedError, match=r"no model 'nope' in service"):
        connect(server, protocol, "/nope")
    with pytest.raises(NotServedError, match=r"no version '9' .* It has 1\."):
        connect(server, protocol, "/phdnet_sa/9")
    with pytest.raises(NotServedError, match=r"no version 'canary' .* It has 1\."):
        connect(server, protocol, "/phdnet_sa/canary")
    with pytest.raises(NotServedError, match="expected a model phdnet_4ch in service"):
        connect(server, protocol, view="4ch")
    assert connect(server, protocol, "/phdnet_sa/1").name == "phdnet_sa/1"
    assert connect(server, protocol).view == "sa"


@pytest.mark.parametrize(
    "address", ["localhost:8500", "ftp://host", "grpc://", "http://h:1/a/b/c"]
)
def test_an_address_that_makes_no_sense_is_refused(address):
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        Client(address)


@pytest.fixture(scope="module")
def stub(server):
    with tf_serving.running(server.folder / "phdnet_sa" / "1") as running:
        yield running


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_label_of_tf_serving_is_the_version_that_it_is_at(stub, protocol):
    assert connect(stub, protocol, "/phdnet_sa/stable").name == "phdnet_sa/1"
    assert connect(stub, protocol, "/phdnet_sa/canary").name == "phdnet_sa/2"
    assert connect(stub, protocol).name == "phdnet_sa/2"
    with pytest.raises(NotServedError, match=r"no version 'latest' .* It has 1, 2\."):
        connect(stub, protocol, "/phdnet_sa/latest")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_label_that_is_moved_is_followed(stub, protocol, monkeypatch):
    with connect(stub, protocol, "/phdnet_sa/stable") as client:
        before = client.predict(image())
        monkeypatch.setitem(stub.model.labels, "stable", 2)
        [after] = client.predict_many([image()], ["after"])
        monkeypatch.setitem(stub.model.labels, "stable", 1)
        back = client.predict(image())

    models = [each.model for each in (before, after, back)]
    assert models == ["phdnet_sa/1", "phdnet_sa/2", "phdnet_sa/1"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_that_tf_serving_wraps_is_one_sentence(stub, protocol):
    with connect(stub, protocol) as client, pytest.raises(RefusedImageError) as error:
        client.predict(MRImage(image().pixels, (0.0, 1.0)))

    assert str(error.value) == "pixel_spacing: expected mm. Received: [0 1]."


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_model_that_answers_otherwise_is_named(stub, protocol, monkeypatch):
    monkeypatch.setattr(stub.model, "left_out", ("confidence",))
    with (
        connect(stub, protocol) as client,
        pytest.raises(NotServedError, match=r"phdnet_sa/2 .* no 'confidence'"),
    ):
        client.predict(image())


@contextmanager
def answering(status, content=b"", headers=None, seconds=0.0):
    """A server that answers everything with the same, and the list of what it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            got.append(self.path)
            time.sleep(seconds)
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", got
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (401, b"<html>Log in</html>", "server failed: status 401"),
        (401, b'{"error": "who?"}', "who.*--server-token"),
        (429, b'{"error": "slowly"}', "server failed: slowly"),
        (500, b"{}", "server failed: status 500"),
        (502, b"<html></html>", "does not answer: status 502"),
        (503, b'{"error": "later"}', "does not answer: later"),
        (200, b"[]", "server failed: status 200"),
        (200, b'{"some": "service"}', "server failed: status 200"),
    ],
)
def test_what_another_server_answers_is_told(status, content, message, impatient):
    # It may ask for hours, which nobody would wait for.
    with (
        answering(status, content, {"Retry-After": "3600"}) as (address, _),
        pytest.raises(ServerDownError, match=message) as error,
    ):
        Client(f"http://user:secret@{address}")

    assert address in str(error.value) and "secret" not in str(error.value)


def test_a_request_that_a_server_is_slow_with_is_not_sent_again():
    with (
        answering(200, b"{}", seconds=1) as (address, got),
        pytest.raises(ServerDownError, match=r"no answer within 0\.3 s"),
    ):
        Client(f"http://{address}", view="sa", timeout=0.3)

    assert len(got) == 1


def test_a_server_that_restarts_is_waited_for_longer_than_that_takes():
    session = client_rest.RestTransport("host", False, 30, None)._session
    retry, pauses = session.get_adapter("http://host").max_retries, 0
    with pytest.raises(MaxRetryError):
        while True:
            retry = retry.increment(error=NewConnectionError(None, "refused"))
            pauses += retry.get_backoff_time()

    assert 12 < pauses < 20


def test_a_busy_server_is_not_a_refused_image():
    busy, large = (
        failure("host", grpc.StatusCode.RESOURCE_EXHAUSTED, details, 30)
        for details in (
            "Concurrent RPC limit exceeded!",
            "SERVER: Received message larger than max (99 vs. 9)",
        )
    )

    assert isinstance(busy, ServerDownError) and isinstance(large, RefusedImageError)


def test_an_address_of_ipv6_gets_a_port_if_it_has_none():
    addresses = ("[::1]", "[::1]:9", "host", "host:9")
    transports = [client_grpc.GrpcTransport(a, False, 1, None) for a in addresses]

    assert [transport._address for transport in transports] == [
        *("[::1]:8500", "[::1]:9", "host:8500", "host:9")
    ]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_down_is_named_after_a_few_tries(scheme, impatient):
    started = time.monotonic()

    with pytest.raises(ServerDownError, match=r"127\.0\.0\.1:9.*does not answer.*runs"):
        Client(f"{scheme}://127.0.0.1:9", view="sa")

    assert 0.5 < time.monotonic() - started < 20


@contextmanager
def coming_late(folder, rest_port, grpc_port):
    """A server that is there half a second after the block has begun."""
    config = ServerConfig(folder, "127.0.0.1", rest_port, grpc_port, poll_seconds=60)
    ended = threading.Event()

    def late():
        time.sleep(0.5)
        with Server(config):
            ended.wait(60)

    thread = threading.Thread(target=late)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_comes_late_is_waited_for(server, protocol):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ports = {"rest_port": 0, "grpc_port": 0, f"{protocol}_port": port}
    with coming_late(server.folder, **ports):
        client = Client(f"{SCHEMES[protocol]}://127.0.0.1:{port}", view="sa")
        assert client.predict(image()).landmarks


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_outlives_a_restart_of_the_server(server, protocol):
    # Larger than what gRPC would send again by itself.
    large = image(shape=(512, 512))
    config = ServerConfig(server.folder, rest_port=0, grpc_port=0, poll_seconds=60)
    with Server(config) as first:
        ports = [int(url.rsplit(":", 1)[1]) for url in (first.rest, first.grpc)]
        client = connect(first, protocol)
        before = client.predict(large)
    with coming_late(server.folder, *ports):
        assert client.predict(large) == before


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_takes_too_long_is_named(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ServerDownError, match=r"no answer within 0\.5 s"):
            Client(f"{scheme}://127.0.0.1:{port}", view="sa", timeout=0.5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_goes_on_with_the_version_that_took_its_place(
    server, tmp_path, protocol
):
    models = tmp_path / "models"
    shutil.copytree(server.folder, models)
    config = ServerConfig(models, rest_port=0, grpc_port=0, poll_seconds=60)
    with Server(config) as running, connect(running, protocol) as client:
        assert client.predict(image()).model == "phdnet_sa/1"
        pinned = connect(running, protocol, "/phdnet_sa/1")
        exported(models)
        running.models.poll()

        assert client.predict(image()).model == "phdnet_sa/2"
        with pytest.raises(NotServedError, match=r"Specific\(phdnet_sa, 1\)"):
            pinned.predict(image())


class Replaced:
    """Two versions of a model, and the second takes the first one's place meanwhile.

    They find the same point for each landmark, whatever the image is. The second names
    the landmarks in another order, and does not turn images.
    """

    prefers_png = False
    described = {
        1: {
            "landmarks": ["apex", "hinge"],
            "usual_orientations": USUAL_ORIENTATIONS["sa"],
        },
        2: {"landmarks": ["hinge", "apex"], "usual_orientations": []},
    }
    points = {"apex": (3.0, 4.0), "hinge": (5.0, 6.0)}

    def __init__(self, answers):
        """The second version comes after so many answers of the first."""
        self.answers = answers
        self.calls = []

    def versions(self, model, version):
        return [1] if self.answers else [2]

    def predict(self, model, version, signature, inputs):
        if version not in self.versions(model, ""):
            raise NotServedError(f"Specific({model}, {version})")
        description = self.described[version]
        if signature == "describe":
            text = json.dumps({"view": "sa", **description})
            return {"value": np.array([text.encode()], object)}
        self.answers -= version == 1
        self.calls.append((version, inputs["image"].shape))
        images = len(inputs["image"])
        if signature == "explain":
            shape = inputs["image"].shape[1:]
            return {
                "candidate_map": np.zeros((images, 2, *shape), "f4"),
                "candidate_corners": np.zeros((images, 2, 2, 2), "f4"),
            }
        points = np.array([self.points[name] for name in description["landmarks"]])
        return {
            "landmarks": np.stack([points] * images),
            "confidence": np.ones((images, 2), "f4"),
            "high_confidence": np.ones((images, 2), bool),
            "error_radius_mm": np.ones((images, 2, 3), "f4"),
            "recognised": np.ones(images, bool),
        }

    def close(self):
        pass


@pytest.fixture
def replaced(monkeypatch):
    """A client of `Replaced`, and that, if it gives so many answers in version 1."""

    def make(answers):
        transport = Replaced(answers)
        monkeypatch.setitem(
            client_module.TRANSPORTS, "http", (lambda *_: transport, False)
        )
        return Client("http://host", view="sa"), transport

    return make


# As a short axis that is turned by a right angle, and in two sizes.
TURNED = [
    MRImage(image(shape=shape).pixels, (1.5, 1.5), (0, 0, 0), (0, 1, 0, -1, 0, 0))
    for shape in ((70, 90), (60, 80))
]


def test_all_images_of_a_call_are_answered_by_one_version(replaced):
    client, transport = replaced(answers=1)

    found = client.predict_many(TURNED, ["a", "b"])

    assert [version for version, _ in transport.calls] == [1, 2, 2]
    assert transport.calls[1:] == [(2, (1, 60, 80)), (2, (1, 70, 90))]
    for one in found:
        assert one.model == "phdnet_sa/2"
        points = {mark.name: (mark.x, mark.y) for mark in one.landmarks}
        assert points == Replaced.points


def test_what_a_replaced_version_does_not_answer_is_turned_anew(replaced):
    for ask in (Client.predict, Client.candidate_maps):
        client, transport = replaced(answers=1)
        transport.answers = 0

        found = ask(client, TURNED[0])

        assert transport.calls == [(2, (1, 70, 90))]
        if ask is Client.candidate_maps:
            assert found[0].shape == (2, 70, 90)
        else:
            assert [mark.name for mark in found.landmarks] == ["hinge", "apex"]


def test_a_version_that_cannot_tell_what_it_is_gives_no_answers(replaced):
    client, transport = replaced(answers=1)
    transport.answers = 0
    predict, transport.predict = transport.predict, silent

    with pytest.raises(ServerDownError):
        client.predict(TURNED[0])
    transport.predict = predict

    assert client.name == "phdnet_sa/1"
    found = client.predict(TURNED[0])
    assert [mark.name for mark in found.landmarks] == ["hinge", "apex"]


def silent(model, version, signature, inputs):
    if version == 1:
        raise NotServedError(f"Specific({model}, {version})")
    raise ServerDownError("no answer")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return certificates.certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_is_spoken_with_those_who_trust_the_authority(
    server, certificate, protocol, impatient
):
    config = ServerConfig(
        *(server.folder, "127.0.0.1", 0, 0), poll_seconds=60, certificate=certificate
    )
    with Server(config) as secure:
        assert getattr(secure, protocol).split(":")[0] in ("https", "grpcs")
        with connect(secure, protocol, authority=certificate[0]) as client:
            assert client.predict(image()).landmarks
        with pytest.raises(ServerDownError, match="--server-ca"):
            connect(secure, protocol, view="sa")  # signed by nobody it knows


@pytest.mark.parametrize("scheme", ["https", "grpcs"])
def test_an_authority_that_is_not_in_pem_is_refused_by_its_name(tmp_path, scheme):
    authority = tmp_path / "ca.cer"
    authority.write_bytes(b"\x30\x82\x03\x0f")  # as DER begins

    with pytest.raises(ValueError, match=r"ca\.cer: expected .* PEM\. .* openssl"):
        Client(f"{scheme}://127.0.0.1:9", "sa", authority=authority)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_asks_for_a_token_answers_those_who_show_it(
    server, dicom, tmp_path, protocol, monkeypatch
):
    secret, other = tmp_path / "token", tmp_path / "other"
    secret.write_text("0123456789abcdef\n")
    other.write_text("0123456789abcdeg\n")
    # Which requests would show instead, of a header that was set once.
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    config = ServerConfig(
        *(server.folder, "127.0.0.1", 0, 0), poll_seconds=60, token_file=secret
    )
    with Server(config) as guarded:
        url = getattr(guarded, protocol)
        for options in ((), ("--server-token", other)):
            refused = run("predict", dicom, "--server", url, *options, code=1)
            assert "--server-token" in refused.output
        shown = ("--server-token", secret, "--format", "json")
        found = run("predict", dicom, "--server", url, *shown)

    assert len(json.loads(found.stdout)[0]["landmarks"]) == 2


def test_png_holds_the_pixels_and_nothing_else():
    pixels = image(shape=(20, 30)).pixels
    data = encode_png(pixels)

    chunks, at = [], 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks.append(kind)
        at += 12 + length
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}
    assert struct.unpack(">IIBB", data[16:26]) == (30, 20, 16, 0)  # grey, 16 bits


class Recorder(threading.Thread):
    """Passes a connection on to a server, and keeps what the client sends."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listening.getsockname()[1]}"
        self.target, self.sent = target, bytearray()
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            host, port = self.target.split("//")[1].split(":")
            server = socket.create_connection((host, int(port)))
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.copy, args=ends, daemon=True).start()

    def copy(self, source, target, keep):
        try:
            while data := source.recv(65536):
                if keep:
                    self.sent += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture
def dicom(tmp_path):
    path = tmp_path / "roentgen_at_home.dcm"
    pixels = np.random.default_rng(0).integers(0, 900, (80, 100)).astype("uint16")
    write_image(
        path,
        pixels,
        (1.5, 1.25),
        uid_seed="t",
        series_description="Private series",
        patient_id=PATIENT,
    )
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_of_the_header_is_sent(server, dicom, protocol):
    assert PATIENT.encode() in dicom.read_bytes()
    recorder = Recorder(getattr(server, protocol))

    with Client(f"{SCHEMES[protocol]}://{recorder.address}") as client:
        client.predict(read_image(dicom), str(dicom))
    recorder.listening.close()

    sent = bytes(recorder.sent)
    assert b"pixel_spacing" in sent and len(sent) > 5000
    for secret in (PATIENT.encode(), b"ROENTGEN", b"Private", b"roentgen_at_home"):
        assert secret not in sent


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_predict_prints_the_same_with_a_server(server, dicom, tmp_path, protocol):
    copy = shutil.copy(dicom, tmp_path / "b.dcm")
    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    arguments = ("predict", dicom, notes, copy, "--format", "json")

    local = run(*arguments, "--models", server.folder, code=1)
    remote = run(*arguments, "--server", getattr(server, protocol), code=1)

    there, here = json.loads(remote.stdout), json.loads(local.stdout)
    assert [set(a) for a in there] == [set(a) for a in here]
    for a, b in zip(there, here, strict=True):
        for one, two in zip(
            a.pop("landmarks", []), b.pop("landmarks", []), strict=True
        ):
            assert one.pop("name") == two.pop("name")
            places = one.pop("position_lps"), two.pop("position_lps")
            assert places[0] == pytest.approx(places[1], rel=1e-5)
            radii = [each.pop("error_radius_mm") for each in (one, two)]
            assert radii[0] == pytest.approx(radii[1], rel=1e-5)
            assert one == pytest.approx(two, rel=1e-5)
        assert a == b
    assert "notes.txt" in remote.stderr


@pytest.fixture(scope="module")
def both_views(tmp_path_factory):
    models = tmp_path_factory.mktemp("both") / "models"
    for view in ("sa", "4ch"):
        exported(models, view)
    config = ServerConfig(models, rest_port=0, grpc_port=0, poll_seconds=60)
    with Server(config) as running:
        running.folder = models
        yield running


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_of_both_views_takes_each_image_to_its_model(
    both_views, tmp_path, protocol
):
    for name, plane in (("SAX", SHORT_AXIS), ("4CH", list(oblique()))):
        write_cine(
            tmp_path / name,
            phases=1,
            description=name,
            ImageOrientationPatient=plane,
        )
    arguments = ("predict", tmp_path / "SAX", tmp_path / "4CH", "--format", "json")

    local = run(*arguments, "--models", both_views.folder)
    remote = run(*arguments, "--server", getattr(both_views, protocol))

    told = [
        [(each["image"], each["view"], each["model"]) for each in json.loads(text)]
        for text in (local.stdout, remote.stdout)
    ]
    assert told[0] == told[1]
    assert {view: model for _, view, model in told[0]} == {
        "sa": "phdnet_sa/1",
        "4ch": "phdnet_4ch/1",
    }


def test_a_model_behind_the_address_is_a_choice_as_model_is(both_views, tmp_path):
    # A localiser of another view: it is predicted only by a model that was chosen.
    write_cine(tmp_path / "SAX", phases=1, description="Scout SAX")
    arguments = ("predict", tmp_path / "SAX", "--format", "json")

    local = run(*arguments, "--model", both_views.folder / "phdnet_4ch")
    remote = run(*arguments, "--server", f"{both_views.rest}/phdnet_4ch")

    assert [json.loads(each.stdout)[0]["view"] for each in (local, remote)] == [
        *("4ch", "4ch")
    ]


def test_predict_draws_with_a_server_too(server, dicom, tmp_path):
    out = tmp_path / "out"

    run("predict", dicom, "--server", server.rest, "--maps", "--output", out)

    assert sorted(file.name for file in out.iterdir()) == [
        ".phdnet-tf.lock",
        "manifest.txt",
        "predictions.csv",
        "predictions.json",
        "roentgen_at_home.png",
    ]


def test_predict_names_a_server_that_is_down_and_options_that_do_not_fit(
    server, dicom, tmp_path, impatient
):
    down = run("predict", dicom, "--server", "http://127.0.0.1:9", code=1)
    both = run(
        *("predict", dicom, "--server", server.rest, "--model", server.folder), code=2
    )
    wrong = run("predict", dicom, "--server", server.rest, "--view", "4ch", code=1)
    with answering(200, seconds=1) as (address, _):
        slow = run(
            *("predict", dicom, "--server", f"http://{address}", "--timeout", 0.2),
            code=1,
        )

    assert "within 0.2 s" in slow.output
    assert "does not answer" in down.output and "Traceback" not in down.output
    assert "/phdnet_sa/3" in both.output
    assert "phdnet_4ch" in wrong.output


@pytest.mark.parametrize("failing", [ServerDownError, NotServedError])
def test_what_was_predicted_before_a_server_went_down_is_kept(
    server, dicom, tmp_path, monkeypatch, failing
):
    files = [shutil.copy(dicom, tmp_path / f"{n:02}.dcm") for n in range(20)]
    answered = iter([True, False])
    predict_many = Client.predict_many

    def once(client, images, names):
        if next(answered):
            return predict_many(client, images, names)
        raise failing("it went down")

    monkeypatch.setattr(Client, "predict_many", once)

    found = run("predict", *files, "--server", server.rest, "--format", "json", code=1)

    answers = json.loads(found.stdout)
    assert ["landmarks" in a for a in answers] == [True] * 8 + [False] * 12
    assert answers[-1] == {
        "image": str(files[-1]),
        "error": f"{files[-1]}: it went down",
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_real_images_give_the_same_on_a_server(server, predictor, real_data, protocol):
    files = [
        real_data / "acdc_sa" / "DICOM" / "patient001" / "ED_slice03.dcm",
        next((real_data / "bivme_4ch").rglob("*.dcm")),
    ]
    with connect(server, protocol) as client:
        for file in files:
            assert client.predict(read_image(file)) == predictor.predict(
                read_image(file)
            )
