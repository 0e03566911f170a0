"""Short texts that change when a folder changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from phdnet_tf.datasets.folder.check import Inspection
from phdnet_tf.datasets.folder.table import read_table


def fingerprint(folder: Path) -> str:
    """A short text that changes when the table, or an image file it names, changes.

    Raises:
        ValueError: If the table cannot be read.
    """
    table = read_table(folder)
    digest = hashlib.sha256((folder / table.file).read_bytes())
    for row in table.rows:
        # Size and time of change, not content: this runs before every training, and a
        # look at 10,000 files takes about a second where reading them would take from
        # half a minute to many. Only a change that keeps both is missed, which takes
        # intent; a copy that renews the time just costs a rebuild.
        try:
            status = (folder / row.image).stat()
            digest.update(
                f"{row.image}\0{status.st_size}\0{status.st_mtime_ns}".encode()
            )
        except OSError:
            digest.update(f"{row.image}\0missing".encode())
    return digest.hexdigest()


def content(folder: Path, inspection: Inspection) -> str:
    """A short text that copies of a folder have in common, and that changes with it.

    Unlike `fingerprint` it tells nothing of when a file was written.

    Args:
        folder: The folder.
        inspection: What `inspect` found in it.
    """
    digest = hashlib.sha256((folder / inspection.table.file).read_bytes())
    for name, facts in sorted(inspection.images.items()):
        digest.update(f"{name}\0{facts.content_hash}\0{facts.pixel_spacing}".encode())
    return digest.hexdigest()
