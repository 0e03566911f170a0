"""Tracks of landmarks through the heart beat, and their jumps.

The heart moves smoothly; a detector's errors do not. A landmark far from the point that
the phases before and after it suggest is low confidence, however sure the network is of
the single frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phdnet_tf.inference.results import Landmark, Prediction

MIN_PHASES = 5
"""Smallest number of phases from which a point can be expected."""

MAX_PHASES = 1000
"""Largest number of phases in a track, as each is compared with all others."""

NEIGHBOURS = 8
"""Number of phases from which a point is expected: four on each side if possible."""

TOLERANCE_MM = 8.0
"""Largest jump that does not lower the confidence, in mm.

Points that other software placed in a real cine are up to 4.6 mm from the expected
point. A detector that confuses two places errs by 20 mm and more.
"""


@dataclass(frozen=True)
class Track:
    """The points of a landmark in the phases of a cine.

    Attributes:
        name: Name of the landmark.
        phases: int[T], numbers of the phases from 1, rising.
        points: float64[T, 2], (x, y), mm from the centre of the top-left pixel.
        expected: float64[T, 2], the points expected from the other phases, mm.
    """

    name: str
    phases: np.ndarray
    points: np.ndarray
    expected: np.ndarray

    @property
    def jumps(self) -> np.ndarray:
        """Distances between points and expected points, float64[T], mm."""
        return np.linalg.norm(self.points - self.expected, axis=-1)

    def summary(self) -> dict[str, Any]:
        """The track in numbers: the motion, and its consistency."""
        jumps = self.jumps
        spread = self.expected[:, None] - self.expected[None]
        return {
            "name": self.name,
            "phases": len(self.phases),
            "excursion_mm": round(float(np.linalg.norm(spread, axis=-1).max()), 3),
            "rms_jump_mm": round(float(np.sqrt((jumps**2).mean())), 3),
            "largest_jump_mm": round(float(jumps.max()), 3),
            "jump_phases": self.phases[jumps > TOLERANCE_MM].tolist(),
            "consistency": round(float((jumps <= TOLERANCE_MM).mean()), 3),
        }


def expected_points(
    points: np.ndarray, times: np.ndarray, period: float | None
) -> np.ndarray:
    """The point that is expected at each phase of a track, from the phases around it.

    It lies on a parabola that is fitted to the nearest phases, without the phase
    itself. The fit has the least sum of distances, so that a few outliers do not
    attract it, as they would attract a fit of least squares.

    Args:
        points: float64[T, 2], mm, T from `MIN_PHASES` to `MAX_PHASES`.
        times: float[T], times of the phases, rising, in phases.
        period: Time after which the track repeats, in phases; None if it does not.

    Returns:
        float64[T, 2], mm.
    """
    offsets = (times[None, :] - times[:, None]).astype(float)
    if period is not None:
        offsets -= period * np.round(offsets / period)
    distance = np.abs(offsets)
    np.fill_diagonal(distance, np.inf)
    count = min(NEIGHBOURS, len(times) - 1)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :count]
    t = np.take_along_axis(offsets, nearest, axis=1)
    # Near ones do not count more: two jumps in a row would then outweigh the rest.
    design = np.stack([np.ones_like(t), t, t**2], axis=-1)
    values = points[nearest]
    weights = np.ones_like(t)
    for _ in range(20):
        left = np.einsum("tn,tni,tnj->tij", weights, design, design)
        right = np.einsum("tn,tni,tnd->tid", weights, design, values)
        fitted = np.linalg.solve(left + 1e-9 * np.eye(3), right)
        distances = np.linalg.norm(values - design @ fitted, axis=-1)
        # Below half a millimetre, noise, all points count the same.
        weights = 1 / np.maximum(distances, 0.5)
    # At the point itself the offset is 0, and so the constant term is the answer.
    return fitted[:, 0]


def find_tracks(
    predictions: Sequence[Prediction],
    phases: Sequence[int],
    period: float | None,
    times: Sequence[float] | None = None,
) -> list[Track]:
    """The track of each landmark of a cine.

    Args:
        predictions: Predictions of the phases, in the order of time.
        phases: Numbers of the phases in the cine. A phase that could not be read is
            missing.
        period: Duration of the heart beat, in phases; None if the cine does not cover a
            whole beat.
        times: Times of the phases, rising, in phases. Default: their numbers.

    Returns:
        One track for each landmark. Empty if there are fewer than `MIN_PHASES` phases,
        or more than `MAX_PHASES`.
    """
    if not MIN_PHASES <= len(predictions) <= MAX_PHASES:
        return []
    tracks = []
    for number, landmark in enumerate(predictions[0].landmarks):
        points = np.array(
            [
                [
                    prediction.landmarks[number].x * prediction.pixel_spacing[1],
                    prediction.landmarks[number].y * prediction.pixel_spacing[0],
                ]
                for prediction in predictions
            ]
        )
        at = np.array(phases if times is None else times)
        expected = expected_points(points, at, period)
        tracks.append(Track(landmark.name, np.array(phases), points, expected))
    return tracks


def with_jumps(
    predictions: Sequence[Prediction], tracks: Sequence[Track]
) -> list[Prediction]:
    """Adds jumps to the predictions of a cine, and lowers the confidence for long ones.

    A jump within `TOLERANCE_MM` changes nothing. A longer jump makes the point low
    confidence, divides its confidence by the jump's length in tolerances, and makes its
    error radii at least as long as the jump.

    Args:
        predictions: Predictions of the phases.
        tracks: The result of `find_tracks` for them.

    Returns:
        One prediction for each of `predictions`.
    """
    if not tracks:
        return list(predictions)
    jumps = np.stack([track.jumps for track in tracks], axis=1)
    return [
        replace(
            prediction,
            landmarks=tuple(
                _judged(landmark, float(jump))
                for landmark, jump in zip(prediction.landmarks, row, strict=True)
            ),
        )
        for prediction, row in zip(predictions, jumps, strict=True)
    ]


def _judged(landmark: Landmark, jump: float) -> Landmark:
    trust = min(1.0, TOLERANCE_MM / jump) if jump else 1.0
    return replace(
        landmark,
        confidence=landmark.confidence * trust,
        high_confidence=landmark.high_confidence and jump <= TOLERANCE_MM,
        error_radius_mm={
            name: max(radius, jump) if jump > TOLERANCE_MM else radius
            for name, radius in landmark.error_radius_mm.items()
        },
        jump_mm=jump,
        frame_confidence=landmark.confidence,
    )
