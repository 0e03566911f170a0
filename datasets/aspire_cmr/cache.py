"""Prepares data in the user's cache: once, and again when the source changes."""

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

import tensorflow as tf
import tensorflow_datasets as tfds

from phdnet_tf.config import require_view
from phdnet_tf.datasets.aspire_cmr.aspire_cmr_dataset_builder import (
    Builder,
    view_config,
)
from phdnet_tf.datasets.folder import fingerprint
from phdnet_tf.files import cache_folder

# A running training may still read data of an earlier state of the source.
KEEP_UNUSED_SECONDS = 7 * 24 * 3600


def prepare(
    folder: Path, view: str, cache: Path | None = None
) -> tfds.core.DatasetBuilder:
    """Prepares the data of a folder in its present state.

    Each state of the folder has its own place in the cache. The place is filled under a
    temporary name and renamed in one step. Several processes may therefore do this at
    once, a killed process leaves nothing half done, and a running training keeps its
    data. Data that were not used for a week are removed. TFDS's progress bars are
    turned off.

    Args:
        folder: An ASPIRE-style folder.
        view: Name of the view.
        cache: Folder for the prepared data. By default each source has its own, below
            `~/.cache/phdnet_tf` or `$XDG_CACHE_HOME/phdnet_tf`.

    Returns:
        A builder ready for `as_dataset(split="fold_0+fold_1")`.

    Raises:
        ValueError: If the view's name is not valid, the folder has errors, or the cache
            cannot be written.
    """
    require_view(view)
    folder = Path(folder)
    cache = _default_cache(folder) if cache is None else Path(cache)
    try:
        state = fingerprint.fingerprint(folder)
        root = cache / state[:16]
        if not _builder(view, root).data_path.exists():
            _build(folder, view, cache, root, state)
        builder = _builder(view, root)
        still_used(builder)
    except ValueError as error:
        raise ValueError(
            f"{error} `phdnet-tf dataset check {folder}` lists every problem."
        ) from error
    except OSError as error:
        raise _not_written(cache, str(error.strerror)) from error
    except RuntimeError as error:
        # So TFDS passes on what TensorFlow's own writer raises.
        if not isinstance(error.__cause__, tf.errors.OpError):
            raise
        reason = str(error.__cause__.message).rpartition("; ")[2]
        raise _not_written(cache, reason) from error
    _remove_unused(cache)
    return builder


def still_used(builder: tfds.core.DatasetBuilder) -> None:
    """Notes that prepared data are in use, so that they are kept for another week.

    Args:
        builder: Of the data, as `prepare` returns it.
    """
    # The root, above the names of data set, view and version.
    with contextlib.suppress(OSError):
        os.utime(Path(builder.data_path).parents[2])


def _not_written(cache: Path, reason: str) -> ValueError:
    return ValueError(
        f"{cache}: prepared data cannot be written there: {reason}. Set XDG_CACHE_HOME "
        "to a folder of yours with free space."
    )


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
            raise ValueError(f"{folder}: it changed while it was read. Try again.")
        target = Path(_builder(view, root).data_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(builder.data_path, target)
        except OSError:
            if not target.exists():
                raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses TFDS's log, and what it prints on downloads, as there are none."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _remove_unused(cache: Path) -> None:
    """Deletes prepared and half-prepared data that were not used for long."""
    for path in cache.iterdir():
        # A user may name a folder with other files as the cache: those stay.
        if not re.fullmatch(r"[0-9a-f]{16}|incomplete-\w{8}", path.name):
            continue
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEEP_UNUSED_SECONDS:
                shutil.rmtree(path)
