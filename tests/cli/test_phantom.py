import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from phdnet_tf.cli import main


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_cannot_be_written_is_one_line_with_the_folder(
    tmp_path, monkeypatch, number
):
    def fail(path, data):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    arguments = ["phantom", f"{tmp_path}/drawn", "--view", "sa", "--subjects", "1"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)

    assert result.exit_code == 1
    lines = result.stderr.strip().splitlines()
    assert lines[-1] == f"Error: {tmp_path}/drawn: {os.strerror(number)}."
    assert os.listdir(tmp_path) == []
