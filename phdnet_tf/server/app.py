"""A server with TF Serving's REST and gRPC, for development and small clinics.

It needs no container, watches the folder of models as TF Serving does, and refuses an
incomplete version. `docs/serving.md` explains when to use which server.
"""

import asyncio
import logging
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import uvicorn

from phdnet_tf.export.versions import model_names
from phdnet_tf.export.weights import installed_weights
from phdnet_tf.server import config as settings
from phdnet_tf.server.admission import Admission
from phdnet_tf.server.config import ServerConfig
from phdnet_tf.server.connections import HEAD_SECONDS, Places, most_connections
from phdnet_tf.server.grpc import Services
from phdnet_tf.server.monitoring import Metrics
from phdnet_tf.server.registry import Models
from phdnet_tf.server.rest import make_app
from phdnet_tf.startup import cores

logger = logging.getLogger(__name__)

GRACE = 10.0
"""Time for requests in progress to end when the server stops, in seconds."""

MOST_HELD = 4
"""Memory for all requests, as a number of requests of the largest size."""


class Server:
    """A running server, as a context: it serves inside the `with` block.

    Args:
        config: Where and how to serve.

    Attributes:
        models: The served models.
        rest: Address of the REST API, for example "http://127.0.0.1:8501".
        grpc: Address of the gRPC services, for example "grpc://127.0.0.1:8500".

    Raises:
        ValueError: On entry, if there is no model to serve, or as `config.check`.
        OSError: On entry, if a port is taken or a file cannot be read.
    """

    def __init__(self, config: ServerConfig) -> None:
        """Starts nothing yet."""
        self._config = config
        # A call uses about two cores, and takes memory of its own.
        self.models = Models(config.models, at_once=max(1, cores() // 2))
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        """Loads the models and starts to serve."""
        config = self._config
        settings.check(config)
        self.models.poll()
        if not self.models.served():
            raise ValueError(
                f"{config.models}: expected a folder with a model that can be served, "
                "such as models/phdnet_sa/1. Received none. Train a model with "
                "'phdnet-tf train', or give --models another folder."
                f"{_about_weights(config.models)}"
            )
        started: Future[tuple[int, int]] = Future()
        # Outside the main thread, uvicorn leaves signals to whoever runs this server.
        serving = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), daemon=True
        )
        serving.start()
        rest, grpc = started.result()
        polling = threading.Thread(target=self._poll, daemon=True)
        polling.start()
        self._threads = serving, polling
        secure = "s" if config.certificate else ""
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.rest = f"http{secure}://{host}:{rest}"
        self.grpc = f"grpc{secure}://{host}:{grpc}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Refuses new requests, waits for those in progress, and stops."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._loop.call_soon_threadsafe(self._end.set)
        for thread in self._threads:
            thread.join()

    async def _serve(self, started: Future[tuple[int, int]]) -> None:
        """Both protocols, in one event loop, until `_end` is set."""
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        config = self._config
        try:
            token = settings.token(config.token_file)
            metrics = Metrics(self.models)
            admission = Admission(MOST_HELD * config.max_bytes)
            parts = config, token, self.models, metrics, admission
            most = most_connections()
            server, grpc_port = _grpc_server(config, most)
            Services(*parts).add_to(server)
            listening = settings.listen(config.host, config.rest_port, "--rest-port")
            places = Places(most, settings.tls(config.certificate), metrics.closed)
            rest = uvicorn.Server(
                uvicorn.Config(
                    make_app(*parts),
                    http=places,  # type: ignore[arg-type]
                    ws="none",
                    # Of what clients do wrong, metrics tell: any of them could fill a
                    # log.
                    log_config=None,
                    log_level="error",
                    access_log=False,
                    server_header=False,
                    lifespan="off",
                    backlog=128,
                    timeout_graceful_shutdown=int(GRACE),
                    # uvicorn's 5 s would close a connection just as a patient client
                    # asks again.
                    timeout_keep_alive=75,
                )
            )
            await server.start()
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result((listening.getsockname()[1], grpc_port))
        running = asyncio.create_task(rest.serve(sockets=[listening]))
        await self._end.wait()
        rest.should_exit = True
        await asyncio.gather(server.stop(GRACE), running)
        listening.close()

    def _poll(self) -> None:
        while not self._stopping.wait(self._config.poll_seconds):
            try:
                self.models.poll()
            except OSError as error:
                # A network folder that is away for a moment must not end the polling.
                logger.error("%s cannot be read: %s", self._config.models, error)
            except Exception:
                logger.exception(
                    "%s: the check for versions failed", self._config.models
                )


def _about_weights(models: Path) -> str:
    """How to serve the weights that are installed; empty if there are none."""
    copies = [
        f"{each.version} to {models / model_names(each.view)[0] / each.version.name}"
        for each in installed_weights()
    ]
    return f" Or copy installed weights: {', or '.join(copies)}." if copies else ""


def _grpc_server(config: ServerConfig, connections: int) -> tuple[grpc.aio.Server, int]:
    """Makes a gRPC server that is not started yet; returns it and its port."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", config.max_bytes),
            # Or a second server could listen on the same port, and get half of it.
            ("grpc.so_reuseport", 0),
            ("grpc.max_allowed_incoming_connections", connections),
            ("grpc.max_concurrent_streams", 128),
            ("grpc.server_handshake_timeout_ms", int(1000 * HEAD_SECONDS)),
            # Who is gone without a word is noticed.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # A client connects again by itself.
            ("grpc.max_connection_idle_ms", 300_000),
        ],
    )
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
            f"{address}: expected a free port. Received: {str(error).splitlines()[0]}. "
            "Give another --grpc-port, or another --host."
        ) from error
