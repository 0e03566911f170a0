"""What is refused before TensorFlow is loaded."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.certificates import certificate

from phdnet_tf.cli import main
from phdnet_tf.server.config import ServerConfig, check, is_loopback


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A certificate, its key, the same encrypted, and another's key."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other"):
        certificate(folder, name)
    subprocess.run(
        ["openssl", "pkey", "-aes128", "-passout", "pass:secret"]
        + ["-in", "own.key", "-out", "encrypted.key"],
        check=True,
        cwd=folder,
    )
    return folder


def serve(*arguments):
    """The one line that the command ends with, and its exit code."""
    result = CliRunner().invoke(main, ["serve", *map(str, arguments)])
    assert result.output.count("\n") == 1, result.output
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("host", "whole"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True)]
    + [("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("somewhere", False)],
)
def test_strangers_are_kept_out(tmp_path, host, whole):
    assert is_loopback(host) == whole
    if whole:
        ServerConfig(tmp_path, host)
        return
    with pytest.raises(ValueError, match="--token-file.*--behind-proxy"):
        ServerConfig(tmp_path, host)
    ServerConfig(tmp_path, host, behind_proxy=True)
    ServerConfig(tmp_path, host, token_file=tmp_path / "token")


@pytest.mark.parametrize("host", ["::g", "[::1]", "127.0.0.1:8501"])
def test_an_address_that_is_none_is_refused_in_one_line(tmp_path, host):
    code, output = serve("--models", tmp_path, "--host", host)

    assert code == 1 and f"Received: {host!r}" in output and "such as ::1" in output


def test_a_host_that_is_elsewhere_is_refused_in_one_line(tmp_path):
    arguments = ("--models", tmp_path, "--host", "192.0.2.1", "--behind-proxy")
    code, output = serve(*arguments)

    assert code == 1 and "expected an address of this machine" in output


@pytest.mark.parametrize("option", ["--rest-port", "--grpc-port"])
def test_a_port_that_is_taken_is_refused_in_one_line(tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--rest-port": 0, "--grpc-port": 0, option: port}
        both = [each for pair in ports.items() for each in pair]
        code, output = serve("--models", tmp_path, *both)

    assert code == 1 and f"127.0.0.1:{port}" in output and option in output


def test_one_port_for_both_is_refused(tmp_path):
    with pytest.raises(ValueError, match="another port than --rest-port"):
        check(ServerConfig(tmp_path, rest_port=8999, grpc_port=8999))


@pytest.mark.parametrize(
    ("chain", "key", "message"),
    [
        ("own.pem", "encrypted.key", "openssl pkey -in .*encrypted.key"),
        ("own.pem", "other.key", "key values mismatch"),
        ("own.key", "own.pem", "the certificate first"),
    ],
)
def test_a_key_that_does_not_do_is_refused_in_one_line(
    tmp_path, keys, chain, key, message
):
    with pytest.raises((OSError, ValueError), match=message):
        check(
            ServerConfig(
                *(tmp_path, "127.0.0.1", 0, 0),
                certificate=(keys / chain, keys / key),
            )
        )
    code, output = serve(
        *("--models", tmp_path, "--rest-port", 0, "--grpc-port", 0),
        *("--tls", keys / chain, keys / key),
    )
    assert code == 1


def test_a_certificate_and_its_key_are_taken(tmp_path, keys):
    pair = keys / "own.pem", keys / "own.key"
    check(ServerConfig(tmp_path, "127.0.0.1", 0, 0, certificate=pair))


@pytest.mark.parametrize(
    "text", ["", "short", "two lines of\ntext, long enough", "ä" * 20]
)
def test_a_token_that_is_soon_guessed_or_is_none_is_refused(tmp_path, text):
    (tmp_path / "token").write_text(text)
    config = ServerConfig(tmp_path, "::1", 0, 0, token_file=tmp_path / "token")

    with pytest.raises(ValueError, match="openssl rand -hex 32"):
        check(config)


def test_nothing_of_it_takes_tensorflow(tmp_path):
    code = (
        "import sys; from phdnet_tf.cli import main\n"
        f"arguments = ['serve', '--models', {str(tmp_path)!r}, '--host', '::g']\n"
        "try: main(arguments)\n"
        "finally: assert not {'tensorflow', 'uvicorn', 'grpc'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.home()
    )

    assert done.returncode == 1 and "such as ::1" in done.stderr
    assert "AssertionError" not in done.stderr
