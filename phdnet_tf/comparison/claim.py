"""What the folder of a benchmark is of, so that nothing else is mixed in."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from phdnet_tf.files import whole_file

SETTINGS = "benchmark.json"


def claim(folder: Path, settings: dict[str, Any], parts: Collection[str] = ()) -> None:
    """Makes a folder, or makes sure that it is of the same settings.

    Args:
        folder: Of the benchmark, or of one of its systems.
        settings: Values for JSON; what was trained with others is not mixed in.
        parts: What may be in a folder without settings.

    Raises:
        ValueError: If the folder is of other settings, or holds something else.
        OSError: If it cannot be made.
    """
    file = folder / SETTINGS
    if not file.exists() and not any(folder.glob("fold_*")):
        held = {path.name for path in folder.glob("*")} - set(parts)
        if held:
            raise ValueError(
                f"{folder}: expected a new or an empty folder, or a benchmark. "
                f"Received one with {', '.join(sorted(held)[:3])}. Choose another "
                "--output."
            )
        with whole_file(file) as path:
            path.write_text(json.dumps(settings, indent=2) + "\n")
        return
    earlier = json.loads(file.read_text()) if file.exists() else {}
    # As JSON has them: a tuple becomes a list.
    current = json.loads(json.dumps(settings))
    changed = [name for name in current if earlier.get(name) != current[name]]
    if changed:
        raise ValueError(
            f"{folder} holds a benchmark with another {', '.join(changed)}. Choose "
            "another --output."
        )
