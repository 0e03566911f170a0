"""Describes a model without loading it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from phdnet_tf.export.checksums import CHECKSUMS, require_complete
from phdnet_tf.export.description import load_description, model_name
from phdnet_tf.export.versions import resolve_version


@dataclass(frozen=True)
class Described:
    """The description of a model.

    Attributes:
        name: Name and version, for example "phdnet_4ch/3".
        view: Name of its view.
        landmarks: Names of its landmarks.
        version: Folder of the version.
        checksums: Checksums of its files, which identify its content.
    """

    name: str
    view: str
    landmarks: tuple[str, ...]
    version: Path
    checksums: str


def describe(path: Path) -> Described:
    """Reads the description of a model.

    Args:
        path: A model folder, for its newest version; or the folder of a version.

    Raises:
        ValueError: If there is no usable model.
        OSError: If a file cannot be read.
    """
    version = resolve_version(path).resolve()
    require_complete(version)
    description = load_description(version)
    return Described(
        model_name(version.parent.name, version.name, description),
        description["view"],
        tuple(description["landmarks"]),
        version,
        (version / CHECKSUMS).read_text(),
    )
