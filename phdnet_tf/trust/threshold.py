"""The paper's confidence threshold, below which a human should check (section 2.2)."""

import math

import numpy as np

WORST_SHARE = 0.1
"""Share of the validation predictions that determine the threshold (section 2.2)."""

NOTHING_TO_LEARN = (
    "{}: expected at least one validation prediction of an annotated landmark. "
    "Received none. Annotate it in the validation fold, or choose another "
    "--validation-fold."
)


def confidence_threshold(errors: np.ndarray, confidence: np.ndarray) -> float:
    """The confidence below which a prediction is called low confidence (section 2.2).

    It is the mean confidence of the 10 % least accurate validation predictions (their
    number rounded up), each weighted by its error.

    Args:
        errors: float[N], point errors of one landmark, in any unit of length.
        confidence: float[N], their confidence. Pairs with a NaN are left out.

    Returns:
        The threshold, in units of the confidence.

    Raises:
        ValueError: If no pair is left to learn from.
    """
    known = np.isfinite(errors) & np.isfinite(confidence)
    errors, confidence = errors[known], confidence[known]
    if errors.size == 0:
        raise ValueError(NOTHING_TO_LEARN.format("confidence threshold"))
    # A product such as 0.1 * 30 may lie a hair above 3 and must not be rounded up to 4.
    worst_count = math.ceil(round(WORST_SHARE * errors.size, 9))
    worst = np.argsort(-errors, kind="stable")[:worst_count]
    if not errors[worst].any():
        return float(confidence[worst].mean())
    return float(np.average(confidence[worst], weights=errors[worst]))
