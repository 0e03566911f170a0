"""Shared set-up: a quiet TensorFlow, and a cache that is not the user's."""

import os
from pathlib import Path

import pytest
from support.shared import ROOT

# Read when TensorFlow is imported, and so before any test module is.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


SLOW = {"server", "client", "test_aspire_cmr.py", "test_hostile.py", "test_sandbox.py"}
"""Folders and files in which nearly every test is."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW.intersection(item.path.parts):
            item.add_marker("slow")
    # Two processes end at about the same time if what takes long comes first.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(cache)
    return cache


@pytest.fixture(scope="session", autouse=True)
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `support.shared` keeps what all processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    # With xdist each worker has a folder of its own within that of the run.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ[ROOT] = str(run / "shared")
    return run


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, which may not be in the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} is missing")
    return folder


@pytest.fixture(scope="module")
def sandbox():
    """A process that reads files, ended after the module's tests."""
    from phdnet_tf.dicom.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory):
    """A local server with one model of random weights, version 1 of phdnet_sa."""
    from support.drawn import exported

    from phdnet_tf.server.app import Server, ServerConfig

    models = tmp_path_factory.mktemp("served") / "models"
    exported(models)
    with Server(ServerConfig(models, rest_port=0, grpc_port=0)) as running:
        running.folder = models
        yield running
