"""Weights as a distribution of their own, installed in a folder of the test."""

import shutil
from pathlib import Path


def install(site: Path, version: Path, name="sa-drawn", distribution="drawn-weights"):
    """Installs a version under a name, as pip would from a wheel."""
    package = distribution.replace("-", "_")
    target = site / package / name / "1"
    shutil.copytree(version, target)
    (site / package / "__init__.py").write_text('"""Weights."""\n')
    about = site / f"{package}-0.3.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {distribution}\nVersion: 0.3\n"
        "License-Expression: CC-BY-NC-SA-4.0\n"
    )
    (about / "entry_points.txt").write_text(
        f"[phdnet_tf.weights]\n{distribution} = {package}\n"
    )
    return target
