"""A server that speaks TF Serving's REST and gRPC, for development and small clinics.

It needs no container, watches the folder of models as TF Serving does, and refuses a
version that was copied in part. `docs/serving.md` says when to use which.
"""

import logging
import os
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import uvicorn

from phdnet_tf.server.grpc import add_services
from phdnet_tf.server.monitoring import Metrics
from phdnet_tf.server.registry import Models
from phdnet_tf.server.rest import make_app

logger = logging.getLogger(__name__)

GRACE = 10.0
"""Seconds that requests in progress have to end when the server stops."""


@dataclass(frozen=True)
class ServerConfig:
    """Where and how to serve.

    Attributes:
        models: Folder of all models.
        host: Address to listen on.
        rest_port: 0 is any free one.
        grpc_port: 0 is any free one.
        poll_seconds: Time between two looks for new versions.
        max_bytes: Largest request.
        certificate: PEM files of the certificate chain and its private key, for https
            and gRPC over TLS; None serves both in the clear.
    """

    models: Path
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    poll_seconds: float = 2.0
    max_bytes: int = 64 * 1024 * 1024
    certificate: tuple[Path, Path] | None = None


class Server:
    """A running server, as a context: it serves inside the `with` block.

    Args:
        config: Where and how to serve.

    Attributes:
        models: What is served.
        rest: Address of the REST API, for example "http://127.0.0.1:8501".
        grpc: Address of the gRPC services, for example "grpc://127.0.0.1:8500".

    Raises:
        ValueError: On entry, if there is no model to serve.
        OSError: On entry, if a port is taken or a file cannot be read.
    """

    def __init__(self, config: ServerConfig) -> None:
        """Starts nothing yet."""
        self._config = config
        # A call uses about two cores, and takes memory of its own.
        self.models = Models(config.models, at_once=max(1, _cores() // 2))
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Loads the models and starts to serve."""
        config = self._config
        self.models.poll()
        if not self.models.served():
            raise ValueError(
                f"{config.models}: expected a folder of models, such as "
                "models/phdnet_sa/1, of which one can be served. Received none: train "
                "one with 'phdnet-tf train', or give --models another folder."
            )
        metrics = Metrics(self.models)
        self._socket = _listen(config.host, config.rest_port)
        try:
            # Which tells a certificate that is no good from a port that is taken.
            self._rest = _rest_server(config, self.models, metrics)
            self._grpc, grpc_port = _grpc_server(config, self.models, metrics)
        except BaseException:
            self._socket.close()
            raise
        self._grpc.start()
        # Outside the main thread, uvicorn leaves signals to whoever runs this server.
        for target in (self._poll, lambda: self._rest.run(sockets=[self._socket])):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self._threads.append(thread)
        secure = "s" if config.certificate else ""
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.rest = f"http{secure}://{host}:{self._socket.getsockname()[1]}"
        self.grpc = f"grpc{secure}://{host}:{grpc_port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Takes no new requests, lets those in progress end, and stops."""
        self._stopping.set()
        self._rest.should_exit = True
        stopped = self._grpc.stop(GRACE)
        for thread in self._threads:
            thread.join()
        stopped.wait()
        self._socket.close()

    def _poll(self) -> None:
        while not self._stopping.wait(self._config.poll_seconds):
            try:
                self.models.poll()
            except OSError as error:
                # A network folder that is away for a moment must not end the polling.
                logger.error("%s cannot be read: %s", self._config.models, error)
            except Exception:
                logger.exception("%s cannot be looked at", self._config.models)


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=128)
        # Connections inherit it. asyncio sets it on sockets of its own making only, and
        # without it every answer on a kept connection is 40 ms late.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise OSError(
            f"{host}:{port}: expected a free port for REST. Received: "
            f"{error.strerror}. Give another --rest-port, or another --host."
        ) from error


def _grpc_server(
    config: ServerConfig, models: Models, metrics: Metrics
) -> tuple[grpc.Server, int]:
    server = grpc.server(
        ThreadPoolExecutor(max_workers=32, thread_name_prefix="grpc"),
        maximum_concurrent_rpcs=256,
        options=[
            ("grpc.max_receive_message_length", config.max_bytes),
            # Or a second server could listen on the same port, and get half of it.
            ("grpc.so_reuseport", 0),
        ],
    )
    add_services(server, models, metrics, config.max_bytes)
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"{host}:{config.grpc_port}"
    try:
        if config.certificate:
            chain, key = (path.read_bytes() for path in config.certificate)
            credentials = grpc.ssl_server_credentials([(key, chain)])
            return server, server.add_secure_port(address, credentials)
        return server, server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(
            f"{address}: expected a free port for gRPC. Received: "
            f"{str(error).splitlines()[0]}. Give another --grpc-port, or another "
            "--host."
        ) from error


def _rest_server(
    config: ServerConfig, models: Models, metrics: Metrics
) -> uvicorn.Server:
    chain, key = config.certificate or (None, None)
    settings = uvicorn.Config(
        make_app(models, metrics, config.max_bytes),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=int(GRACE),
        # uvicorn's 5 s would close a connection just as a patient client asks again.
        timeout_keep_alive=75,
        ssl_certfile=chain,
        ssl_keyfile=key,
    )
    try:
        settings.load()
    except ssl.SSLError as error:
        raise OSError(
            f"{chain} and {key}: expected a certificate and its private key, as PEM. "
            f"Received others: {error}. Give both to --tls, the certificate first."
        ) from error
    return uvicorn.Server(settings)
