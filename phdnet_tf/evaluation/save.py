"""Writes an evaluation as files: figures, pictures and every prediction."""

import csv
import json
from pathlib import Path
from typing import Any

from phdnet_tf.evaluation.plots import save_confidence, save_error_curves
from phdnet_tf.evaluation.predictions import Predictions
from phdnet_tf.evaluation.summary import rankings
from phdnet_tf.files import OutputFolder
from phdnet_tf.trust.radii import RADIUS_NAMES

COLUMNS = "subject image landmark x y true_x true_y error_mm confidence".split()


def save_evaluation(
    output: OutputFolder,
    result: dict[str, Any],
    predictions: Predictions,
    landmarks: tuple[str, ...],
) -> None:
    """Writes evaluation.json, error_curve.png, confidence.png and predictions.csv.

    Args:
        output: The claimed folder.
        result: The result of `summary.evaluation_figures`, with "model" and "data",
            their names.
        predictions: Predictions of N images with L landmarks.
        landmarks: Names of the L landmarks.

    Raises:
        OSError: If a file cannot be written.
    """
    folder = output.folder
    with output.whole_file(folder / "evaluation.json") as path:
        path.write_text(json.dumps(result, indent=2) + "\n")
    high = predictions.high_confidence
    groups = {
        "all": predictions.errors,
        "high confidence": predictions.errors[high],
        "low confidence": predictions.errors[~high],
    }
    with output.whole_file(folder / "error_curve.png") as path:
        save_error_curves(path, {f"{result['model']} on {result['data']}": groups})
    with output.whole_file(folder / "confidence.png") as path:
        save_confidence(
            path,
            predictions.errors,
            rankings(predictions),
            result["confidence"]["radii"],
        )
    with output.whole_file(folder / "predictions.csv") as path:
        _write_predictions(path, predictions, landmarks)


def _write_predictions(
    path: Path, predictions: Predictions, landmarks: tuple[str, ...]
) -> None:
    radii = [f"error_radius_{name}_mm" for name in RADIUS_NAMES]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "high_confidence", *radii, "member_spread_mm"])
        for i, image in enumerate(predictions.images):
            for j, name in enumerate(landmarks):
                numbers = (
                    *predictions.points[i, j],
                    *predictions.truth[i, j],
                    predictions.errors[i, j],
                    predictions.confidence[i, j],
                )
                writer.writerow(
                    [predictions.subjects[i], image, name]
                    + [f"{number:.4f}" for number in numbers]
                    + [int(predictions.high_confidence[i, j])]
                    + [f"{radius:.4f}" for radius in predictions.radii[i, j]]
                    + [f"{predictions.member_spread[i, j]:.4f}"]
                )
