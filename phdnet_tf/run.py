"""A run from settings to a published model: train, learn the thresholds, export."""

import dataclasses
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from phdnet_tf import evaluation
from phdnet_tf.config import Config
from phdnet_tf.serving import Served, export
from phdnet_tf.training import Outcome

SETTINGS = "run.json"
PACKAGES = ("phdnet-tf", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class Published:
    """What a run led to.

    Attributes:
        version: Folder of the exported model.
        outcome: How training went.
        validation: `evaluation.report` on the validation fold. It flatters: the weights
            and the thresholds were chosen on these images.
    """

    version: Path
    outcome: Outcome
    validation: dict[str, Any]


class Source(Protocol):
    """Annotated images by fold, as the commands open them."""

    @property
    def name(self) -> str:
        """What reports call the data."""

    @property
    def fingerprint(self) -> str:
        """Changes with the data."""

    def examples(self, folds: list[int], landmarks: tuple[str, ...]) -> tf.data.Dataset:
        """Examples of the data set `aspire_cmr`."""

    def count(self, folds: list[int]) -> int:
        """Number of images in some folds."""


def describe_data(
    source: Source, training: list[int], validation: list[int], test: list[int]
) -> dict[str, Any]:
    """What `phdnet.json` says of the data.

    Args:
        source: The data.
        training: Folds to train on.
        validation: Folds to validate on.
        test: Folds that are left untouched.
    """
    return {
        "name": source.name,
        "fingerprint": source.fingerprint,
        "training_folds": training,
        "validation_folds": validation,
        "test_folds": test,
        "images": {
            "training": source.count(training),
            "validation": source.count(validation),
        },
    }


def publish(
    outcome: Outcome,
    config: Config,
    validation: tf.data.Dataset,
    models: Path,
    *,
    run: str,
    data: dict[str, Any],
) -> Published:
    """Learns the confidence thresholds on the validation data, and exports.

    Args:
        outcome: What training led to.
        config: Its settings.
        validation: Examples of the data set `aspire_cmr` it was validated on.
        models: Folder of the models; the new one is
            `models/<network>_<view>/<next number>`.
        run: What the description calls the run.
        data: What `describe_data` returns.

    Returns:
        What was published.

    Raises:
        ValueError: If the data allow no thresholds.
        OSError: If a folder cannot be written.
    """
    landmarks = config.model.landmarks
    trial = Served(outcome.model, config, [0.0] * len(landmarks))
    predictions = evaluation.predict_examples(trial.locate, trial.explain, validation)
    thresholds = evaluation.learn_thresholds(predictions)
    # As the graph compares, which saves a second look at every image.
    high = predictions.confidence >= np.array(thresholds, np.float32)
    predictions = dataclasses.replace(predictions, high_confidence=high)
    served = Served(outcome.model, config, thresholds)
    validated = evaluation.report(predictions, landmarks)
    description = {
        "view": config.view,
        "landmarks": list(landmarks),
        "thresholds": dict(zip(landmarks, thresholds, strict=True)),
        "config": config.to_dict(),
        "data": data,
        "training": {
            "run": run,
            "epochs": outcome.epochs,
            "steps": outcome.steps,
            "parameters": sum(
                int(np.prod(weight.shape)) for weight in outcome.model.trainable_weights
            ),
            "best_epoch": outcome.best_epoch,
            "validation_loss": outcome.validation_loss,
            "seconds": round(outcome.seconds, 1),
            "ended_by": outcome.ended_by,
        },
        "validation": validated,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    version = export(
        served, description, models / f"{config.model.network}_{config.view}"
    )
    return Published(version, outcome, validated)


def save_settings(run: Path, settings: dict[str, Any]) -> None:
    """Writes what a run was started with, so that it can be resumed.

    Raises:
        OSError: If it cannot be written.
    """
    (run / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")


def load_settings(run: Path) -> dict[str, Any]:
    """Reads what `save_settings` wrote.

    Raises:
        ValueError: If the folder holds no run.
    """
    try:
        return json.loads((run / SETTINGS).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{run}: expected a run that 'phdnet-tf train' started. Received: {error}."
        ) from error
