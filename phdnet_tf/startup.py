"""TensorFlow, loaded as a program of ours wants it: fast, silent on standard error."""

import contextlib
import gc
import logging
import os
from collections.abc import Iterator


def load_tensorflow() -> None:
    """Imports TensorFlow before any other module does.

    It takes seconds, and so is called only by the programs that need it.
    """
    # Without this, TensorFlow leaves oneDNN off on some processors, where training then
    # takes more than twice as long.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TFDS warns through this logger of what is between it and TensorFlow.
    logging.getLogger("absl").setLevel(logging.ERROR)
    # It takes the tracing of several models in one process for repeated tracing.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _without_standard_error():
        import tensorflow

        from phdnet_tf.devices import take_memory_as_needed

        take_memory_as_needed()
        tensorflow.constant(0)  # The first operation has things to log, too.
    # Half a million objects that stay. To look through them takes half a second, and
    # every picture that is drawn is followed by a search for what it left.
    if not gc.get_freeze_count():
        gc.freeze()


@contextlib.contextmanager
def _without_standard_error() -> Iterator[None]:
    """TensorFlow's C++ libraries log their start-up whatever the log level says."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
