"""What a worker process does: loads the models once, then one shard after the other."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from phdnet_tf.batch.manifest import Manifest, describe_model, load_manifest
from phdnet_tf.batch.shard import run_shard
from phdnet_tf.dicom.sandbox import Sandbox
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
    manifest, locators, sandbox = _tools(folder)
    return run_shard(folder, shard, manifest, locators, sandbox)


@functools.cache
def _tools(folder: Path) -> tuple[Manifest, dict[str, Locator], Sandbox]:
    manifest = load_manifest(folder)
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
    return manifest, {**locators}, Sandbox()
