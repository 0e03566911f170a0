"""The folder of a model's versions."""

from pathlib import Path


def versions(model_folder: Path) -> list[int]:
    """Numbers of the versions in a model folder, in rising order."""
    return sorted(
        int(entry.name)
        for entry in model_folder.glob("*")
        # TF Serving ignores greater numbers, too, which its messages cannot hold.
        if entry.name.isdecimal() and int(entry.name) < 2**63 and entry.is_dir()
    )


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
            f"{path}: expected a model, or a folder of its versions. Received neither: "
            "train one with 'phdnet-tf train', or give --model another folder."
        )
    return path / str(numbers[-1])
