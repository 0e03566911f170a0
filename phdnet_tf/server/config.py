"""Where and how to serve, and whether that can be: without TensorFlow, in no time."""

import errno
import importlib.util
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("grpc_health", "prometheus_client", "simdjson", "starlette", "uvicorn")
"""Packages of the extra `serve`."""

TOKEN_LENGTH = 16
"""Fewest characters of a token: fewer can be guessed."""


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
        token_file: File of the token that a request has to show; None asks for none.
        behind_proxy: Whether strangers are kept out by a proxy before the server.
        seconds: Most time for a REST request, from its first byte to its answer, and
            for a gRPC request to come in; its client says how long it waits.

    Raises:
        ValueError: If the address makes no sense, or strangers could use the server.
    """

    models: Path
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    poll_seconds: float = 2.0
    max_bytes: int = 64 * 1024 * 1024
    certificate: tuple[Path, Path] | None = None
    token_file: Path | None = None
    behind_proxy: bool = False
    seconds: float = 30.0

    def __post_init__(self) -> None:
        """Refuses to serve strangers; see the class."""
        if ":" in self.host and not _is_address(self.host):
            raise ValueError(
                f"--host: expected an address such as ::1, without brackets and port. "
                f"Received: {self.host!r}."
            )
        if not (is_loopback(self.host) or self.token_file or self.behind_proxy):
            raise ValueError(
                f"{self.host}: expected an address of this machine alone, such as "
                "127.0.0.1. Received one that others may reach, who could all use the "
                "server. Ask them for a token with --token-file, or say --behind-proxy "
                "if a proxy with a log-in keeps strangers out."
            )


def check(config: ServerConfig) -> None:
    """Refuses what cannot work, before anything is loaded.

    Raises:
        OSError: If a port is taken, or a file cannot be read.
        ValueError: If a package is missing, or the token or the key cannot be used.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{missing[0]} is missing. Install what serving needs: pip install "
            "'phdnet-tf[serve]'."
        )
    tls(config.certificate)
    token(config.token_file)
    for option, port in _ports(config):
        listen(config.host, port, option).close()


def _ports(config: ServerConfig) -> list[tuple[str, int]]:
    if config.rest_port and config.rest_port == config.grpc_port:
        raise ValueError(
            "--grpc-port: expected another than --rest-port. Received "
            f"{config.rest_port} for both."
        )
    return [("--rest-port", config.rest_port), ("--grpc-port", config.grpc_port)]


def listen(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens.

    Args:
        host: Address or name of this machine.
        port: 0 is any free one.
        option: What the port is called on the command line.

    Raises:
        OSError: If that cannot be, and which option to change.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        reason = str(error.strerror or error)
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise OSError(
                f"{host}:{port}: expected a free port. Received: {reason}. Give "
                f"another {option}, or another --host."
            ) from error
        raise OSError(
            f"{host}: expected an address of this machine, such as 127.0.0.1 or ::1. "
            f"Received: {reason}. Give another --host."
        ) from error
    # Connections inherit it. asyncio sets it on sockets of its own making only, and
    # without it every answer on a kept connection is 40 ms late.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def tls(certificate: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    """What encrypts connections, if anything.

    Args:
        certificate: PEM files of the chain and its private key.

    Raises:
        OSError: If a file cannot be read, or is something else.
        ValueError: If the key is encrypted.
    """
    if certificate is None:
        return None
    chain, key = certificate

    def encrypted() -> str:
        raise ValueError(
            f"{key}: expected a private key without a passphrase, as nobody is there "
            "to type it. Received an encrypted one. Decrypt it: openssl pkey -in "
            f"{key} -out plain.pem, and keep that from others."
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(chain, key, encrypted)
    except ssl.SSLError as error:
        reason = str(error.reason or error).replace("_", " ").lower()
        raise OSError(
            f"{chain} and {key}: expected a certificate and its private key, as PEM. "
            f"Received others: {reason}. Give both to --tls, the certificate first."
        ) from error
    return context


def token(file: Path | None) -> str | None:
    """The token in a file, if one is asked for.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it holds none, or one that is soon guessed.
    """
    if file is None:
        return None
    text = file.read_text(encoding="utf-8", errors="replace").strip()
    if len(text) < TOKEN_LENGTH or not text.isascii() or not text.isprintable():
        raise ValueError(
            f"{file}: expected one line of {TOKEN_LENGTH} ASCII characters or more. "
            "Received another. Make one: openssl rand -hex 32."
        )
    return text


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
