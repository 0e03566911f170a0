"""The images that a model has learnt from, kept with it as content hashes.

By them an image is known again that was saved anew, renamed or anonymised. They are
beside the description and not in it, for there may be many of them.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

SEEN = "seen_images.csv"


def write_seen_images(version: Path, seen: Mapping[str, str]) -> None:
    """Writes the list of a version that is not yet published.

    Args:
        version: Its folder.
        seen: By content hash what the image was for.

    Raises:
        OSError: If it cannot be written.
    """
    with (version / SEEN).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [("content_hash", "use"), *sorted(seen.items())]
        )


def load_seen_images(version: Path) -> dict[str, str]:
    """Reads what `write_seen_images` wrote.

    Raises:
        ValueError: If it is missing or unreadable.
    """
    try:
        with (version / SEEN).open(newline="") as file:
            return {row["content_hash"]: row["use"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{version}: expected a model that phdnet-tf exported, with {SEEN}, the "
            f"images that it has learnt from. Received: {error!r}. Export it again."
        ) from error
