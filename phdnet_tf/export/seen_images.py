"""Keeps content hashes of the images that a model has learnt from.

A hash recognises an image even if it was saved again, renamed or anonymised. The hashes
have their own file beside the description, because there may be many.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

SEEN = "seen_images.csv"


def write_seen_images(version: Path, seen: Mapping[str, str]) -> None:
    """Writes the list for a version that is not yet published.

    Args:
        version: Folder of the version.
        seen: Use of each image, by content hash.

    Raises:
        OSError: If the list cannot be written.
    """
    with (version / SEEN).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("content_hash", "use"), *sorted(seen.items())]
        )


def load_seen_images(version: Path) -> dict[str, str]:
    """Reads the list that `write_seen_images` wrote.

    Raises:
        ValueError: If the list is missing or unreadable.
    """
    try:
        with (version / SEEN).open(newline="") as file:
            return {row["content_hash"]: row["use"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{version}: expected a model that phdnet-tf exported, with {SEEN}, the "
            f"list of its training images. Received: {error!r}. Export it again."
        ) from error
