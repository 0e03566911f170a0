"""Landmarks through the heart beat: their tracks, and where they jump.

The heart moves smoothly, a detector that errs does not. A landmark that lies far from
where the phases before and after it make it expected is called low confidence, however
sure the network is of the single frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phdnet_tf.inference.results import Landmark, Prediction

MIN_PHASES = 5
"""Fewest phases from which anything can be expected."""

MAX_PHASES = 1000
"""Most phases that are looked at together: each is compared with each other."""

NEIGHBOURS = 8
"""Phases that an expectation is made of: four on each side, where there are."""

TOLERANCE_MM = 8.0
"""Largest jump that takes no confidence.

Points that other software placed in a real cine are up to 4.6 mm from where their
neighbours make them expected; a detector that takes one place for another errs by 20 mm
and more.
"""


@dataclass(frozen=True)
class Track:
    """A landmark through a cine, as it lies in the image.

    Attributes:
        name: Of the landmark.
        phases: int[T], numbers from 1, rising.
        points: float64[T, 2], (x, y), mm from the centre of the top-left pixel.
        expected: float64[T, 2], where the other phases make it expected, mm.
    """

    name: str
    phases: np.ndarray
    points: np.ndarray
    expected: np.ndarray

    @property
    def jumps(self) -> np.ndarray:
        """float64[T], distance between both, mm."""
        return np.linalg.norm(self.points - self.expected, axis=-1)

    def summary(self) -> dict[str, Any]:
        """The track in numbers: what is moved, and how consistently."""
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
    points: np.ndarray, phases: np.ndarray, period: int | None
) -> np.ndarray:
    """Where each point of a track is expected from the points around it.

    A parabola through the nearest phases, the point itself left out, fitted to the
    least sum of distances: a few points that are far off do not draw it to them, as
    they would the least sum of squares.

    Args:
        points: float64[T, 2], mm, T from `MIN_PHASES` to `MAX_PHASES`.
        phases: int[T], rising.
        period: Number of phases after which the track comes round, if it does.

    Returns:
        float64[T, 2], mm.
    """
    offsets = (phases[None, :] - phases[:, None]).astype(float)
    if period is not None:
        offsets -= period * np.round(offsets / period)
    distance = np.abs(offsets)
    np.fill_diagonal(distance, np.inf)
    count = min(NEIGHBOURS, len(phases) - 1)
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
    predictions: Sequence[Prediction], phases: Sequence[int], period: int | None
) -> list[Track]:
    """The track of each landmark of a cine.

    Args:
        predictions: Of the phases, in the order of time.
        phases: Their numbers in the cine; one that could not be read is missing.
        period: Number of phases after which the heart beat comes round, if it does.

    Returns:
        One for each landmark; none where there are fewer than `MIN_PHASES` phases, or
        more than `MAX_PHASES`.
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
        at = np.array(phases)
        expected = expected_points(points, at, period)
        tracks.append(Track(landmark.name, at, points, expected))
    return tracks


def with_jumps(
    predictions: Sequence[Prediction], tracks: Sequence[Track]
) -> list[Prediction]:
    """The predictions of a cine, with what their tracks say of them.

    Within `TOLERANCE_MM` a jump changes nothing. A longer one makes the point low
    confidence, divides its confidence by how many tolerances it is long, and makes its
    error radii as long as itself at the least.

    Args:
        predictions: Of the phases.
        tracks: What `find_tracks` returned for them.

    Returns:
        The predictions, as many.
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
