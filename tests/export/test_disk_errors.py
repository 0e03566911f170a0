import errno

import pytest
import tensorflow as tf

from phdnet_tf.export.disk_errors import plain_disk_errors


@pytest.mark.skipif(
    not tf.io.gfile.exists("/dev/full"), reason="the system has no full device"
)
def test_a_full_disk_is_an_error_of_the_folder(tmp_path):
    with pytest.raises(OSError, match="No space left") as error:
        with plain_disk_errors(tmp_path):
            tf.io.write_file("/dev/full", "x" * 100_000)

    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path))


def test_too_little_memory_is_no_error_of_the_disk(tmp_path):
    little = tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory")

    with pytest.raises(tf.errors.ResourceExhaustedError):
        with plain_disk_errors(tmp_path):
            raise little
