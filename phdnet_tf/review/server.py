"""The server of the review page, on this machine only."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn

from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.inference.results import Locator
from phdnet_tf.review.access import Keys
from phdnet_tf.review.app import make_app
from phdnet_tf.review.filling import Progress
from phdnet_tf.review.pictures import Pictures
from phdnet_tf.review.project import Project
from phdnet_tf.review.trail import Lane

HOST = "127.0.0.1"


class ReviewServer:
    """A running server, as a context: it serves inside the `with` block.

    Args:
        project: The reviewed project.
        lane: The reader or judge.
        progress: Progress of filling the project.
        port: Port to listen on. None is the port of last time, so that open tabs still
            work, or else any free port.
        pixel_spacing: (y, x), mm, for files that have none.
        show_identity: Whether the page may show the patients' identity.
        load: Returns the model, for its candidate maps; None without a model.

    Attributes:
        address: Address of the page with a one-time code, for example
            "http://127.0.0.1:40123/#code=k3J...".
        keys: Makes codes for further browsers.

    Raises:
        OSError: On entry, if the port is taken.
    """

    def __init__(
        self,
        project: Project,
        lane: Lane,
        progress: Progress,
        port: int | None = None,
        pixel_spacing: tuple[float, float] | None = None,
        show_identity: bool = False,
        load: Callable[[], Locator] | None = None,
    ) -> None:
        """Starts nothing yet."""
        self._load = load
        self._project, self._lane, self._progress = project, lane, progress
        self._port, self._spacing, self._identity = port, pixel_spacing, show_identity

    def __enter__(self) -> Self:
        """Starts to serve."""
        listening = self._listen()
        port = listening.getsockname()[1]
        self._project.set("port", port)
        self._sandbox = Sandbox()
        self.keys = Keys(self._project.store)
        pictures = Pictures(self._project, self._sandbox, self._spacing, self._load)
        app = make_app(
            *(self._project, self._lane, pictures, self.keys, port, self._progress),
            show_identity=self._identity,
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                ws="none",
                # Addresses of images in a log would tell who looked at what.
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
        )
        # Outside the main thread, uvicorn leaves signals to whoever runs this server.
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listening])),
            daemon=True,
        )
        self._thread.start()
        self._listening = listening
        self.address = f"http://{HOST}:{port}/#code={self.keys.new_code()}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Waits for the requests in progress, and stops."""
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()
        self._sandbox.close()

    def _listen(self) -> socket.socket:
        # A tab belongs to one port: its changes that were not sent wait there.
        last = self._project.setting("port")
        tries = [self._port] if self._port is not None else [last, 0]
        for port in tries:
            if port is None:
                continue
            listening = socket.socket()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((HOST, port))
            except OSError as error:
                listening.close()
                reason = error
                continue
            listening.listen(64)
            return listening
        raise OSError(
            f"{HOST}:{self._port}: expected a free port. Received: {reason.strerror}. "
            "Give another --port."
        )
