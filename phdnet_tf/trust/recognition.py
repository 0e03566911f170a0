"""Recognises images that look like those that a model was trained on."""

import numpy as np

RECOGNISED_SHARE = 1 / 5
"""An image is not recognised if its confidence is below this share of the usual one."""


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
    """The image confidence below which an image is not recognised.

    Another view, another part of the body or noise gives hardly any heat, and votes at
    scattered positions. The threshold is a fifth of the validation images' median.
    Their minimum would be a worse basis: they show few subjects, and a single odd image
    would determine it.

    Args:
        confidence: float[N, L], of the validation images.

    Returns:
        The threshold of `image_confidence`.
    """
    return float(RECOGNISED_SHARE * np.median(image_confidence(confidence)))
