from pathlib import Path

import pytest
from support.command import run
from support.shared import shared
from support.training import SHAPE, shrink


@pytest.fixture(scope="session")
def data() -> Path:
    """Eight drawn subjects, one a fold."""

    def make(folder):
        run("phantom", folder, "--view", "4ch", "--subjects", "8", "--seed", "3")

    return shared("cli_data", make)


@pytest.fixture(scope="session")
def trained(data) -> tuple[str, Path]:
    """The output and the folder of a training that lasted three seconds."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            shrink(patch, "default", **SHAPE)
            train(folder)

    def train(folder):
        arguments = ["train", "--view", "4ch", "--data", data, "--test-fold", "1"]
        arguments += ["--models", folder / "models", "--runs", folder / "runs"]
        arguments += ["--time-limit", "0.05", "--name", "first"]
        (folder / "output.txt").write_text(run(*arguments).output)

    folder = shared("cli_trained", make)
    return (folder / "output.txt").read_text(), folder


@pytest.fixture
def small(monkeypatch):
    """Trainings of small networks."""
    shrink(monkeypatch, "default", **SHAPE)
    shrink(monkeypatch, "phdnet-small", filters=(8, 8, 8))
