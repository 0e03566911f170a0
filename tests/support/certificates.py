"""Certificates that nobody trusts, for servers on this machine."""

import shutil
import subprocess

import pytest


def certificate(folder, name="own"):
    """PEM files of a certificate for localhost and 127.0.0.1, and of its key."""
    if not shutil.which("openssl"):
        pytest.skip("no certificate can be made: openssl is not installed")
    files = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-out", files[0], "-keyout", files[1]]
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return files
