"""Bins of confidence, with the expected error in each."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import isotonic_regression

from phdnet_tf.trust.threshold import NOTHING_TO_LEARN

BINS = 5
"""Number of bins, which hold equally many validation predictions (Schobs et al., IEEE
TMI 2023)."""


@dataclass(frozen=True)
class Bins:
    """Bins of a landmark's confidence, from the least to the most confident.

    Attributes:
        edges: `BINS` - 1 rising confidences between the bins.
        bounds_mm: For each bin, the expected error at its lower edge, which is its
            worst, in mm. The first bin has no lower edge, so its bound is None, and so
            are all bounds of a model that promises nothing.
    """

    edges: tuple[float, ...]
    bounds_mm: tuple[float | None, ...]

    def of(self, confidence: np.ndarray) -> np.ndarray:
        """The number of the bin, from 0, of each confidence."""
        return np.searchsorted(self.edges, confidence, side="right")

    def to_dict(self) -> dict[str, Any]:
        """The values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The bins from the values of `to_dict`, such as those read from JSON."""
        return cls(tuple(values["edges"]), tuple(values["bounds_mm"]))


def learn_bins(errors: np.ndarray, confidence: np.ndarray) -> Bins:
    """Learns bins with equally many predictions, and their errors (quantile binning).

    The error at an edge is that of an isotonic regression: the falling function of the
    confidence that is nearest to the validation errors (Schobs et al., "Uncertainty
    Estimation for Heatmap-based Landmark Localization", IEEE TMI 2023).

    Args:
        errors: float[N], errors of one landmark, mm.
        confidence: float[N], their confidence. Pairs with a NaN are left out.

    Returns:
        The bins.

    Raises:
        ValueError: If no pair is left.
    """
    known = np.isfinite(errors) & np.isfinite(confidence)
    errors, confidence = errors[known], confidence[known]
    if errors.size == 0:
        raise ValueError(NOTHING_TO_LEARN.format("confidence bins"))
    order = np.argsort(confidence, kind="stable")
    edges = np.quantile(confidence, np.arange(1, BINS) / BINS)
    expected = isotonic_regression(errors[order], increasing=False).x
    bounds = np.interp(edges, confidence[order], expected)
    return Bins(
        tuple(float(edge) for edge in edges), (None, *(float(b) for b in bounds))
    )
