"""From trained networks to a published model: thresholds, radii, export."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from phdnet_tf.config import Config
from phdnet_tf.evaluation.predictions import Predictions, predict_examples
from phdnet_tf.evaluation.summary import evaluation_figures
from phdnet_tf.export.graph import ServedGraph, error_radii
from phdnet_tf.export.saved_model import export
from phdnet_tf.presets import USUAL_ORIENTATIONS
from phdnet_tf.training.progress import Outcome
from phdnet_tf.trust.bins import Bins, learn_bins
from phdnet_tf.trust.radii import Radii, learn_radii
from phdnet_tf.trust.recognition import image_confidence, recognition_threshold
from phdnet_tf.trust.threshold import confidence_threshold

PACKAGES = ("phdnet-tf", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class Published:
    """What a run led to.

    Attributes:
        version: Folder of the exported model.
        outcomes: How the training of each network went.
        validation: `summary.evaluation_figures` of the validation fold. They flatter:
            the weights and the thresholds were chosen on these images.
    """

    version: Path
    outcomes: list[Outcome]
    validation: dict[str, Any]


def publish(
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
    """Learns the confidence thresholds on the validation data, and exports.

    Args:
        outcomes: What training led to, for each network of the model.
        config: Its settings.
        validation: Examples of the data set `aspire_cmr` it was validated on.
        models: Folder of the models; the new one is
            `models/<network>_<view>/<next number>`.
        run: What the description calls the run.
        data: What `describe_data` returns.
        seen: What `seen_images` returns.
        init: Name and version of the weights it began with, if any.

    Returns:
        What was published.

    Raises:
        ValueError: If the data allow no thresholds.
        OSError: If a folder cannot be written.
    """
    landmarks = config.model.landmarks
    networks = [outcome.model for outcome in outcomes]
    trial = ServedGraph(networks, config, [0.0] * len(landmarks))
    usual = USUAL_ORIENTATIONS.get(config.view, ())
    predictions = predict_examples(trial.explain, validation, usual)
    thresholds = learn_thresholds(predictions)
    radii, bins = learn_confidence(predictions)
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
    served = ServedGraph(networks, config, thresholds, radii, recognition)
    validated = evaluation_figures(predictions, landmarks, bins)
    description = {
        "view": config.view,
        "landmarks": list(landmarks),
        "usual_orientations": usual,
        "thresholds": dict(zip(landmarks, thresholds, strict=True)),
        "bins": {
            name: own.to_dict() for name, own in zip(landmarks, bins, strict=True)
        },
        "recognition_threshold": recognition,
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
    version = export(served, description, folder, seen)
    return Published(version, outcomes, validated)


def learn_confidence(predictions: Predictions) -> tuple[Radii, list[Bins]]:
    """Error radii, and the confidence bins of each landmark, from validation errors.

    Raises:
        ValueError: If a landmark is annotated in none of the images.
    """
    radii = learn_radii(predictions.errors, predictions.evidence, predictions.subjects)
    return radii, [
        learn_bins(errors, confidence)
        for errors, confidence in zip(
            predictions.errors.T, predictions.confidence.T, strict=True
        )
    ]


def learn_thresholds(predictions: Predictions) -> list[float]:
    """The confidence threshold of each landmark, from validation predictions.

    Raises:
        ValueError: If a landmark is annotated in none of the images.
    """
    return [
        confidence_threshold(errors, confidence)
        for errors, confidence in zip(
            predictions.errors.T, predictions.confidence.T, strict=True
        )
    ]
