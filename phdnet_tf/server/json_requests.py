"""Reads requests in TF Serving's JSON into arrays, and writes the answers as JSON.

simdjson reads numbers into arrays without an object for each number. It takes a fifth
of the time of Python's `json`.
"""

import base64
import binascii
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import simdjson
import tensorflow as tf

from phdnet_tf.server.refusal import Refusal, invalid, too_large
from phdnet_tf.server.registry import Models, Version

SIGNATURE = "serving_default"

BYTES_A_VALUE = 24
"""Bytes of memory per JSON value while a request is read. A value can have only two
characters, so the number of values is limited by the size of a request and this."""


@dataclass(frozen=True)
class Asked:
    """A predict request.

    Attributes:
        version: The version of the model.
        signature: Name of the version's signature.
        inputs: Inputs of the signature.
        rows: Whether the request has the row format, as its answer will.
    """

    version: Version
    signature: str
    inputs: dict[str, np.ndarray]
    rows: bool


def inflate(body: bytes, most: int) -> bytes:
    """Decompresses a gzip body.

    Raises:
        Refusal: If it is damaged, or larger than `most` bytes when decompressed.
    """
    inflating = zlib.decompressobj(wbits=31)
    try:
        plain = inflating.decompress(body, most + 1)
    except zlib.error as error:
        raise invalid(f"Content-Encoding: expected gzip: {error}.") from error
    if len(plain) > most:
        raise too_large(most)
    if not inflating.eof or inflating.unused_data:
        raise invalid("Content-Encoding: expected one whole file of gzip.")
    return plain


def read(
    body: bytes, models: Models, name: str, number: int | None, most: int
) -> Asked:
    """Reads the body of a predict request.

    Args:
        body: JSON, as UTF-8.
        models: The served models.
        name: Name of the model.
        number: Number of its version; None means the one in service.
        most: Largest size of a request, in bytes.

    Raises:
        Refusal: If the body is invalid or too large, or the model is not served.
    """
    if values_of(body) > most // BYTES_A_VALUE:
        raise too_many(most)
    try:
        request = simdjson.Parser().parse(body)
    except (ValueError, RuntimeError) as error:
        reason = str(error).split(".")[0]
        if b"NaN" in body or b"Infinity" in body:
            reason = "expected finite numbers, as JSON has no NaN and no Infinity"
        raise invalid(f"JSON Parse error: {reason}.") from error
    if not isinstance(request, simdjson.Object):
        raise invalid("JSON: expected an object.")
    parts = _parts(request)
    signature = parts.get("signature_name", SIGNATURE)
    if not isinstance(signature, str):
        raise invalid("'signature_name' key must be a string value.")
    signature = signature or SIGNATURE
    version = models.find(name, number)
    specs = version.inputs(signature)
    if ("inputs" in parts) == ("instances" in parts):
        raise invalid("JSON: expected one of the keys 'inputs' and 'instances'.")
    rows = "instances" in parts
    given = (
        _of_instances(parts["instances"], specs)
        if rows
        else _of_inputs(parts["inputs"], specs)
    )
    inputs = {
        key: _array(key, value, tf.dtypes.as_dtype(specs[key].dtype))
        for key, value in given.items()
    }
    _require_flat(body, given, inputs)
    return Asked(version, signature, inputs, rows)


def values_of(text: bytes) -> int:
    """An upper bound of the number of values in a part of JSON; 0 in base64."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def too_many(most: int) -> Refusal:
    """The error for a request with too many JSON values: 413."""
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"The request is larger than {most // BYTES_A_VALUE} JSON values. Send fewer "
        "images per request, send them as PNG (signature png), or use gRPC.",
        http=413,
    )


def answer(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """The answer as JSON, in the format of the request."""
    plain = {name: _plain(value) for name, value in outputs.items()}
    [only, *more] = plain.values()
    if not rows:
        return json.dumps({"outputs": plain if more else only}).encode()
    if not more:
        return json.dumps({"predictions": only}).encode()
    predictions = zip(*plain.values(), strict=True)
    return json.dumps(
        {"predictions": [dict(zip(plain, row, strict=True)) for row in predictions]}
    ).encode()


def _of_inputs(value: Any, specs: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the column format, in which each input is one array."""
    if not isinstance(value, simdjson.Object) or _is_base64(value):
        if len(specs) > 1:
            raise invalid(f"inputs: expected an object with {', '.join(specs)}.")
        return {next(iter(specs)): value}
    parts = _parts(value)
    if missing := specs.keys() - parts.keys():
        raise invalid(f"Missing named input: {', '.join(missing)} in 'inputs' object.")
    return {name: parts[name] for name in specs}


def _of_instances(value: Any, specs: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the row format: per image, an object or the value of the only input."""
    if not isinstance(value, simdjson.Array) or not len(value):
        raise invalid("instances: expected a list of one or more.")
    first: Any = value[0]
    if not isinstance(first, simdjson.Object) or _is_base64(first):
        if len(specs) > 1:
            raise invalid(f"instances: expected objects with {', '.join(specs)}.")
        return {next(iter(specs)): value}
    rows = []
    for number, instance in enumerate(value):
        row = _parts(instance) if isinstance(instance, simdjson.Object) else {}
        if row.keys() != specs.keys():
            raise invalid(
                f"instances: expected the keys {', '.join(specs)} in each. Received "
                f"others in number {number}."
            )
        rows.append(row)
    return {name: [row[name] for row in rows] for name in specs}


def _parts(value: simdjson.Object) -> dict[str, Any]:
    # Its own `items` makes Python objects of all that is in it.
    return {key: value.get(key) for key in value.keys()}


def _is_base64(value: Any) -> bool:
    return isinstance(value, simdjson.Object) and list(value.keys()) == ["b64"]


def _array(name: str, value: Any, dtype: tf.DType) -> np.ndarray:
    try:
        if dtype == tf.string:
            texts = np.array(_strings(value), object)
            # NumPy makes an array of lists of what is ragged.
            if not all(isinstance(text, bytes) for text in texts.flat):
                raise ValueError("received rows that differ in length")
            return texts
        array = _numbers(value)
    except (ValueError, RecursionError, binascii.Error) as error:
        raise invalid(f"{name}: expected {dtype.name} values: {error}.") from error
    with np.errstate(over="ignore"):
        return array.astype(dtype.as_numpy_dtype)


def _numbers(value: Any) -> np.ndarray:
    """Numbers as a float64 array with the shape of the lists."""
    if isinstance(value, list):  # of an input in the row format
        return np.stack([_numbers(each) for each in value])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return np.array(value, np.float64)
    if not isinstance(value, simdjson.Array):
        raise ValueError("expected numbers")
    shape: list[int] = []
    row: list[Any] = [value]
    while isinstance(row[0], simdjson.Array):
        if len({_length(each) for each in row}) > 1:
            raise ValueError("received rows that differ in length")
        shape.append(len(row[0]))
        first: Any = row[0][0] if shape[-1] else None
        if not isinstance(first, simdjson.Array):
            break
        row = [part for each in row for part in each]
    try:
        numbers = np.frombuffer(value.as_buffer(of_type="d"))
    except TypeError as error:
        raise ValueError("expected numbers") from error
    # It takes all numbers, however deep: among those of the last list, too.
    if len(numbers) != math.prod(shape):
        raise ValueError("received rows that differ in length")
    return numbers.reshape(shape)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, simdjson.Array) else -1


def _require_flat(
    body: bytes, given: dict[str, Any], inputs: dict[str, np.ndarray]
) -> None:
    """Refuses lists among numbers, such as [1, [2]], which simdjson reads as [1, 2]."""
    # Only then are there other lists than those whose lengths made the shapes.
    rows = any(isinstance(value, list) for value in given.values())
    lists = rows + sum(
        math.prod(inputs[key].shape[:axis])
        for key in given
        for axis in range(rows, inputs[key].ndim)
    )
    if body.count(b"[") == lists:
        return
    for key, value in given.items():
        if inputs[key].dtype != object and len(_depths(value)) > 1:
            raise invalid(f"{key}: expected only numbers, or only lists, in a list.")


def _depths(value: Any) -> set[int]:
    """The nesting depth of each number."""
    if not isinstance(value, simdjson.Array | list):
        return {0}
    return {depth + 1 for part in value for depth in _depths(part)}


def _strings(value: Any) -> Any:
    if isinstance(value, simdjson.Array | list):
        return [_strings(part) for part in value]
    if isinstance(value, str):
        return value.encode()
    if _is_base64(value) and isinstance(value["b64"], str):
        # As TF Serving does, without line breaks, and with or without padding.
        text = "".join(value["b64"].split()).rstrip("=")
        return base64.b64decode(text + -len(text) % 4 * "=", validate=True)
    raise ValueError("received neither a string nor an object {'b64': ...}")


def _plain(value: np.ndarray) -> Any:
    if value.dtype == object:
        return [text.decode() for text in value]
    return value.tolist()
