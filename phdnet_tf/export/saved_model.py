"""Writes SavedModels as the next version, and loads them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from phdnet_tf.devices import take_memory_as_needed
from phdnet_tf.export.checksums import CHECKSUMS, checksums, require_complete
from phdnet_tf.export.describe_signature import describe_signature
from phdnet_tf.export.description import DESCRIPTION
from phdnet_tf.export.disk_errors import plain_disk_errors
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.export.networks import save_networks
from phdnet_tf.export.seen_images import write_seen_images
from phdnet_tf.export.versions import publish_version
from phdnet_tf.export.warm_up import WARM_UP, write_warm_up
from phdnet_tf.files import unfinished_folder


def export(
    served: ServedGraph,
    description: dict[str, Any],
    model_folder: Path,
    seen: Mapping[str, str],
    networks: Sequence[keras.Model] = (),
) -> Path:
    """Publishes a model as the next version, in one step.

    Args:
        served: The graph to save.
        description: Content of its `phdnet.json`.
        model_folder: For example `models/phdnet_sa`. It is created if necessary.
        seen: Use of each image that the model has learnt from, by content hash.
        networks: The Keras models for further training. Those in the graph are folded.

    Returns:
        The folder of the new version, for example `models/phdnet_sa/1`.

    Raises:
        OSError: If the version cannot be written. Then no version appears.
    """
    with (
        plain_disk_errors(model_folder),
        unfinished_folder(model_folder / "version") as partial,
    ):
        tf.saved_model.save(
            served,
            str(partial),
            signatures={
                "serving_default": served.locate,
                "png": served.locate_png,
                "explain": served.explain,
                "describe": describe_signature(description),
            },
        )
        (partial / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
        write_seen_images(partial, seen)
        save_networks(partial, networks)
        write_warm_up(partial / WARM_UP)
        (partial / CHECKSUMS).write_text(checksums(partial))
        return publish_version(partial, model_folder)


def load_signatures(
    version: Path,
) -> dict[str, tf.types.experimental.ConcreteFunction]:
    """The signatures of a SavedModel, by name.

    Raises:
        ValueError: If a file is missing or was changed, or TensorFlow cannot load it.
    """
    require_complete(version)
    take_memory_as_needed()
    try:
        return tf.saved_model.load(str(version)).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(
            f"{version}: expected a complete SavedModel. Received: {first}. Export it "
            "again, or use another version."
        ) from error
