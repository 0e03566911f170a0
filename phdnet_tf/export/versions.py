"""Finds models, in folders `<network>_<view>`, and their numbered versions."""

import os
from pathlib import Path

from phdnet_tf.config import NETWORKS, VIEW_NAME
from phdnet_tf.presets import VIEWS


def model_names(view: str) -> list[str]:
    """Possible names of a view's models, PHD-Net's first: "phdnet_sa" and so on."""
    return [f"{network}_{view}" for network in NETWORKS]


def model_folders(models: Path) -> dict[str, list[Path]]:
    """The models in a folder, by view.

    Args:
        models: Folder of all models. It may be missing.

    Returns:
        For each view, the folders of its models that have a version, PHD-Net's first.
        The built-in views come first.
    """
    found: dict[str, list[Path]] = {}
    for network in NETWORKS:
        for folder in models.glob(f"{network}_*"):
            view = folder.name.removeprefix(f"{network}_")
            if VIEW_NAME.fullmatch(view) and versions(folder):
                found.setdefault(view, []).append(folder)
    built_in = [view for view in VIEWS if view in found]
    others = sorted(found.keys() - VIEWS.keys())
    return {view: found[view] for view in (*built_in, *others)}


def versions(model_folder: Path) -> list[int]:
    """Numbers of the versions in a model folder, in rising order."""
    return sorted(
        int(entry.name)
        for entry in model_folder.glob("*")
        # TF Serving ignores greater numbers, too, which its messages cannot hold.
        if entry.name.isdecimal()
        and entry.name == str(int(entry.name))
        and int(entry.name) < 2**63
        and entry.is_dir()
    )


def publish_version(complete: Path, model_folder: Path) -> Path:
    """Renames a complete version to the next number, in one step.

    A server that polls the folder takes numbers for versions, and may look at any
    moment. A version therefore gets its number only when it is complete.

    Args:
        complete: Folder of the complete version, within the model folder.
        model_folder: For example `models/phdnet_sa`.

    Returns:
        The folder of the new version, for example `models/phdnet_sa/1`.

    Raises:
        OSError: If the folder cannot be renamed.
    """
    while True:
        version = model_folder / str(max(versions(model_folder), default=0) + 1)
        try:
            os.rename(complete, version)
        except OSError:
            # Another process has just published one of the same number.
            if not version.exists():
                raise
        else:
            return version


def resolve_version(path: Path) -> Path:
    """The folder of a version: the path itself, or the newest version in it.

    Raises:
        ValueError: If there is neither.
    """
    if (path / "saved_model.pb").is_file():
        return path
    numbers = versions(path)
    if not numbers:
        raise ValueError(
            f"{path}: expected a model, or a folder of its versions. Received neither. "
            "Train a model with 'phdnet-tf train', or give --model another folder."
        )
    return path / str(numbers[-1])
