"""Checksums of a version, by which a copy in part is known."""

import hashlib
from pathlib import Path

CHECKSUMS = "SHA256SUMS"


def checksums(version: Path) -> str:
    """What `sha256sum` prints for the files of a version."""
    return "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  "
        f"{file.relative_to(version)}\n"
        for file in sorted(version.rglob("*"))
        if file.is_file() and file.name != CHECKSUMS
    )


def require_complete(version: Path) -> None:
    """Refuses a version that was copied in part, or changed.

    Raises:
        ValueError: If a file is missing, differs from what was exported, or was not
            exported; the message names it.
        OSError: If a file cannot be read.
    """
    listed = version / CHECKSUMS
    if not listed.is_file():
        raise ValueError(
            f"{version}: expected {CHECKSUMS}, which is exported with every model. "
            "Received none: wait until the copy is complete, or export the model again."
        )
    found = set(checksums(version).splitlines())
    lines = listed.read_text(errors="replace").splitlines()
    for line in lines:
        if line not in found:
            raise ValueError(
                f"{version}: expected the files that {CHECKSUMS} lists. Received a "
                f"missing or different {line[66:]!r}: wait until the copy is complete, "
                "or copy it again."
            )
    # The list itself may have been copied in part.
    others = sorted(line[66:] for line in found.difference(lines))
    if others:
        raise ValueError(
            f"{version}: expected the files that {CHECKSUMS} lists. Received another "
            f"one, {others[0]!r}: wait until the copy is complete, or take it away."
        )
