"""Checksums of a version, which reveal an incomplete copy."""

import hashlib
from pathlib import Path

CHECKSUMS = "SHA256SUMS"


def checksums(version: Path) -> str:
    """The checksums of a version's files, in the format of `sha256sum`."""
    return "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  "
        f"{file.relative_to(version)}\n"
        for file in sorted(version.rglob("*"))
        if file.is_file() and file.name != CHECKSUMS
    )


def require_complete(version: Path) -> None:
    """Refuses a version that is incomplete or was changed.

    Raises:
        ValueError: If a file is missing, differs from what was exported, or was not
            exported; the message names it.
        OSError: If a file cannot be read.
    """
    listed = version / CHECKSUMS
    if not listed.is_file():
        raise ValueError(
            f"{version}: expected {CHECKSUMS}, which is exported with every model. "
            "Received none. Wait until the copy is complete, or export the model again."
        )
    found = set(checksums(version).splitlines())
    lines = listed.read_text(errors="replace").splitlines()
    for line in lines:
        if line not in found:
            raise ValueError(
                f"{version}: expected the files that {CHECKSUMS} lists. Received a "
                f"missing or different {line[66:]!r}. Wait until the copy is complete, "
                "or copy it again."
            )
    # The list itself may be incomplete.
    others = sorted(
        line[66:]
        for line in found.difference(lines)
        # Those that file managers and network folders leave.
        if not Path(line[66:]).name.startswith(".")
    )
    if others:
        raise ValueError(
            f"{version}: expected the files that {CHECKSUMS} lists. Received another "
            f"one, {others[0]!r}. Wait until the copy is complete, or remove the file."
        )
