"""`phdnet-tf serve`: the models over REST and gRPC."""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.amounts import Amount
from phdnet_tf.startup import load_tensorflow

PEM = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@options.models
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. To serve other machines, add --token-file or "
    "--behind-proxy.",
)
@click.option(
    "--rest-port", type=click.IntRange(0, 65535), default=8501, show_default=True
)
@click.option(
    "--grpc-port", type=click.IntRange(0, 65535), default=8500, show_default=True
)
@click.option(
    "--poll",
    type=Amount(min=0.1, max=86_400),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Interval between checks for new versions.",
)
@click.option(
    "--max-request",
    type=click.IntRange(1, 1024),
    default=64,
    show_default=True,
    metavar="MB",
    help="Largest size of a request.",
)
@click.option(
    "--tls",
    type=(PEM, PEM),
    metavar="CERTIFICATE KEY",
    help="PEM files of the certificate and its key, for https and gRPC over TLS.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the token that every client must send: predict --server-token.",
)
@click.option(
    "--behind-proxy",
    is_flag=True,
    help="Require no token: a proxy before the server authenticates the users.",
)
def serve(
    models: Path,
    host: str,
    rest_port: int,
    grpc_port: int,
    poll: float,
    max_request: int,
    tls: tuple[Path, Path] | None,
    token_file: Path | None,
    behind_proxy: bool,
) -> None:
    """Serve all models in a folder over REST and gRPC, as TF Serving does.

    New versions are loaded as they appear. Ctrl-C or SIGTERM stops the server after
    the requests in progress. For many users, use TF Serving itself.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    from phdnet_tf.server.config import ServerConfig, check, is_loopback

    with options.plain_errors():
        config = ServerConfig(
            models=models,
            host=host,
            rest_port=rest_port,
            grpc_port=grpc_port,
            poll_seconds=poll,
            max_bytes=max_request * 1024 * 1024,
            certificate=tls,
            token_file=token_file,
            behind_proxy=behind_proxy,
        )
        # Before TensorFlow is loaded, which takes seconds.
        check(config)
    if not tls and not behind_proxy and not is_loopback(host):
        logging.getLogger(__name__).warning(
            "%s can be reached from other machines without encryption: see --tls",
            host,
        )
    load_tensorflow()
    from phdnet_tf.server.app import Server

    with options.plain_errors(), Server(config) as server:
        click.echo(f"REST: {server.rest}\ngRPC: {server.grpc}\nCtrl-C stops it.")
        _wait_for_a_signal()
        click.echo("Stopping.", err=True)


def _wait_for_a_signal() -> None:
    """Returns after Ctrl-C or SIGTERM."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: received.append(number))
    # The system may deliver the signal to one of TensorFlow's threads. An endless wait
    # in this thread, the only one in which Python runs handlers, would then continue.
    while not received:
        time.sleep(0.1)
