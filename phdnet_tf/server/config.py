"""The server's settings, and their checks, which do not load TensorFlow."""

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
"""Smallest number of characters of a token. A shorter one can be guessed."""


@dataclass(frozen=True)
class ServerConfig:
    """Where and how to serve.

    Attributes:
        models: Folder of all models.
        host: Address to listen on.
        rest_port: Port of REST. 0 is any free port.
        grpc_port: Port of gRPC. 0 is any free port.
        poll_seconds: Interval between checks for new versions, in seconds.
        max_bytes: Largest size of a request, in bytes.
        certificate: PEM files of the certificate chain and its private key, for https
            and gRPC over TLS. None serves both without encryption.
        token_file: File of the token that a request must send. None requires no token.
        behind_proxy: Whether a proxy before the server authenticates the users.
        seconds: Longest time, in seconds, for a REST request from its first byte to its
            answer, and for a gRPC request to be received. A gRPC client sets the time
            for the answer.

    Raises:
        ValueError: If the address is not valid, or if anyone could use the server.
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
        """Refuses settings that would let anyone use the server; see the class."""
        if ":" in self.host and not _is_address(self.host):
            raise ValueError(
                f"--host: expected an address such as ::1, without brackets and port. "
                f"Received: {self.host!r}."
            )
        if not (is_loopback(self.host) or self.token_file or self.behind_proxy):
            raise ValueError(
                f"{self.host}: expected an address of this machine alone, such as "
                "127.0.0.1. Received one that others can reach, so anyone could use "
                "the server. Require a token with --token-file, or give --behind-proxy "
                "if a proxy authenticates the users."
            )


def check(config: ServerConfig) -> None:
    """Refuses settings that cannot work, before anything is loaded.

    Raises:
        OSError: If a port is taken, or a file cannot be read.
        ValueError: If a package is missing, or the token or the key cannot be used.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{missing[0]} is missing. Install the packages for serving: pip install "
            "'phdnet-tf[serve]'."
        )
    tls(config.certificate)
    token(config.token_file)
    for option, port in _ports(config):
        listen(config.host, port, option).close()


def _ports(config: ServerConfig) -> list[tuple[str, int]]:
    if config.rest_port and config.rest_port == config.grpc_port:
        raise ValueError(
            "--grpc-port: expected another port than --rest-port. Received "
            f"{config.rest_port} for both."
        )
    return [("--rest-port", config.rest_port), ("--grpc-port", config.grpc_port)]


def listen(host: str, port: int, option: str) -> socket.socket:
    """Opens a socket that listens.

    Args:
        host: Address or name of this machine.
        port: Number of the port. 0 is any free port.
        option: Name of the port's option on the command line.

    Raises:
        OSError: If the socket cannot listen. The message says which option to change.
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
    # Connections inherit this option. asyncio sets it only on sockets that it makes.
    # Without it, every answer on a kept connection is 40 ms late.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def tls(certificate: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    """The TLS context of the server; None without a certificate.

    Args:
        certificate: PEM files of the chain and its private key.

    Raises:
        OSError: If a file cannot be read, or is not such a file.
        ValueError: If the key is encrypted.
    """
    if certificate is None:
        return None
    chain, key = certificate

    def encrypted() -> str:
        raise ValueError(
            f"{key}: expected a private key without a passphrase, because nobody can "
            "type it here. Received an encrypted key. Decrypt it with openssl pkey -in "
            f"{key} -out plain.pem, and keep the new file secret."
        )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(chain, key, encrypted)
    except ssl.SSLError as error:
        reason = str(error.reason or error).replace("_", " ").lower()
        raise OSError(
            f"{chain} and {key}: expected a certificate and its private key, as PEM. "
            f"Received other files: {reason}. Give both to --tls, the certificate "
            "first."
        ) from error
    return context


def token(file: Path | None) -> str | None:
    """Reads the token; None without a file.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds no token, or one that is too short.
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
    """Whether only this machine can reach an address."""
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
