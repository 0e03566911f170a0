"""The paper's evaluation (section 3): several systems on the same folds.

`train_and_test` trains and tests one system on one fold and keeps every prediction;
`tables` makes the paper's tables and figure of what was kept.
"""

import csv
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from phdnet_tf.comparison.side_by_side import OTHERS
from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.config import Config
from phdnet_tf.evaluation.predictions import (
    Predictions,
    Signature,
    predict_examples,
)
from phdnet_tf.export.description import load_description
from phdnet_tf.export.saved_model import load_signatures
from phdnet_tf.export.versions import resolve_version, versions
from phdnet_tf.files import whole_file
from phdnet_tf.presets import USUAL_ORIENTATIONS
from phdnet_tf.training.checks import require_images
from phdnet_tf.training.data import (
    AnnotatedImages,
    cross_validation_folds,
    describe_data,
    seen_images,
)
from phdnet_tf.training.kept import CACHE_MEMORY
from phdnet_tf.training.members import one_after_the_other, train_members
from phdnet_tf.training.progress import Progress
from phdnet_tf.training.publish import publish_validated

PREDICTIONS = "predictions.csv"
RESULT = "result.json"
COLUMNS = (
    "subject",
    "image",
    "landmark",
    "system",
    "fold",
    "strategy",
    "error_mm",
    "confidence",
    "high_confidence",
)
LATENCY_RUNS = 20
"""Predictions of which the median time is taken."""


def is_finished(folder: Path) -> bool:
    """Whether `train_and_test` has finished in a folder."""
    return (folder / RESULT).exists()


def train_and_test(
    name: str,
    fold: int,
    config: Config,
    source: AnnotatedImages,
    folder: Path,
    *,
    time_limit: float | None = None,
    cache_memory: float = CACHE_MEMORY,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Trains a system beside one fold and predicts that fold.

    The folder gets `predictions.csv` and, when all is done, `result.json`. A run that
    was killed or interrupted goes on where it was.

    Args:
        name: One of `SYSTEMS`.
        fold: The test fold.
        config: Its settings, `systems.system_config`.
        source: The data.
        folder: Folder of this system and fold; made where it does not exist.
        time_limit: Most seconds to train, of all networks of the system together; by
            default the paper's epochs and patience alone decide.
        cache_memory: As for `loop.train`.
        on_progress: Called after every step and every epoch.

    Raises:
        KeyboardInterrupt: After Ctrl-C; the next call goes on.
        ValueError: If the data allow no training.
        OSError: If a folder cannot be written.
    """
    folds = cross_validation_folds(fold)
    require_images(source, folds)
    run, models = folder / "run", folder / "models"
    landmarks = config.model.landmarks
    network = models / f"{config.model.network}_{config.view}"
    if not versions(network):
        run.mkdir(parents=True, exist_ok=True)
        validating = source.examples(folds.validation, landmarks)
        trainer = functools.partial(
            one_after_the_other,
            source,
            cache_memory=cache_memory,
            on_progress=on_progress,
        )
        outcomes = train_members(config, folds, run, trainer, time_limit=time_limit)
        if outcomes[-1].ended_by == "interrupt":
            # Half a training must not count as a result.
            raise KeyboardInterrupt
        publish_validated(
            outcomes,
            config,
            validating,
            models,
            run="run",
            data=describe_data(source, folds),
            seen=seen_images(source, folds),
        )
    version = resolve_version(network)
    signatures = load_signatures(version)
    predictions = predict_examples(
        signatures["explain"],
        source.examples([fold], landmarks),
        USUAL_ORIENTATIONS.get(config.view, ()),
    )
    _keep(name, fold, landmarks, predictions, folder)
    _keep_result(name, fold, version, _latency(signatures), folder)


def _latency(signatures: dict[str, Signature]) -> float:
    """Median seconds of a prediction of one 512 x 512 image."""
    inputs = {
        "image": tf.random.stateless_uniform([1, 512, 512], [0, 0]),
        "pixel_spacing": tf.constant([[0.9375, 0.9375]]),
    }
    seconds = []
    for _ in range(LATENCY_RUNS):
        start = time.perf_counter()
        signatures["serving_default"](**inputs)["landmarks"].numpy()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def _keep(
    name: str,
    fold: int,
    landmarks: tuple[str, ...],
    predictions: Predictions,
    folder: Path,
) -> None:
    rows = []
    for strategy, errors in predictions.errors_by.items():
        own = strategy == SYSTEMS[name].strategy
        for i, image in enumerate(predictions.images):
            for j, landmark in enumerate(landmarks):
                # The confidence is that of the system's own strategy.
                trust = [
                    f"{predictions.confidence[i, j]:.5g}",
                    int(predictions.high_confidence[i, j]),
                ]
                rows.append(
                    [predictions.subjects[i], image, landmark, name, fold, strategy]
                    + [f"{errors[i, j]:.4f}", *(trust if own else ["", ""])]
                )
    with whole_file(folder / PREDICTIONS) as path, path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def _keep_result(
    name: str,
    fold: int,
    version: Path,
    latency: float,
    folder: Path,
) -> None:
    training = load_description(version)["training"]
    networks = training["members"]
    result = {
        "system": name,
        "fold": fold,
        "networks": len(networks),
        "parameters": training["parameters"],
        "epochs": [network["epochs"] for network in networks],
        "steps": [network["steps"] for network in networks],
        "ended_by": [network["ended_by"] for network in networks],
        "training_seconds": round(sum(network["seconds"] for network in networks), 1),
        "model_bytes": sum(
            file.stat().st_size for file in version.rglob("*") if file.is_file()
        ),
        "latency_ms": round(1000 * latency, 1),
    }
    if (folder / OTHERS).exists():
        result["beside_others"] = True
    with whole_file(folder / RESULT) as path:
        path.write_text(json.dumps(result, indent=2) + "\n")
