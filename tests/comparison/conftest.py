import pytest
from support.comparison import BASELINE, HIGH, SIMPLE, SMOOTHED, keep

from phdnet_tf.comparison.tables import read_points


@pytest.fixture
def points(tmp_path):
    baseline = {"simple": BASELINE, "smoothing": SIMPLE}
    phdnet = {"smoothing": SMOOTHED, "simple": SIMPLE}
    return read_points(
        {
            ("baseline", 0): keep(tmp_path / "baseline", "baseline", baseline),
            ("phdnet", 0): keep(tmp_path / "phdnet", "phdnet", phdnet, HIGH),
        }
    )
