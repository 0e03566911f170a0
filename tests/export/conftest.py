import pytest
from support.drawn import exported

from phdnet_tf.export import saved_model


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A version that is not to be changed."""
    return exported(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def signatures(tmp_path_factory):
    """Those of the same version, loaded once."""
    return saved_model.load_signatures(exported(tmp_path_factory.mktemp("models")))
