"""What a run was started with, kept with it, so that it can be resumed."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from phdnet_tf.config import Config
from phdnet_tf.files import whole_file

SETTINGS = "run.json"


@dataclass(frozen=True)
class RunSettings:
    """What a run was started with, so that it can be resumed, and what it led to.

    Attributes:
        config: What is trained, and how; the run keeps it, whatever a later version
            has for its preset.
        data: The data's folder, or None for the phantom.
        fingerprint: The data's, see `AnnotatedImages`.
        validation_fold: It chooses weights and thresholds. None: all folds but the test
            fold teach both, by `crossfit.train_crossfit`.
        test_fold: It is left untouched, if there is one.
        members: Networks to train.
        time_limit: Of all of them together, in minutes.
        init: The version whose weights it began with, or None.
        published: The version that was published, when it was.
        ended_by: By member, what ended the training; see `progress.Outcome`.
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
    """Writes what a run was started with, so that it can be resumed.

    Raises:
        OSError: If it cannot be written.
    """
    # A run that is killed here keeps the old settings, and can be resumed.
    with whole_file(run / SETTINGS) as path:
        path.write_text(json.dumps(dataclasses.asdict(settings), indent=2) + "\n")


def load_settings(run: Path) -> RunSettings:
    """Reads what `save_settings` wrote.

    Raises:
        ValueError: If the folder holds no run, or one of another version.
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
