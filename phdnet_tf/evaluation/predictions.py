"""A model's predictions on annotated images, and their errors."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf

from phdnet_tf.config import STRATEGIES
from phdnet_tf.dicom.turning import turn_to_usual
from phdnet_tf.evaluation.metrics import point_errors

Signature = Callable[..., dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Predictions:
    """Predictions of N annotated images with L landmarks.

    Attributes:
        images: Name of each image.
        subjects: Subject of each image.
        errors: float64[N, L], point errors of the model's own strategy, mm; NaN where
            not annotated.
        errors_by: The same for each strategy of the signature `explain`.
        points: float32[N, L, 2], predicted (x, y), pixels of the image.
        truth: float32[N, L, 2], annotated (x, y), pixels of the image.
        confidence: float32[N, L].
        high_confidence: bool[N, L].
        recognised: bool[N].
        radii: float32[N, L, 3], error radii, mm, for `radii.LEVELS`.
        evidence: float32[N, L, K], as in `reading.Reading`.
        member_spread: float32[N, L], distance between the networks' own points, mm.
    """

    images: list[str]
    subjects: list[str]
    errors: np.ndarray
    errors_by: dict[str, np.ndarray]
    points: np.ndarray
    truth: np.ndarray
    confidence: np.ndarray
    high_confidence: np.ndarray
    recognised: np.ndarray
    radii: np.ndarray
    evidence: np.ndarray
    member_spread: np.ndarray


def predict_examples(
    explain: Signature,
    examples: Iterable[dict[str, Any]],
    usual: Sequence[Sequence[float]],
) -> Predictions:
    """Runs a model over annotated examples.

    Args:
        explain: The model's signature "explain".
        examples: Examples of the data set `aspire_cmr`, not batched.
        usual: Usual orientations of the model's view; see `dicom.turning`.

    Returns:
        The predictions, in the order of the examples. Points are in pixels of the
        images before any turning.

    Raises:
        ValueError: If there is no example.
    """
    rows: dict[str, list] = {}

    def add(name: str, value: Any) -> None:
        rows.setdefault(name, []).append(value)

    for example in examples:
        image, spacing = map(np.asarray, (example["image"], example["pixel_spacing"]))
        turn = turn_to_usual(np.asarray(example["orientation"]), usual)
        outputs = explain(
            image=tf.constant(turn.pixels(image)[None]),
            pixel_spacing=tf.constant([turn.spacing(spacing)], tf.float32),
        )
        for name in outputs.keys() - {"candidate_map", "candidate_corners"}:
            value = outputs[name].numpy()[0]
            in_image = name in {"landmarks", *STRATEGIES}
            add(name, turn.back(value, image.shape) if in_image else value)
        add("truth", np.asarray(example["landmarks"]))
        add("spacing", spacing)
        add("images", tf.compat.as_str(np.asarray(example["image_id"]).item()))
        add("subjects", tf.compat.as_str(np.asarray(example["subject"]).item()))
    if not rows:
        raise ValueError(
            "evaluation: expected at least one annotated image. Received none. Choose "
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
        recognised=np.stack(rows["recognised"]),
        radii=np.stack(rows["error_radius_mm"]),
        evidence=np.stack(rows["evidence"]),
        member_spread=np.stack(rows["member_spread_mm"]),
    )


def join(parts: list[Predictions]) -> Predictions:
    """Concatenates the predictions of several sets of images.

    Args:
        parts: One or more predictions, with the same landmarks and strategies.
    """
    joined: dict[str, Any] = {}
    for field in fields(Predictions):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], dict):
            joined[field.name] = {
                name: np.concatenate([value[name] for value in values])
                for name in values[0]
            }
        elif isinstance(values[0], list):
            joined[field.name] = [each for value in values for each in value]
        else:
            joined[field.name] = np.concatenate(values)
    return Predictions(**joined)
