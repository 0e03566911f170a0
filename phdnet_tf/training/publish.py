"""From trained networks to a published model: thresholds, radii, export."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from phdnet_tf.config import Config
from phdnet_tf.evaluation.predictions import Predictions, predict_examples
from phdnet_tf.evaluation.summary import evaluation_figures
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.export.saved_model import export
from phdnet_tf.presets import USUAL_ORIENTATIONS
from phdnet_tf.training.calibration import Calibration, calibrate, calibrated
from phdnet_tf.training.progress import Outcome

PACKAGES = ("phdnet-tf", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class Published:
    """What a run led to.

    Attributes:
        version: Folder of the exported model.
        outcomes: How the training of each network went.
        validation: `summary.evaluation_figures` of the predictions that judge it.
    """

    version: Path
    outcomes: list[Outcome]
    validation: dict[str, Any]


def publish_validated(
    outcomes: list[Outcome],
    config: Config,
    validation: tf.data.Dataset,
    models: Path,
    *,
    run: str,
    data: dict[str, Any],
    seen: Mapping[str, str],
    init: str | None = None,
) -> Published:
    """Learns how far to trust the networks on the validation data, and exports.

    Args:
        outcomes: As for `publish`.
        config: Likewise.
        validation: Examples of the data set `aspire_cmr` it was validated on.
        models: As for `publish`.
        run: Likewise.
        data: Likewise.
        seen: Likewise.
        init: Likewise.

    Returns:
        What was published. Its figures flatter: the weights and the thresholds were
        chosen on these images.

    Raises:
        ValueError: If the data allow no thresholds.
        OSError: If a folder cannot be written.
    """
    networks = [outcome.model for outcome in outcomes]
    trial = ServedGraph(networks, config, [0.0] * len(config.model.landmarks))
    predictions = predict_examples(
        trial.explain, validation, USUAL_ORIENTATIONS.get(config.view, ())
    )
    calibration = calibrate(predictions)
    return publish(
        outcomes,
        config,
        calibration,
        calibrated(predictions, calibration),
        models,
        run=run,
        data=data,
        seen=seen,
        init=init,
    )


def publish(
    outcomes: list[Outcome],
    config: Config,
    calibration: Calibration,
    judged: Predictions,
    models: Path,
    *,
    run: str,
    data: dict[str, Any],
    seen: Mapping[str, str],
    init: str | None = None,
) -> Published:
    """Exports networks with what is known of their confidence.

    Args:
        outcomes: What training led to, for each network of the model.
        config: Its settings.
        calibration: How far it can be trusted.
        judged: Predictions that say how good it is, calibrated.
        models: Folder of the models; the new one is
            `models/<network>_<view>/<next number>`.
        run: What the description calls the run.
        data: What `describe_data` returns.
        seen: What `seen_images` returns.
        init: Name and version of the weights it began with, if any.

    Returns:
        What was published.

    Raises:
        OSError: If a folder cannot be written.
    """
    landmarks = config.model.landmarks
    networks = [outcome.model for outcome in outcomes]
    served = ServedGraph(
        networks,
        config,
        calibration.thresholds,
        calibration.radii,
        calibration.recognition,
    )
    # Cross-fitted bins have learnt from the very errors that would judge them.
    bins = calibration.bins if data["validation_folds"] else None
    validated = evaluation_figures(judged, landmarks, bins)
    description = {
        "view": config.view,
        "landmarks": list(landmarks),
        "usual_orientations": USUAL_ORIENTATIONS.get(config.view, ()),
        "thresholds": dict(zip(landmarks, calibration.thresholds, strict=True)),
        "bins": {
            name: own.to_dict()
            for name, own in zip(landmarks, calibration.bins, strict=True)
        },
        "recognition_threshold": calibration.recognition,
        "config": config.to_dict(),
        "data": data,
        "training": {
            "run": run,
            "init": init,
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
    folder = models / f"{config.model.network}_{config.view}"
    version = export(served, description, folder, seen, networks)
    return Published(version, outcomes, validated)
