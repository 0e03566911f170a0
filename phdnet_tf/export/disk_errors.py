"""Tells what TensorFlow could not write as Python does."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

CODES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)


@contextmanager
def plain_disk_errors(folder: Path) -> Iterator[None]:
    """Turns TensorFlow's error of a disk into an `OSError`.

    TensorFlow has one class for a full disk and for too little memory. The system's own
    words in the message tell the two apart.

    Args:
        folder: The folder that is written to.

    Raises:
        OSError: If TensorFlow could not write.
    """
    try:
        yield
    except tf.errors.OpError as error:
        for code in CODES:
            if os.strerror(code) in str(error):
                raise OSError(code, os.strerror(code), str(folder)) from error
        raise
