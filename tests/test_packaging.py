"""What is installed beside the modules."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_review_page_is_installed_with_all_that_it_loads(tmp_path):
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )

    page = Path("phdnet_tf", "review", "page")
    shipped = {file.name for file in (tmp_path / page).iterdir()}
    assert shipped == {file.name for file in (ROOT / page).iterdir()}
    assert {"index.html", "review.css", "main.js"} <= shipped
