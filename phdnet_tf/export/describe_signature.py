"""The signature of a model that returns its `phdnet.json`."""

import json
from typing import Any

import tensorflow as tf

from phdnet_tf.export.input_checks import MAX_BATCH, require


def describe_signature(
    description: dict[str, Any],
) -> tf.types.experimental.PolymorphicFunction:
    """Makes the signature that returns `phdnet.json` to a client."""
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
