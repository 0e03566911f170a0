"""Folders that are costly to make, made once for all processes of a test run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

ROOT = "PHDNET_TEST_SHARED"
"""Names the folder that they are in; `conftest.py` sets it."""


def shared(name: str, make: Callable[[Path], object]) -> Path:
    """The folder of a name, filled by the first process that asks. Only read it."""
    folder = Path(os.environ[ROOT]) / name
    done = folder.with_name(f"{name}.done")
    folder.parent.mkdir(exist_ok=True)
    # The others wait. A lock ends with its process, whatever ends that.
    with FileLock(folder.with_name(f"{name}.lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
