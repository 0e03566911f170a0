"""Short texts that change when a data folder changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from phdnet_tf.datasets.folder.check import Inspection
from phdnet_tf.datasets.folder.table import points_in_pixels, read_table


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


def content(inspection: Inspection) -> str:
    """A short text that depends only on what the table and the images hold.

    It changes with a subject, a point, a fold, the name of an image, or an image's
    pixels or orientation. Unlike `fingerprint` it does not depend on how and when a
    file was written.

    Args:
        inspection: The result of `inspect`, without an error.
    """
    table, images = inspection.table, inspection.images
    digest = hashlib.sha256()
    for row in sorted(table.rows, key=lambda row: row.id):
        facts = images[row.id]
        # Adding zero makes -0 a plain 0.
        points = points_in_pixels(table, row, facts.height, facts.width) + 0.0
        named = sorted(zip(table.landmarks, points.tolist(), strict=True))
        fold = inspection.folds[row.subject]
        # How an image lies decides how it is turned.
        seen = (facts.content_hash, facts.orientation)
        said = (row.id, row.subject, fold, named, *seen)
        digest.update(repr(said).encode())
    return digest.hexdigest()
