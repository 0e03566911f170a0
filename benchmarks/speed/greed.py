"""Honest clients beside strangers: `python benchmarks/speed/greed.py`.

Sixteen clients ask `phdnet-tf serve` on loopback, half by gRPC and half by REST, first
alone and then beside the thousand of `strangers.py`. Every answer is compared with the
graph's own. All ends after `--seconds`, twice.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from phdnet_tf.startup import load_tensorflow

load_tensorflow()

import grpc
import numpy as np
import requests
import tensorflow as tf
from serving import MODEL, SPACING, ServerProcess, image, in_parallel
from untrained import export_untrained

from phdnet_tf.export.saved_model import load_signatures
from phdnet_tf.export.versions import resolve_version

HONEST = 16


def honest(server: ServerProcess, models: Path, seconds: float) -> dict[str, Any]:
    """What the honest ones got, how long they waited, and the server's memory."""
    locate = load_signatures(resolve_version(models / MODEL))["serving_default"]
    images = [image(seed, 256) for seed in range(8)]
    wanted = [
        locate(image=tf.constant(p[None]), pixel_spacing=tf.constant(SPACING))[
            "landmarks"
        ].numpy()[0]
        for p in images
    ]
    times: list[float] = []
    outcome = {"right": 0, "wrong": 0, "failed": 0}
    health: list[float] = []
    lock, turns = threading.Lock(), iter(range(10**9))
    end = time.perf_counter() + seconds

    def client() -> None:
        with lock:
            number = next(turns)
        kind = ("grpc float", "rest png")[number % 2]
        asked = number
        while (started := time.perf_counter()) < end:
            which = asked % len(images)
            asked += 1
            try:
                found = server.ask(kind, images[which], SPACING)
                right = np.allclose(found, wanted[which], atol=1e-3)
                verdict = "right" if right else "wrong"
            except (grpc.RpcError, requests.RequestException) as error:
                print(f"{kind}: {error}", file=sys.stderr)
                verdict = "failed"
            with lock:
                times.append(time.perf_counter() - started)
                outcome[verdict] += 1

    memory: list[float] = []

    def watch() -> None:
        while time.perf_counter() < end:
            started = time.perf_counter()
            # A connection of its own, as a health check makes one.
            answer = requests.get(f"{server.rest}/v1/models/{MODEL}", timeout=30)
            answer.raise_for_status()
            health.append(time.perf_counter() - started)
            memory.append(server.memory())
            time.sleep(1)

    watching = threading.Thread(target=watch)
    watching.start()
    in_parallel(client, HONEST)
    watching.join()
    p50, p95, p99 = (1000 * np.percentile(times, [50, 95, 99])).tolist()
    return {
        **outcome,
        "per_second": len(times) / seconds,
        **{"p50_ms": p50, "p95_ms": p95, "p99_ms": p99},
        "health_max_ms": 1000 * max(health),
        "memory_mb": [round(m) for m in memory[:: max(1, len(memory) // 8)]],
        "memory_max_mb": round(max(memory)),
    }


def main() -> None:
    """Prints both as JSON, and whether the bars are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="600 at most")
    seconds = min(parser.parse_args().seconds, 600)
    with tempfile.TemporaryDirectory() as folder:
        models, log = Path(folder) / "models", Path(folder) / "log"
        export_untrained(models)
        server = ServerProcess(models, log)
        try:
            alone = honest(server, models, seconds)
            print(json.dumps({"alone": alone}), flush=True)
            strangers = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("strangers.py")]
                + [server.rest, server.grpc, MODEL, str(seconds)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert strangers.stdout and strangers.stdout.readline()
            beside = honest(server, models, seconds)
            print(json.dumps({"beside strangers": beside}), flush=True)
            told = strangers.communicate(timeout=60)[0]
            print(json.dumps({"strangers": json.loads(told)}))
            metrics = requests.get(
                f"{server.rest}/monitoring/prometheus/metrics", timeout=30
            ).text
            counted = [
                line
                for line in metrics.splitlines()
                if line.startswith(("phdnet_requests_total", "phdnet_connections"))
            ]
            print("\n".join(counted))
            print(
                json.dumps(
                    {
                        "p95, times": beside["p95_ms"] / alone["p95_ms"],
                        "log_kb": log.stat().st_size / 1000,
                        "memory_after_mb": round(server.memory()),
                    }
                )
            )
        finally:
            server.end()


if __name__ == "__main__":
    main()
