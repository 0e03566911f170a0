import pytest
from support.folders import HEADER, write, write_table

from phdnet_tf.config import FOLDS


@pytest.fixture
def folder(tmp_path):
    """Eight subjects with an image each, without a problem."""
    lines = [HEADER]
    for number in range(1, FOLDS + 1):
        image = f"DICOM/s{number}/a.dcm"
        write(tmp_path / image, seed=number)
        lines.append(f"s{number},{image},{number},7.5")
    return write_table(tmp_path, *lines)
