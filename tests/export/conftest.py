import functools

import pytest
from support.drawn import exported

from phdnet_tf.export import saved_model


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    """A version that is not to be changed."""
    return exported(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def loaded(tmp_path_factory):
    """The signatures of a version that is read by a strategy, loaded once."""

    @functools.cache
    def load(strategy):
        folder = tmp_path_factory.mktemp("models")
        return saved_model.load_signatures(exported(folder, strategy=strategy))

    return load


@pytest.fixture
def signatures(loaded):
    """Those of `version`."""
    return loaded(None)
