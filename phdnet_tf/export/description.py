"""What a model is: `phdnet.json`, and the signature that tells it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from phdnet_tf.export.input_checks import MAX_BATCH, require

DESCRIPTION = "phdnet.json"


def describe_signature(
    description: dict[str, Any],
) -> tf.types.experimental.PolymorphicFunction:
    """A signature that tells a client what `phdnet.json` says."""
    texts = {key: json.dumps(value) for key, value in description.items()}
    texts["description"] = json.dumps(description)
    names = tf.constant(list(texts))

    # It has an input, because TF Serving cannot batch a signature without one.
    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name="field")],
        autograph=False,
    )
    def describe(field: tf.Tensor) -> dict[str, tf.Tensor]:
        """A part of the model's description.

        Args:
            field: string[B], a key of `phdnet.json`, or "description" for all of it.

        Returns:
            "value" string[B], JSON.
        """
        matches = tf.ensure_shape(field, [None])[:, None] == names
        known = require(
            tf.reduce_any(matches, axis=1),
            f"field: expected one of {', '.join(texts)}. Received:",
            field,
        )
        few = require(
            tf.size(field) <= MAX_BATCH,
            f"field: expected {MAX_BATCH} at most in a request. Received:",
            tf.size(field),
        )
        with tf.control_dependencies([known, few]):
            index = tf.argmax(tf.cast(matches, tf.int32), axis=1)
        return {"value": tf.gather(tf.constant(list(texts.values())), index)}

    return describe


def load_description(version: Path) -> dict[str, Any]:
    """Reads `phdnet.json`.

    Raises:
        ValueError: If it is missing or unreadable.
    """
    try:
        return json.loads((version / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{version}: expected a model that phdnet-tf exported, with {DESCRIPTION}. "
            f"Received: {error}."
        ) from error


def usual_orientations(description: dict[str, Any]) -> Sequence[Sequence[float]]:
    """How images of the model's view usually lie; see `dicom.turning`.

    Args:
        description: What `phdnet.json` says. It says nothing of it where nothing is
            usual.
    """
    return description.get("usual_orientations", [])
