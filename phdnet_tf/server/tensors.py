"""The tensors of a request: their values, and whether they fit a signature."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from phdnet_tf.server.refusal import invalid


def arrays(tensors: Mapping[str, Any], most: float = math.inf) -> dict[str, np.ndarray]:
    """The values of TensorProtos.

    Args:
        tensors: The TensorProtos, by name.
        most: Largest number of values in all of them together. A TensorProto may repeat
            its last value to fill its shape, so a few bytes can claim gigabytes.

    Raises:
        Refusal: If there are too many values, or a tensor is invalid: it may have fewer
            bytes than its shape requires, for example.
    """
    values = {}
    count = sum(
        math.prod(abs(dim.size) for dim in tensor.tensor_shape.dim)
        for tensor in tensors.values()
    )
    if count > most:
        raise invalid(
            f"inputs: expected {most} values at most. Received: {count}. Send fewer "
            "images in a request."
        )
    for name, tensor in tensors.items():
        try:
            values[name] = tf.make_ndarray(tensor)
        except (TypeError, ValueError, OverflowError, MemoryError) as error:
            raise invalid(
                f"{name}: expected a tensor whose values fill its shape. Received "
                f"another: {error}."
            ) from error
    return values


def require_fit(name: str, value: np.ndarray, spec: Any) -> None:
    """Refuses a value whose type or shape differs from the signature's.

    Args:
        name: Name of the input.
        value: Its value.
        spec: The TensorInfo of the input.

    Raises:
        Refusal: With the expected type and shape.
    """
    wanted = tf.dtypes.as_dtype(spec.dtype)
    shape = [dim.size for dim in spec.tensor_shape.dim]
    fits = len(shape) == value.ndim and all(
        size in (-1, received)
        for size, received in zip(shape, value.shape, strict=True)
    )
    if tf.dtypes.as_dtype(value.dtype) != wanted or not fits:
        raise invalid(
            f"{name}: expected {wanted.name}{shape}, where -1 is any number. Received: "
            f"{tf.dtypes.as_dtype(value.dtype).name}{list(value.shape)}."
        )
