"""What our programs begin with: their cores, and TensorFlow, fast and silent."""

import contextlib
import gc
import logging
import os
from collections.abc import Iterator


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_tensorflow() -> None:
    """Imports TensorFlow before any other module does.

    The import takes seconds, so only programs that need TensorFlow call this.
    """
    # Without this, TensorFlow leaves oneDNN off on some processors, where training then
    # takes more than twice as long.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TFDS uses this logger for warnings that concern only itself and TensorFlow.
    logging.getLogger("absl").setLevel(logging.ERROR)
    # It warns of repeated tracing when one process traces several models.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _without_standard_error():
        import tensorflow

        from phdnet_tf.devices import take_memory_as_needed

        take_memory_as_needed()
        tensorflow.constant(0)  # The first operation logs as well.
    # Half a million objects that stay. The garbage collector takes half a second to
    # search them, and it runs after every picture that is drawn.
    if not gc.get_freeze_count():
        gc.freeze()


@contextlib.contextmanager
def _without_standard_error() -> Iterator[None]:
    """Hides the start-up log of TensorFlow's C++ libraries, which ignore log levels."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
