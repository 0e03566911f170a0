"""How good a model is: its predictions on annotated images, and the report of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from phdnet_tf.confidence import confidence_threshold
from phdnet_tf.config import STRATEGIES
from phdnet_tf.metrics import point_errors, summarise

Signature = Callable[..., dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Predictions:
    """Predictions of N annotated images with L landmarks.

    Attributes:
        images: What each image is called.
        subjects: The subject of each.
        errors: float64[N, L], point errors of the model's own strategy, mm; NaN where
            not annotated.
        errors_by: The same for each strategy that the network allows.
        points: float32[N, L, 2], predicted (x, y), pixels of the image.
        truth: float32[N, L, 2], annotated (x, y), pixels of the image.
        confidence: float32[N, L].
        high_confidence: bool[N, L].
    """

    images: list[str]
    subjects: list[str]
    errors: np.ndarray
    errors_by: dict[str, np.ndarray]
    points: np.ndarray
    truth: np.ndarray
    confidence: np.ndarray
    high_confidence: np.ndarray


def predict_examples(
    locate: Signature, explain: Signature, examples: Iterable[dict[str, Any]]
) -> Predictions:
    """Runs a model's two signatures over annotated examples.

    Args:
        locate: The signature "serving_default".
        explain: The signature "explain".
        examples: Of the data set `aspire_cmr`, not batched.

    Returns:
        The predictions, in the order of the examples.

    Raises:
        ValueError: If there is no example.
    """
    rows: dict[str, list] = {}

    def add(name: str, value: Any) -> None:
        rows.setdefault(name, []).append(value)

    for example in examples:
        inputs = {
            "image": tf.convert_to_tensor(example["image"])[None],
            "pixel_spacing": tf.convert_to_tensor(example["pixel_spacing"])[None],
        }
        for outputs in (locate(**inputs), explain(**inputs)):
            for name in outputs.keys() - {"candidate_map", "candidate_corners"}:
                add(name, outputs[name].numpy()[0])
        add("truth", np.asarray(example["landmarks"]))
        add("spacing", np.asarray(example["pixel_spacing"]))
        add("images", tf.compat.as_str(np.asarray(example["image_id"]).item()))
        add("subjects", tf.compat.as_str(np.asarray(example["subject"]).item()))
    if not rows:
        raise ValueError(
            "evaluation: expected at least one annotated image. Received none: choose "
            "another fold, or check the data with 'phdnet-tf dataset check'."
        )
    truth, spacing = np.stack(rows["truth"]), np.stack(rows["spacing"])
    points = np.stack(rows["landmarks"])
    return Predictions(
        images=rows["images"],
        subjects=rows["subjects"],
        errors=point_errors(points, truth, spacing),
        errors_by={
            strategy: point_errors(np.stack(rows[strategy]), truth, spacing)
            for strategy in STRATEGIES
            if strategy in rows
        },
        points=points,
        truth=truth,
        confidence=np.stack(rows["confidence"]),
        high_confidence=np.stack(rows["high_confidence"]),
    )


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


def report(predictions: Predictions, landmarks: tuple[str, ...]) -> dict[str, Any]:
    """All figures of an evaluation, for JSON.

    Args:
        predictions: What was predicted.
        landmarks: Names of the L landmarks.

    Returns:
        "images" and "subjects", their numbers; "landmarks", for each name and for
        "overall" what `metrics.summarise` says of "all" points and of those with
        "high_confidence", the latter with their "share" of the points; "strategies",
        the summary of all points for each strategy; "high_confidence_images", the share
        of images in which every landmark is high confidence.
    """
    errors, high = predictions.errors, predictions.high_confidence
    groups = {
        name: (errors[:, index], high[:, index]) for index, name in enumerate(landmarks)
    }
    groups["overall"] = errors, high
    return {
        "images": len(predictions.images),
        "subjects": len(set(predictions.subjects)),
        "landmarks": {name: _compare(*group) for name, group in groups.items()},
        "strategies": {
            strategy: summarise(errors)
            for strategy, errors in predictions.errors_by.items()
        },
        "high_confidence_images": float(high.all(axis=1).mean()),
    }


def _compare(errors: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(errors)
    trusted = summarise(errors[high])
    share = float(high[known].mean()) if known.any() else None
    return {"all": summarise(errors), "high_confidence": {"share": share, **trusted}}
