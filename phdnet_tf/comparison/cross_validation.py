"""The paper's evaluation (section 3): several systems on the same folds.

`train_and_test` trains and tests one system on one fold and keeps every prediction;
`tables` makes the paper's tables and figure of what was kept.
"""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.evaluation.predictions import Signature, predict_examples
from phdnet_tf.export.description import load_description
from phdnet_tf.export.saved_model import load_signatures
from phdnet_tf.export.versions import resolve_version, versions
from phdnet_tf.files import whole_file
from phdnet_tf.presets import PRESETS, USUAL_ORIENTATIONS, make_config
from phdnet_tf.training.checks import require_images
from phdnet_tf.training.data import (
    AnnotatedImages,
    cross_validation_folds,
    describe_data,
    seen_images,
)
from phdnet_tf.training.loop import train
from phdnet_tf.training.progress import Progress
from phdnet_tf.training.publish import publish

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
    view: str,
    landmarks: tuple[str, ...],
    source: AnnotatedImages,
    folder: Path,
    *,
    seed: int,
    time_limit: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Trains a system beside one fold and predicts that fold.

    The folder gets `predictions.csv` and, when all is done, `result.json`. A run that
    was killed or interrupted goes on where it was.

    Args:
        name: One of `SYSTEMS`.
        fold: The test fold.
        view: One of `presets.VIEWS`.
        landmarks: Names of the landmarks.
        source: The data.
        folder: Folder of this system and fold; made where it does not exist.
        seed: Of the training.
        time_limit: Most seconds to train, of all networks of the system together; by
            default the paper's epochs and patience alone decide.
        on_progress: Called after every step and every epoch.

    Raises:
        KeyboardInterrupt: After Ctrl-C; the next call goes on.
        ValueError: If the data allow no training.
        OSError: If a folder cannot be written.
    """
    system = SYSTEMS[name]
    parts = [(each,) for each in landmarks] if system.one_each else [landmarks]
    folds = cross_validation_folds(fold)
    require_images(source, folds)
    tested = []
    for part in parts:
        label = part[0] if system.one_each else "all"
        models = folder / label / "models"
        if not versions(models / f"{PRESETS[system.preset].network}_{view}"):
            (folder / label / "run").mkdir(parents=True, exist_ok=True)
            config = make_config(
                system.preset, view, part, system.mapping, system.strategy, seed
            )
            validating = source.examples(folds.validation, part)
            outcome = train(
                config,
                source.examples(folds.training, part),
                validating,
                folder / label / "run",
                time_limit=time_limit and time_limit / len(parts),
                on_progress=on_progress,
            )
            if outcome.ended_by == "interrupt":
                # Half a training must not count as a result.
                raise KeyboardInterrupt
            publish(
                [outcome],
                config,
                validating,
                models,
                run="run",
                data=describe_data(source, folds),
                seen=seen_images(source, folds),
            )
        version = resolve_version(models / f"{PRESETS[system.preset].network}_{view}")
        signatures = load_signatures(version)
        predictions = predict_examples(
            signatures["explain"],
            source.examples([fold], part),
            USUAL_ORIENTATIONS.get(view, ()),
        )
        tested.append((version, part, predictions, _latency(signatures)))
    _keep(name, fold, tested, folder)


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


def _keep(name: str, fold: int, tested: list[tuple], folder: Path) -> None:
    own = SYSTEMS[name].strategy
    rows = []
    for _, part, predictions, _ in tested:
        for strategy, errors in predictions.errors_by.items():
            for i, image in enumerate(predictions.images):
                rows += [
                    [predictions.subjects[i], image, landmark, name, fold, strategy]
                    + [f"{errors[i, j]:.4f}"]
                    # The confidence is that of the system's own strategy.
                    + [f"{predictions.confidence[i, j]:.5g}" if strategy == own else ""]
                    + [
                        int(predictions.high_confidence[i, j])
                        if strategy == own
                        else ""
                    ]
                    for j, landmark in enumerate(part)
                ]
    with whole_file(folder / PREDICTIONS) as path, path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])

    trainings = [load_description(version)["training"] for version, *_ in tested]
    members = [member for training in trainings for member in training["members"]]
    result = {
        "system": name,
        "fold": fold,
        "networks": len(tested),
        "parameters": sum(training["parameters"] for training in trainings),
        "epochs": [member["epochs"] for member in members],
        "steps": [member["steps"] for member in members],
        "ended_by": [member["ended_by"] for member in members],
        "training_seconds": round(sum(member["seconds"] for member in members), 1),
        "model_bytes": sum(
            file.stat().st_size
            for version, *_ in tested
            for file in version.rglob("*")
            if file.is_file()
        ),
        "latency_ms": round(1000 * sum(latency for *_, latency in tested), 1),
    }
    with whole_file(folder / RESULT) as path:
        path.write_text(json.dumps(result, indent=2) + "\n")
