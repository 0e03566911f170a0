"""What is to be done with a planned archive: its shards, models and options.

Whoever comes first writes it; all others have to want the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phdnet_tf import __version__
from phdnet_tf.batch.index import Index
from phdnet_tf.batch.layout import MANIFEST
from phdnet_tf.export.checksums import checksums
from phdnet_tf.export.description import load_description, model_name
from phdnet_tf.export.versions import resolve_version

SHARD_IMAGES = 2000
"""About so many images make minutes of work on one processor core."""


@dataclass(frozen=True)
class Model:
    """A model that is used.

    Attributes:
        view: Of its view.
        name: Name and version, for example "phdnet_sa/3".
        path: Folder of the version, from the root.
        sha256: Of the list of its files' checksums, in hexadecimal digits.
    """

    view: str
    name: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What is to be done.

    Attributes:
        models: One for each view.
        view: The view that the user says all images have, or None to propose one for
            each.
        frames: Which phases of each cine; see `cines.choose`.
        pixel_spacing: (between rows, between columns) = (y, x), in mm, for files that
            have none; or None.
        shard_images: Images a shard, about.
        shards: First and last number of each shard's studies.
        index: SHA-256 of what the index says, in hexadecimal digits.
        version: Of phdnet-tf.
    """

    models: tuple[Model, ...]
    view: str | None
    frames: str | int | None
    pixel_spacing: tuple[float, float] | None
    shard_images: int
    shards: tuple[tuple[int, int], ...]
    index: str
    version: str = __version__

    def to_json(self) -> str:
        """As it stands in the file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def describe_model(path: Path) -> Model:
    """A model as the manifest names it.

    Args:
        path: A model folder, whose newest version is taken, or the folder of a version.

    Raises:
        ValueError: If there is no usable model.
        OSError: If a file of it cannot be read.
    """
    version = resolve_version(path).resolve()
    digest = hashlib.sha256(checksums(version).encode()).hexdigest()
    description = load_description(version)
    name = model_name(version.parent.name, version.name, description)
    return Model(description["view"], name, str(version), digest)


def claim(
    folder: Path,
    models: Iterable[Model],
    view: str | None,
    frames: str | int | None,
    pixel_spacing: tuple[float, float] | None,
    shard_images: int,
) -> Manifest:
    """The manifest of an output folder, which is written where there is none.

    Args:
        folder: The output folder, which has an index.
        models: See `Manifest`, as for what follows.
        view: The view of all images.
        frames: Which phases.
        pixel_spacing: In mm.
        shard_images: Images a shard, about.

    Raises:
        ValueError: If nothing is planned, or if there is a manifest that wants anything
            else.
        OSError: If it cannot be written.
    """
    with Index(folder) as index:
        sizes = index.sizes(all_phases=frames == "all")
        wanted = Manifest(
            models=tuple(models),
            view=view,
            frames=frames,
            pixel_spacing=pixel_spacing,
            shard_images=shard_images,
            shards=tuple(_shards(sizes, shard_images)),
            index=_digest(index.about(), index.totals()),
        )
    path = folder / MANIFEST
    own = folder / f".unfinished-{uuid.uuid4().hex}.json"
    try:
        own.write_text(wanted.to_json())
        # Unlike a rename, it fails where there is one: of many that start at the same
        # moment one is the first.
        os.link(own, path)
    except FileExistsError:
        _require_same(wanted, load_manifest(folder), path)
    finally:
        own.unlink(missing_ok=True)
    return wanted


def load_manifest(folder: Path) -> Manifest:
    """Reads the manifest of an output folder.

    Raises:
        ValueError: If there is none, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_text())
        spacing = values.pop("pixel_spacing")
        return Manifest(
            models=tuple(Model(**model) for model in values.pop("models")),
            shards=tuple((first, last) for first, last in values.pop("shards")),
            pixel_spacing=spacing and (spacing[0], spacing[1]),
            **values,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: expected what 'phdnet-tf batch run' wrote. Received: {error!r}. "
            "Choose another folder, or start again in a new one."
        ) from error


def _shards(sizes: Iterable[int], shard_images: int) -> Iterator[tuple[int, int]]:
    """First and last study of each shard: whole studies, as many as come near it."""
    first, last, images = 1, 0, 0
    for number, size in enumerate(sizes, 1):
        if images and images + size > shard_images:
            yield first, last
            first, images = number, 0
        last, images = number, images + size
    yield first, last


def _digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _require_same(wanted: Manifest, found: Manifest, path: Path) -> None:
    for name, value in asdict(wanted).items():
        there = asdict(found)[name]
        if there != value:
            raise ValueError(
                f"{path}: expected the {name.replace('_', ' ')} that it was started "
                f"with, {_short(there)}. Received {_short(value)}: give the same "
                "options and models, or choose another --output."
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 160 else f"{text[:160]}…"
