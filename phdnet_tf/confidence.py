"""How far a point can be trusted, learnt from the errors on validation images.

Three readings of a point: the paper's threshold, below which a human should look; a
radius in millimetres that holds the true landmark with a given probability; and bins of
confidence with the error to expect in each. One of an image: whether it shows what the
model was trained for.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import isotonic_regression, nnls

WORST_SHARE = 0.1
"""Share of the validation predictions that teach the threshold (section 2.2)."""


LEVELS = (0.5, 0.9, 0.95)
"""Probabilities with which a radius should hold the true landmark."""

BINS = 5
"""Bins of equal numbers of validation predictions (Schobs et al., IEEE TMI 2023)."""

RIDGE = 1.0
"""Weight of the penalty that keeps few data from teaching large slopes."""

RECOGNISED_SHARE = 1 / 8
"""Share of the usual image confidence below which an image is not recognised."""

_NOTHING_TO_LEARN = (
    "{}: expected at least one validation prediction of an annotated landmark. "
    "Received none: annotate it in the validation fold, or choose another "
    "--validation-fold."
)


@dataclass(frozen=True)
class Radii:
    """What validation errors teach of the distance to the true landmark.

    The radius of landmark l at `LEVELS[p]` is `quantiles[l][p] *
    exp(offset + slopes . evidence)`, in mm.

    Attributes:
        offset: Of all landmarks.
        slopes: K, one for each piece of evidence; 0 or more.
        quantiles: One a landmark and level; infinite where there are too few images.
    """

    offset: float
    slopes: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]


def learn_radii(errors: np.ndarray, evidence: np.ndarray, subjects: list[str]) -> Radii:
    """Learns error radii by split conformal prediction, adaptive, for each landmark.

    A regression of the logarithm of the error on the evidence, one for all landmarks,
    says which points are likely to be farther off, and by how many times. Each
    validation error is divided by what the regression of the *other* subjects expects;
    the radius takes the quantile of these ratios of its landmark, with the correction
    for their finite number n: the k-th smallest, k = ceil((n + 1) level) (Lei et al.,
    JASA 2018, section 5.2, and Papadopoulos et al., 2002). With k > n no finite radius
    can be promised.

    The images of a subject count as so many, although they resemble each other: with
    few subjects the promise is less sure than n suggests.

    Args:
        errors: float[N, L], validation errors, mm; NaN where not annotated.
        evidence: float[N, L, K], as `reading.Reading` has it.
        subjects: The subject of each image.

    Returns:
        What is learnt.

    Raises:
        ValueError: If a landmark is annotated in none of the images.
    """
    known = np.isfinite(errors)
    if not known.any(axis=0).all():
        raise ValueError(_NOTHING_TO_LEARN.format("error radius"))
    ratios = np.empty_like(errors)
    names = np.array(subjects)
    for subject in np.unique(names):
        own = names == subject
        others = known & ~own[:, None]
        offset, slopes = _expected_error(errors[others], evidence[others])
        ratios[own] = errors[own] / np.exp(offset + evidence[own] @ slopes)
    if (names == names[0]).all():
        # There is no other subject to learn from, only the errors themselves.
        offset, slopes = 0.0, np.zeros(evidence.shape[-1])
    else:
        offset, slopes = _expected_error(errors[known], evidence[known])
    quantiles = tuple(
        _quantiles(own[theirs]) for own, theirs in zip(ratios.T, known.T, strict=True)
    )
    return Radii(float(offset), tuple(map(float, slopes)), quantiles)


def _quantiles(ratios: np.ndarray) -> tuple[float, ...]:
    ranked = np.append(np.sort(ratios), math.inf)
    # A product such as 0.95 * 20 may lie a hair above 19.
    ranks = [math.ceil(round(level * ranked.size, 9)) for level in LEVELS]
    return tuple(float(ranked[rank - 1]) for rank in ranks)


def _expected_error(errors: np.ndarray, evidence: np.ndarray) -> tuple:
    """Offset and slopes of the error's logarithm: a ridge regression.

    No slope is below 0: with few subjects chance would find that the worse a point
    looks, the better it is, and call the worst of all the surest.
    """
    if errors.size == 0:
        return 0.0, np.zeros(evidence.shape[1])
    # A millimetre is added: differences far below it mean nothing, and log 0 less.
    logarithms = np.log(errors + 1)
    middle, spread = evidence.mean(axis=0), evidence.std(axis=0)
    # Evidence that never changes tells nothing, and must not be divided by 0.
    scaled = np.divide(
        evidence - middle, spread, out=np.zeros_like(evidence), where=spread > 1e-6
    )
    # The penalty as more rows of a least-squares problem.
    rows = np.concatenate([scaled, math.sqrt(RIDGE) * np.eye(len(middle))])
    wanted = np.concatenate([logarithms - logarithms.mean(), np.zeros(len(middle))])
    slopes, _ = nnls(rows, wanted)
    slopes = np.divide(slopes, spread, out=np.zeros_like(slopes), where=spread > 1e-6)
    return logarithms.mean() - middle @ slopes, slopes


@dataclass(frozen=True)
class Bins:
    """Bins of a landmark's confidence, from the least to the most confident.

    Attributes:
        edges: `BINS` - 1 rising confidences between the bins.
        bounds_mm: For each bin the error that is expected at its lower edge, the worst
            in it; the first has none, so its bound is None.
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
        """The bins from what `to_dict` gave, through JSON or not."""
        return cls(tuple(values["edges"]), tuple(values["bounds_mm"]))


def learn_bins(errors: np.ndarray, confidence: np.ndarray) -> Bins:
    """Learns bins of equal numbers, and the error to expect (quantile binning).

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
        raise ValueError(_NOTHING_TO_LEARN.format("confidence bins"))
    order = np.argsort(confidence, kind="stable")
    edges = np.quantile(confidence, np.arange(1, BINS) / BINS)
    expected = isotonic_regression(errors[order], increasing=False).x
    bounds = np.interp(edges, confidence[order], expected)
    return Bins(
        tuple(float(edge) for edge in edges), (None, *(float(b) for b in bounds))
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
        ValueError: If no pair is left, so that nothing can be learnt.
    """
    known = np.isfinite(errors) & np.isfinite(confidence)
    errors, confidence = errors[known], confidence[known]
    if errors.size == 0:
        raise ValueError(_NOTHING_TO_LEARN.format("confidence threshold"))
    # A product such as 0.1 * 30 may lie a hair above 3 and must not be rounded up to 4.
    worst_count = math.ceil(round(WORST_SHARE * errors.size, 9))
    worst = np.argsort(-errors, kind="stable")[:worst_count]
    if not errors[worst].any():
        return float(confidence[worst].mean())
    return float(np.average(confidence[worst], weights=errors[worst]))


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
