"""A run from settings to a published model: train, learn the thresholds, export."""

import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from phdnet_tf import evaluation
from phdnet_tf.confidence import image_confidence, recognition_threshold
from phdnet_tf.config import Config
from phdnet_tf.serving import Served, error_radii, export
from phdnet_tf.training import Outcome, Progress, train

SETTINGS = "run.json"
PACKAGES = ("phdnet-tf", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class Published:
    """What a run led to.

    Attributes:
        version: Folder of the exported model.
        outcomes: How the training of each network went.
        validation: `evaluation.report` on the validation fold. It flatters: the weights
            and the thresholds were chosen on these images.
    """

    version: Path
    outcomes: list[Outcome]
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


def train_members(
    config: Config,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    run: Path,
    members: int,
    *,
    time_limit: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_member: Callable[[int], None] = lambda number: None,
) -> list[Outcome]:
    """Trains networks that differ in their seed, one after the other.

    Args:
        config: Settings; the first network has its seed, the next the one after it.
        training: As for `training.train`.
        validation: As for `training.train`.
        run: Folder of the run; it must exist. Several networks have a folder each in
            it, `member_1` and so on.
        members: Number of networks.
        time_limit: Most seconds to train, of all of them together.
        on_progress: As for `training.train`.
        on_member: Called with the number, from 1, of a network before its training.

    Returns:
        The outcomes; after Ctrl-C of those networks that there are.

    Raises:
        KeyboardInterrupt: If it comes before there is a model to keep.
        ValueError: As for `training.train`.
    """
    outcomes: list[Outcome] = []
    for number in range(1, members + 1):
        folder = run if members == 1 else run / f"member_{number}"
        folder.mkdir(exist_ok=True)
        seed = config.training.seed + number - 1
        own = replace(config, training=replace(config.training, seed=seed))
        on_member(number)
        try:
            outcome = train(
                own,
                training,
                validation,
                folder,
                time_limit=time_limit and time_limit / members,
                on_progress=on_progress,
            )
        except KeyboardInterrupt:
            if not outcomes:
                raise
            return outcomes
        outcomes.append(outcome)
        if outcome.ended_by == "interrupt":
            return outcomes
    return outcomes


def publish(
    outcomes: list[Outcome],
    config: Config,
    validation: tf.data.Dataset,
    models: Path,
    *,
    run: str,
    data: dict[str, Any],
) -> Published:
    """Learns the confidence thresholds on the validation data, and exports.

    Args:
        outcomes: What training led to, for each network of the model.
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
    networks = [outcome.model for outcome in outcomes]
    trial = Served(networks, config, [0.0] * len(landmarks))
    predictions = evaluation.predict_examples(trial.explain, validation)
    thresholds = evaluation.learn_thresholds(predictions)
    radii, bins = evaluation.learn_confidence(predictions)
    recognition = recognition_threshold(predictions.confidence)
    recognised = image_confidence(predictions.confidence) >= recognition
    high = predictions.confidence >= np.array(thresholds, np.float32)
    # As the graph has them, which saves a second look at every image.
    predictions = replace(
        predictions,
        high_confidence=high & recognised[:, None],
        recognised=recognised,
        radii=error_radii(tf.constant(predictions.evidence), radii).numpy(),
    )
    served = Served(networks, config, thresholds, radii, recognition)
    validated = evaluation.report(predictions, landmarks, bins)
    description = {
        "view": config.view,
        "landmarks": list(landmarks),
        "thresholds": dict(zip(landmarks, thresholds, strict=True)),
        "bins": {
            name: own.to_dict() for name, own in zip(landmarks, bins, strict=True)
        },
        "recognition_threshold": recognition,
        "config": config.to_dict(),
        "data": data,
        "training": {
            "run": run,
            "parameters": sum(
                int(np.prod(weight.shape))
                for network in networks
                for weight in network.trainable_weights
            ),
            "members": [
                {
                    "epochs": outcome.epochs,
                    "steps": outcome.steps,
                    "best_epoch": outcome.best_epoch,
                    "validation_loss": outcome.validation_loss,
                    "seconds": round(outcome.seconds, 1),
                    "ended_by": outcome.ended_by,
                }
                for outcome in outcomes
            ],
        },
        "validation": validated,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    version = export(
        served, description, models / f"{config.model.network}_{config.view}"
    )
    return Published(version, outcomes, validated)


@dataclass(frozen=True)
class RunSettings:
    """What a run was started with, so that it can be resumed, and what it led to.

    Attributes:
        config: What is trained, and how; the run keeps it, whatever a later version
            has for its preset.
        data: The data's folder, or None for the phantom.
        fingerprint: The data's, see `Source`.
        validation_fold: It chooses weights and thresholds.
        test_fold: It is left untouched, if there is one.
        members: Networks to train.
        time_limit: Of all of them together, in minutes.
        published: The version that was published, when it was.
        ended_by: By member, what ended the training; see `training.Outcome`.
    """

    config: Config
    data: str | None
    fingerprint: str
    validation_fold: int
    test_fold: int | None
    members: int
    time_limit: float | None
    published: str | None = None
    ended_by: tuple[str, ...] = ()


def save_settings(run: Path, settings: RunSettings) -> None:
    """Writes what a run was started with, so that it can be resumed.

    Raises:
        OSError: If it cannot be written.
    """
    # A run that is killed here keeps the old settings, and can be resumed.
    unfinished = run / f"{SETTINGS}.unfinished"
    unfinished.write_text(json.dumps(dataclasses.asdict(settings), indent=2) + "\n")
    os.replace(unfinished, run / SETTINGS)


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
