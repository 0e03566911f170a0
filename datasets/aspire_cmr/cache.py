"""Prepared data in the user's cache: built once, and again when the source changes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from phdnet_tf.config import require_view
from phdnet_tf.datasets.aspire_cmr.aspire_cmr_dataset_builder import (
    Builder,
    view_config,
)
from phdnet_tf.datasets.folder import fingerprint
from phdnet_tf.files import cache_folder

# Data of an earlier state of the source may still be read by a training that runs.
KEEP_UNUSED_SECONDS = 7 * 24 * 3600


def prepare(
    folder: Path, view: str, cache: Path | None = None
) -> tfds.core.DatasetBuilder:
    """A builder whose data are prepared and those of the folder as it is now.

    Each state of the folder has a place of its own in the cache, which is filled beside
    it and renamed in one step. So several processes may do this at once, one that is
    killed leaves nothing half done, and a training that runs keeps its data. What no
    one has asked for in a week is removed. TFDS's progress bars are turned off.

    Args:
        folder: An ASPIRE-style folder.
        view: Name of the view.
        cache: Folder for the prepared data. By default one for each source, below
            `~/.cache/phdnet_tf` or `$XDG_CACHE_HOME/phdnet_tf`.

    Returns:
        A builder ready for `as_dataset(split="fold_0+fold_1")`.

    Raises:
        ValueError: If the view is no name, the folder has errors, or the cache cannot
            be written.
    """
    require_view(view)
    folder = Path(folder)
    cache = _default_cache(folder) if cache is None else Path(cache)
    try:
        state = fingerprint.fingerprint(folder)
        root = cache / state[:16]
        if not _builder(view, root).data_path.exists():
            _build(folder, view, cache, root, state)
        os.utime(root)
    except ValueError as error:
        raise ValueError(
            f"{error} `phdnet-tf dataset check {folder}` lists every problem."
        ) from error
    except OSError as error:
        raise ValueError(
            f"{cache}: prepared data cannot be written there: {error.strerror}. Set "
            "XDG_CACHE_HOME to a folder of yours with space."
        ) from error
    _remove_unused(cache)
    return _builder(view, root)


def _default_cache(folder: Path) -> Path:
    source = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    return cache_folder() / "aspire_cmr" / source[:16]


def _builder(view: str, root: Path) -> Builder:
    # TFDS takes a configuration that is not listed, too, if it is given whole.
    config = view if view in Builder.builder_configs else view_config(view)
    return Builder(config=config, data_dir=root)


def _build(folder: Path, view: str, cache: Path, root: Path, state: str) -> None:
    """Fills `root`, unless another process does so first."""
    cache.mkdir(parents=True, exist_ok=True)
    tfds.disable_progress_bar()
    with tempfile.TemporaryDirectory(prefix="incomplete-", dir=cache) as staging:
        with _quiet():
            builder = _builder(view, Path(staging))
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(manual_dir=folder)
            )
        if builder.info.metadata["fingerprint"] != state:
            raise ValueError(f"{folder}: changed while it was read. Try again.")
        target = Path(_builder(view, root).data_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(builder.data_path, target)
        except OSError:
            if not target.exists():
                raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what TFDS prints of downloads, of which there are none, and logs."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _remove_unused(cache: Path) -> None:
    """Deletes states of the source, and half-built ones, that are long out of use."""
    for path in cache.iterdir():
        # Whoever names a folder with other things in it as the cache keeps them.
        if not re.fullmatch(r"[0-9a-f]{16}|incomplete-\w{8}", path.name):
            continue
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEEP_UNUSED_SECONDS:
                shutil.rmtree(path)
