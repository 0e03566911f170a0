import pytest
from support.noise import make_source


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / "source")
