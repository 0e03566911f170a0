"""What errors on images that a network did not learn from teach about its trust."""

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from phdnet_tf.evaluation.predictions import Predictions, join
from phdnet_tf.export.graph import error_radii
from phdnet_tf.trust.bins import Bins, learn_bins
from phdnet_tf.trust.radii import Radii, learn_radii
from phdnet_tf.trust.recognition import image_confidence, recognition_threshold
from phdnet_tf.trust.threshold import confidence_threshold


@dataclass(frozen=True)
class Calibration:
    """How far a model can be trusted.

    Attributes:
        thresholds: The confidence threshold of each landmark (section 2.2).
        radii: What makes error radii.
        bins: The confidence bins of each landmark.
        recognition: Image confidence below which an image is not recognised.
    """

    thresholds: list[float]
    radii: Radii
    bins: list[Bins]
    recognition: float


def calibrate(predictions: Predictions) -> Calibration:
    """Learns it from predictions of images that the network did not learn from.

    Args:
        predictions: Those of the validation fold, or of all folds, each by a network
            that learnt from the others.

    Raises:
        ValueError: If a landmark is annotated in none of the images.
    """
    columns = list(zip(predictions.errors.T, predictions.confidence.T, strict=True))
    return Calibration(
        thresholds=[confidence_threshold(*column) for column in columns],
        radii=learn_radii(
            predictions.errors, predictions.evidence, predictions.subjects
        ),
        bins=[learn_bins(*column) for column in columns],
        recognition=recognition_threshold(predictions.confidence),
    )


def calibrated(predictions: Predictions, calibration: Calibration) -> Predictions:
    """The predictions as a model with this calibration gives them.

    Args:
        predictions: Of N images with L landmarks.
        calibration: Of the L landmarks.

    Returns:
        The predictions with other `high_confidence`, `recognised` and `radii`.
    """
    thresholds = np.array(calibration.thresholds, np.float32)
    recognised = image_confidence(predictions.confidence) >= calibration.recognition
    high = predictions.confidence >= thresholds
    evidence = tf.constant(predictions.evidence)
    return replace(
        predictions,
        high_confidence=high & recognised[:, None],
        recognised=recognised,
        radii=error_radii(evidence, calibration.radii).numpy(),
    )


def calibrated_by_the_others(parts: list[Predictions]) -> Predictions:
    """Predictions of all folds, each fold calibrated by the errors of the others.

    So no image is judged by what it taught itself: what cross-fitting can say of
    thresholds, radii and recognition (Barber et al., Annals of Statistics 2021).

    Args:
        parts: The predictions of each fold, by a network that learnt from the others.

    Returns:
        All of them, fold after fold.
    """
    return join(
        [
            calibrated(part, calibrate(join(parts[:number] + parts[number + 1 :])))
            for number, part in enumerate(parts)
        ]
    )
