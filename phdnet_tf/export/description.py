"""What a model is: its `phdnet.json`."""

import json
from pathlib import Path
from typing import Any

DESCRIPTION = "phdnet.json"


def load_description(version: Path) -> dict[str, Any]:
    """Reads `phdnet.json`.

    Raises:
        ValueError: If it is missing or unreadable.
    """
    try:
        return json.loads((version / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{version}: expected a model that phdnet-tf exported, with {DESCRIPTION}. "
            f"Received: {error}."
        ) from error
