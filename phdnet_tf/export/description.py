"""Reads the description of a model, `phdnet.json`, without TensorFlow."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DESCRIPTION = "phdnet.json"


def load_description(version: Path) -> dict[str, Any]:
    """Reads `phdnet.json`.

    Raises:
        ValueError: If it is missing or unreadable, or names no view or landmarks.
    """
    try:
        description = json.loads((version / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{version}: expected a model that phdnet-tf exported, with {DESCRIPTION}. "
            f"Received: {error}."
        ) from error
    found = description if isinstance(description, dict) else {}
    if missing := [name for name in ("view", "landmarks") if name not in found]:
        raise ValueError(
            f"{version}: expected a model that phdnet-tf exported, whose {DESCRIPTION} "
            f"has a view and landmarks. Received no {' and no '.join(missing)}."
        )
    return description


def model_name(model: str, version: str | int, description: dict[str, Any]) -> str:
    """What every answer calls a model.

    Args:
        model: Name of its folder, for example "phdnet_4ch".
        version: Its number.
        description: What `phdnet.json` says.

    Returns:
        For example "phdnet_4ch/3"; of a model that has seen no real heart "phdnet_4ch/3
        (trained on drawings)".
    """
    drawn = description.get("data", {}).get("drawn")
    about = " (trained on drawings)" if drawn else ""
    return f"{model}/{version}{about}"


def usual_orientations(description: dict[str, Any]) -> Sequence[Sequence[float]]:
    """How images of the model's view usually lie; see `dicom.turning`.

    Args:
        description: What `phdnet.json` says. It says nothing of it where nothing is
            usual.
    """
    return description.get("usual_orientations", [])
