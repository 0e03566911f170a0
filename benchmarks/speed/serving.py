"""How fast and how steady `phdnet-tf serve` is, on loopback: `make benchmark-serving`.

A server process of its own is asked by clients of this process, each of which waits for
its answer before it asks again. All loops are bounded in count and in time. Clients and
server share the machine's cores, so figures of many clients are those of both.
"""

import argparse
import base64
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phdnet_tf.startup import load_tensorflow

load_tensorflow()

import grpc
import numpy as np
import requests
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_service_pb2_grpc,
)
from untrained import export_untrained

from phdnet_tf.client.encoding import encode_png
from phdnet_tf.export.saved_model import load_signatures
from phdnet_tf.export.versions import resolve_version

MODEL = "phdnet_4ch"
CLIENTS = (1, 2, 4, 8, 16, 32)
SPACING = np.array([[0.9375, 0.9375]], np.float32)
KINDS = ("grpc float", "grpc png", "rest png", "rest json")


class ServerProcess:
    """`phdnet-tf serve` in a process of its own.

    Args:
        models: Folder of all models.
        log: Where its log goes, if it is to be kept.
    """

    def __init__(self, models: Path, log: Path | None = None) -> None:
        """Starts it, and waits until it serves."""
        started = time.perf_counter()
        self._log = open(log or os.devnull, "wb")
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("phdnet-tf"), "serve"]
            + ["--models", models, "--rest-port", "0", "--grpc-port", "0"],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout
        self.rest = self._process.stdout.readline().split()[1]
        self.grpc = self._process.stdout.readline().split()[1].split("//")[1]
        self._channel = grpc.insecure_channel(self.grpc)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._predict = stub.Predict
        self._local = threading.local()
        self.ask("grpc float", image(0, 256), SPACING)
        self.start_seconds = time.perf_counter() - started
        self.start_cpu_seconds = self.cpu_seconds()

    def ask(
        self, kind: str, pixels: np.ndarray | bytes, spacing: np.ndarray
    ) -> np.ndarray:
        """The landmarks of one image, by one of `KINDS`; raises if it is refused.

        Bytes are sent as they are, in the place of the PNG or of the JSON.
        """
        protocol, form = kind.split()
        if protocol == "grpc":
            return self._ask_grpc(form, pixels, spacing)
        if not hasattr(self._local, "session"):  # a connection for each client
            self._local.session = requests.Session()
        instance: dict[str, Any] = {"pixel_spacing": spacing[0].tolist()}
        if form == "png":
            png = base64.b64encode(_png(pixels)).decode()
            instance["image_bytes"] = {"b64": png}
        elif not isinstance(pixels, bytes):
            instance["image"] = pixels.tolist()
        signature = "png" if form == "png" else "serving_default"
        body = json.dumps({"signature_name": signature, "instances": [instance]})
        whole = form == "json" and isinstance(pixels, bytes)
        answer = self._local.session.post(
            f"{self.rest}/v1/models/{MODEL}:predict",
            data=pixels if whole else body,
            timeout=60,
        )
        answer.raise_for_status()
        return np.array(answer.json()["predictions"][0]["landmarks"])

    def _ask_grpc(
        self, form: str, pixels: np.ndarray | bytes, spacing: np.ndarray
    ) -> np.ndarray:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = MODEL
        if form == "png":
            request.model_spec.signature_name = "png"
            image_bytes = tf.make_tensor_proto([_png(pixels)])
            request.inputs["image_bytes"].CopyFrom(image_bytes)
        else:
            request.inputs["image"].CopyFrom(tf.make_tensor_proto(np.stack([pixels])))
        request.inputs["pixel_spacing"].CopyFrom(tf.make_tensor_proto(spacing))
        response = self._predict(request, timeout=60)
        return tf.make_ndarray(response.outputs["landmarks"])[0]

    def cpu_seconds(self) -> float:
        """The processor's time so far, which does not depend on what else runs."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")")[1]
        ticks = sum(map(int, fields.split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory, MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def end(self, how: int = signal.SIGTERM) -> None:
        """Ends it by a signal."""
        self._channel.close()
        self._process.send_signal(how)
        try:
            self._process.communicate(timeout=60)
        finally:
            self._log.close()
            self._process.kill()  # does nothing to a process that has ended


@contextmanager
def serving(models: Path) -> Iterator[ServerProcess]:
    """A server for the time of a block."""
    server = ServerProcess(models)
    try:
        yield server
    finally:
        server.end()


def image(seed: int, side: int) -> np.ndarray:
    """float32[side, side], a disc in noise, in whole numbers as most DICOM has them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    distance = np.hypot(x - side * rng.uniform(0.3, 0.7), y - side / 2)
    pixels = rng.gamma(2, 30, (side, side)) + 600 * (distance < side / 6)
    return np.round(pixels).astype(np.float32)


def malformed(kind: str) -> list[tuple[np.ndarray | bytes, np.ndarray]]:
    """Images and spacings that each has to be refused, for one of `KINDS`."""
    form = kind.split()[1]
    good = image(0, 128)
    bad: list[tuple[np.ndarray | bytes, np.ndarray]] = [
        (good, 0 * SPACING),
        (good, -SPACING),
        (good[:3, :3], SPACING),
    ]
    if form == "png":  # which cannot hold NaN
        bad.append((b"junk", SPACING))
    else:
        bad.append((np.full((64, 64), np.nan, np.float32), SPACING))
    if form == "json":
        bad.append((b"{", SPACING))
    return bad


def _png(pixels: np.ndarray | bytes) -> bytes:
    return pixels if isinstance(pixels, bytes) else encode_png(pixels)


def overhead(server: ServerProcess, models: Path, rounds: int) -> dict[str, float]:
    """Median time of one 512 x 512 image: the bare graph, and each kind of request."""
    locate = load_signatures(resolve_version(models / MODEL))["serving_default"]
    pixels = image(0, 512)
    tensor, spacing = tf.constant(pixels[None]), tf.constant(SPACING)
    calls: dict[str, Callable[[], Any]] = {
        "graph": lambda: locate(image=tensor, pixel_spacing=spacing)[
            "landmarks"
        ].numpy()
    }
    for kind in KINDS:
        calls[kind] = lambda kind=kind: server.ask(kind, pixels, SPACING)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 3):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn >= 3:
                times[name].append(time.perf_counter() - started)
    figures = {f"{name}_ms": 1000 * statistics.median(t) for name, t in times.items()}
    # Of neighbours in time, so that what else the machine does cancels out.
    pairs = zip(times["grpc float"], times["graph"], strict=True)
    figures["overhead_ms"] = 1000 * statistics.median(a - b for a, b in pairs)
    return figures


def batching(models: Path, rounds: int) -> dict[str, float]:
    """Time an image of the graph alone, in batches, and two calls at once.

    Time of the processor as well, which does not depend on what else runs.
    """
    locate = load_signatures(resolve_version(models / MODEL))["serving_default"]

    def call(size: int) -> None:
        locate(
            image=tf.constant(np.stack([image(0, 256)] * size)),
            pixel_spacing=tf.constant(np.repeat(SPACING, size, axis=0)),
        )["landmarks"].numpy()

    cases = {f"batch_{n}": (n, lambda n=n: call(n)) for n in (1, 2, 4, 8)}
    cases["two_at_once"] = 2, lambda: in_parallel(lambda: call(1), 2)
    times: dict[str, list[float]] = {}
    for turn in range(rounds + 2):
        for name, (images, run) in cases.items():
            started, cpu = time.perf_counter(), time.process_time()
            run()
            if turn >= 2:
                elapsed = (time.perf_counter() - started) / images
                times.setdefault(f"{name}_ms", []).append(elapsed)
                elapsed = (time.process_time() - cpu) / images
                times.setdefault(f"{name}_cpu_ms", []).append(elapsed)
    return {name: 1000 * statistics.median(t) for name, t in times.items()}


def load(
    server: ServerProcess, kind: str, clients: int, count: int, seconds: float
) -> dict[str, float]:
    """Closed-loop clients, until each has asked its share or the time is over."""
    pixels = image(0, 256)
    times: list[float] = []
    errors: list[Exception] = []
    end = time.perf_counter() + seconds

    def client() -> None:
        for _ in range(-(-count // clients)):
            started = time.perf_counter()
            if started > end:
                return
            try:
                server.ask(kind, pixels, SPACING)
                times.append(time.perf_counter() - started)
            except (grpc.RpcError, requests.RequestException) as error:
                errors.append(error)

    started, cpu = time.perf_counter(), server.cpu_seconds()
    in_parallel(client, clients)
    elapsed, cpu = time.perf_counter() - started, server.cpu_seconds() - cpu
    quantiles = np.percentile(times, [50, 95, 99]) * 1000
    return {
        "clients": clients,
        "requests": len(times),
        "per_second": len(times) / elapsed,
        **dict(zip(("p50_ms", "p95_ms", "p99_ms"), quantiles.tolist(), strict=True)),
        "server_cpu_ms": 1000 * cpu / len(times),
        "errors": len(errors),
    }


def in_parallel(target: Callable[[], None], clients: int) -> None:
    """Runs a function in as many threads, and waits for all."""
    threads = [threading.Thread(target=target) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def soak(models: Path, count: int, clients: int) -> dict[str, Any]:
    """Mixed requests, a tenth of them malformed; then a kill and a restart."""
    locate = load_signatures(resolve_version(models / MODEL))["serving_default"]
    images = [image(seed, side) for seed, side in enumerate((128, 192, 256, 512) * 2)]
    wanted = [
        locate(image=tf.constant(p[None]), pixel_spacing=tf.constant(SPACING))[
            "landmarks"
        ].numpy()[0]
        for p in images
    ]
    bad = {kind: malformed(kind) for kind in KINDS}
    sent: set[tuple[str, int]] = set()
    turns = iter(range(count))
    lock = threading.Lock()
    outcome = {"right": 0, "wrong": 0, "refused": 0, "failed": 0}
    memory: dict[int, float] = {}
    server = ServerProcess(models)

    def judged(number: int) -> str:
        if number % 10 == 0:
            turn, place = divmod(number // 10, len(KINDS))
            kind = KINDS[place]
            which = turn % len(bad[kind])
            sent.add((kind, which))
            pixels, spacing = bad[kind][which]
            try:
                server.ask(kind, pixels, spacing)
            except grpc.RpcError as error:
                invalid = error.code() == grpc.StatusCode.INVALID_ARGUMENT
                return "refused" if invalid else "failed"
            except requests.HTTPError as error:
                return "refused" if error.response.status_code == 400 else "failed"
            return "wrong"
        kind = KINDS[number % len(KINDS)]
        index = number // 4 % len(images)
        try:
            found = server.ask(kind, images[index], SPACING)
        except (grpc.RpcError, requests.RequestException) as error:
            print(f"{kind}: {error}", file=sys.stderr)
            return "failed"
        return "right" if np.allclose(found, wanted[index], atol=1e-3) else "wrong"

    def client() -> None:
        while True:
            with lock:
                number = next(turns, None)
            if number is None:
                return
            verdict = judged(number)
            with lock:
                outcome[verdict] += 1
                done = sum(outcome.values())
                if done % (count // 10) == 0:
                    memory[done] = server.memory()

    started = time.perf_counter()
    in_parallel(client, clients)
    seconds = time.perf_counter() - started
    server.end(signal.SIGKILL)
    again = ServerProcess(models)
    again.end()
    return {
        **outcome,
        "malformed_in_ways": len(sent),
        "seconds": seconds,
        "memory_mb": {done: round(mb) for done, mb in memory.items()},
        "restart_s": again.start_seconds,
        "restart_cpu_s": again.start_cpu_seconds,
    }


def main() -> None:
    """Prints every figure, and as JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=200, help="at most, a level")
    parser.add_argument("--seconds", type=float, default=10, help="at most, a level")
    parser.add_argument("--soak", type=int, default=2000, help="mixed requests")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0))}

    def tell(name: str, result: dict[str, Any]) -> None:
        figures[name] = result
        shown = (
            f"{k} {v:.1f}" if isinstance(v, float) else f"{k} {v}"
            for k, v in result.items()
        )
        print(f"{name}: {', '.join(shown)}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        export_untrained(models)
        with serving(models) as server:
            tell(
                "start",
                {
                    "seconds": server.start_seconds,
                    "cpu_seconds": server.start_cpu_seconds,
                },
            )
            tell("one 512 x 512 image", overhead(server, models, arguments.rounds))
            tell("an image of the graph", batching(models, arguments.rounds // 2))
            for kind in ("grpc float", "rest png"):
                for clients in CLIENTS:
                    result = load(
                        server, kind, clients, arguments.requests, arguments.seconds
                    )
                    tell(f"{kind}, {clients} at once", result)
        tell("mixed", soak(models, arguments.soak, clients=16))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
