"""Extracts the sentence of a graph's error, without what the runtime adds."""

import re

import tensorflow as tf


def what_is_wrong(error: tf.errors.OpError | str) -> str:
    """The sentence of an INVALID_ARGUMENT, without the names of graph nodes."""
    message = str(getattr(error, "message", error))
    # What the runtime adds comes after the reason, and Python's traceback before it.
    reason = re.split(r"\s*\[\[\{\{node|\s*\[Op:", message)[0].strip()
    found = re.search(r"assertion failed: \[(.*?)\] (\[.*\])", reason, re.DOTALL)
    if found:
        return f"{found[1]} {' '.join(found[2].split())}."
    return re.sub(r"\{\{.*?\}\}\s*", "", reason.splitlines()[-1] if reason else "")
