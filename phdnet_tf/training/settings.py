"""Stores the settings of a run in its folder, so that it can be resumed."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from phdnet_tf.config import Config
from phdnet_tf.files import whole_file

SETTINGS = "run.json"


@dataclass(frozen=True)
class RunSettings:
    """The settings that a run was started with, and its outcome.

    Attributes:
        config: The configuration. The run keeps it, even if a later version changes the
            preset.
        data: Folder of the data, or None for the phantom.
        fingerprint: Fingerprint of the data; see `AnnotatedImages`.
        validation_fold: Fold that chooses weights and thresholds. If None, all folds
            but the test fold do, by `crossfit.train_crossfit`.
        test_fold: The held-out fold, or None.
        members: Number of networks to train.
        time_limit: Time limit for all networks together, in minutes, or None.
        init: The version whose weights the run started from, or None.
        published: The published version, or None before that.
        ended_by: Why the training of each member ended; see `progress.Outcome`.
    """

    config: Config
    data: str | None
    fingerprint: str
    validation_fold: int | None
    test_fold: int | None
    members: int
    time_limit: float | None
    init: str | None
    published: str | None = None
    ended_by: tuple[str, ...] = ()


def save_settings(run: Path, settings: RunSettings) -> None:
    """Writes the settings of a run into its folder.

    Raises:
        OSError: If the settings cannot be written.
    """
    # A run that is killed here keeps the old settings, and can be resumed.
    with whole_file(run / SETTINGS) as path:
        path.write_text(json.dumps(dataclasses.asdict(settings), indent=2) + "\n")


def load_settings(run: Path) -> RunSettings:
    """Reads the settings that `save_settings` wrote.

    Raises:
        ValueError: If the folder holds no run, or a run of another version.
    """
    try:
        values = json.loads((run / SETTINGS).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{run}: expected a run that 'phdnet-tf train' started. Received: {error}."
        ) from error
    try:
        values["config"] = Config.from_dict(values["config"])
        return RunSettings(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{run}: expected a run of this version of phdnet-tf. Received another: "
            f"{error!r}. Start a new run, without --resume."
        ) from error
