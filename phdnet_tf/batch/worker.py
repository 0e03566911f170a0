"""What a worker process does: loads the models once, then one shard after the other."""

from __future__ import annotations

import os
from pathlib import Path

from phdnet_tf import __version__
from phdnet_tf.batch.layout import MANIFEST
from phdnet_tf.batch.manifest import Manifest, describe_model, load_manifest
from phdnet_tf.batch.shard import run_shard
from phdnet_tf.dicom.sandbox import UNATTENDED_SECONDS, Sandbox
from phdnet_tf.inference.results import Locator
from phdnet_tf.startup import load_tensorflow


def do_shard(folder: Path, shard: int) -> dict[str, float]:
    """Does a shard in this process; see `shard.run_shard`.

    Args:
        folder: The output folder, which has a manifest.
        shard: Number of the shard, from 0.

    Returns:
        Its `Record.counts`.

    Raises:
        ValueError: If a model is missing, or is no longer what the manifest says.
        OSError: If the part cannot be written.
    """
    # A worker may outlive a batch, and the next may be in the same folder.
    text = (folder / MANIFEST).read_text()
    manifest, locators, sandbox = _tools(folder, text)
    return run_shard(folder, shard, manifest, locators, sandbox)


Tools = tuple[Manifest, dict[str, Locator], Sandbox]

_ready: dict[tuple[Path, str], Tools] = {}
"""The tools of the batch that this process works for."""


def _tools(folder: Path, text: str) -> Tools:
    if (folder, text) not in _ready:
        for *_, sandbox in _ready.values():
            sandbox.close()
        _ready.clear()
        _ready[folder, text] = _prepare(folder)
    return _ready[folder, text]


def _prepare(folder: Path) -> Tools:
    manifest = load_manifest(folder)
    if manifest.version != __version__:
        raise ValueError(
            f"{folder}: expected the phdnet-tf {manifest.version} that the batch was "
            f"started with. Received a worker with {__version__}: install the same "
            "version on all machines, and start the workers again."
        )
    for model in manifest.models:
        if describe_model(Path(model.path)) != model:
            raise ValueError(
                f"{model.path}: expected the model that the batch was started with. "
                "Received other files: put them back, or start again in a new --output."
            )
    # As many threads as workers would be too many, and two threads add in another
    # order than one. TensorFlow reads this when it is imported, and not later.
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    load_tensorflow()
    from phdnet_tf.inference.predictor import Predictor

    locators = {m.view: Predictor(Path(m.path)) for m in manifest.models}
    return manifest, {**locators}, Sandbox(seconds=UNATTENDED_SECONDS)
