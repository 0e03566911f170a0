"""Whether an image shows what the model was trained for."""

import numpy as np

RECOGNISED_SHARE = 1 / 8
"""Share of the usual image confidence below which an image is not recognised."""


def image_confidence(confidence: np.ndarray) -> np.ndarray:
    """The geometric mean of the confidence of an image's landmarks.

    Args:
        confidence: float[N, L]; below 0 counts as 0.

    Returns:
        float[N].
    """
    # The logarithm of 0 is minus infinity, whose exponential is 0, as it should be.
    with np.errstate(divide="ignore"):
        return np.exp(np.log(np.maximum(confidence, 0)).mean(axis=1))


def recognition_threshold(confidence: np.ndarray) -> float:
    """The image confidence below which an image does not look like those trained on.

    Another view, another part of the body or noise gives hardly any heat anywhere, and
    votes that do not meet. The threshold is an eighth of what the median of the
    validation images has, all of them right ones. Their lowest would tell less: they
    are of few subjects, and a single odd image among them would decide.

    Args:
        confidence: float[N, L], of the validation images.

    Returns:
        The threshold of `image_confidence`.
    """
    return float(RECOGNISED_SHARE * np.median(image_confidence(confidence)))
