from pathlib import Path

import pytest
from support.command import run
from support.shared import shared


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
        arguments = ["train", "--view", "4ch", "--data", data, "--test-fold", "1"]
        arguments += ["--models", folder / "models", "--runs", folder / "runs"]
        arguments += ["--time-limit", "0.05", "--name", "first"]
        (folder / "output.txt").write_text(run(*arguments).output)

    folder = shared("cli_trained", make)
    return (folder / "output.txt").read_text(), folder
