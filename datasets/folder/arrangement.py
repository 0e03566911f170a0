"""Subjects whose landmarks lie to one another as in no other subject.

The arrangement of an image's landmarks is where they lie, in mm, seen from the first of
them. How it varies from subject to subject is learnt from the table itself. A row is
odd if its arrangement is far from that of most subjects, and near to it once two
landmarks, or x and y, are exchanged, or all distances of the subject multiplied. So
what is merely unusual, such as a picture that is turned or mirrored, is not reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from phdnet_tf.datasets.folder.images import ImageFacts
from phdnet_tf.datasets.folder.problems import Problem, warning_at
from phdnet_tf.datasets.folder.table import Row, Table, points_in_pixels
from phdnet_tf.dicom.turning import turn_to_usual

FEWEST_SUBJECTS = 10

# Squares of distances in standard deviations, for each coordinate of an arrangement.
# With these nothing is reported of 863 real images of 138 subjects, nor of 326 drawn
# ones, and about eight in ten subjects whose points were exchanged on purpose are.
FAR, NEAR, GAIN = 5.0, 2.5, 3.0

# The smallest hearts have half the size of the usual ones.
LEAST_FACTOR = 2.0

# Of the subjects so many are taken to be in order.
SOUND_SHARE = 0.5

# Two people mark a landmark about so many mm apart; nothing is more alike than that.
CHANCE = 5.0


def arrangement_problems(
    table: Table,
    images: Mapping[str, ImageFacts],
    usual: Sequence[Sequence[float]] = (),
) -> Iterator[Problem]:
    """Landmarks that seem to be exchanged, and distances out of scale.

    One warning a subject. Nothing is said of rows without all landmarks, of fewer than
    ten subjects, or of one landmark alone.

    Args:
        table: The table.
        images: By the id of their row; rows without are left out.
        usual: How images of the view usually lie; see `dicom.turning`. Those that lie
            another way, and say so, are compared as if they did not.
    """
    rows, pixels, spacings = [], [], []
    for row in table.rows:
        if row.id in images and len(table.landmarks) > 1:
            facts = images[row.id]
            points = points_in_pixels(table, row, facts.height, facts.width)
            if np.isfinite(points).all():
                turn = turn_to_usual(facts.orientation, usual)
                rows.append(row)
                pixels.append(turn.points(points, (facts.height, facts.width)))
                # The spacing is (y, x), the points are (x, y).
                spacings.append(turn.spacing(facts.pixel_spacing)[::-1])
    # Of each row, the number of its subject.
    names, subjects = np.unique([row.subject for row in rows], return_inverse=True)
    if len(names) < FEWEST_SUBJECTS:
        return
    points, spacing = np.stack(pixels), np.array(spacings)[:, None]
    own = _arrangement(points * spacing)
    middle = np.stack(
        [np.median(own[subjects == k], axis=0) for k in range(len(names))]
    )
    centre, precision = _usual(middle)
    before = _squared(own, centre, precision)
    size = own.shape[1]
    # What brings the subject's arrangement nearest to the usual one.
    lengths = np.einsum("ni,ij,nj->n", middle, precision, middle)
    factor = (middle @ precision @ centre / lengths)[subjects]
    scaled = (factor > LEAST_FACTOR) | ((0 < factor) & (factor < 1 / LEAST_FACTOR))
    after = {
        meaning: _squared(_arrangement(other * spacing), centre, precision)
        for meaning, other in _exchanges(table.landmarks, points)
    }
    after[_OUT_OF_SCALE] = np.where(
        scaled, _squared(own * factor[:, None], centre, precision), np.inf
    )
    meanings = list(after)
    distances = np.stack(list(after.values()))
    best = distances.argmin(axis=0)
    least = distances.min(axis=0)
    odd = (before > FAR * size) & (least < NEAR * size) & (least < before / GAIN)
    for k in range(len(names)):
        of_subject = np.flatnonzero(odd & (subjects == k))
        if of_subject.size:
            first = of_subject[0]
            yield _problem(table, rows[first], meanings[best[first]], of_subject.size)


_OUT_OF_SCALE = "the distances between its landmarks are out of scale"


def _problem(table: Table, row: Row, meaning: str, count: int) -> Problem:
    more = f", here and in {count - 1} more rows" if count > 1 else ""
    return warning_at(
        table.file,
        row.line,
        f"subject {row.subject}: {meaning}{more}. As they are, its landmarks lie to "
        "one another as in no other subject, and without that as in most. Look at the "
        "image and correct the points.",
    )


def _exchanges(
    landmarks: tuple[str, ...], points: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """What may have been exchanged, and the points put right.

    The points are float64[N, L, 2], in pixels: who exchanges x and y knows no mm.
    """
    for i, j in combinations(range(len(landmarks)), 2):
        order = list(range(len(landmarks)))
        order[i], order[j] = j, i
        yield (
            f"{landmarks[i]} and {landmarks[j]} seem to be exchanged",
            points[:, order],
        )
    yield "x and y seem to be exchanged", points[..., ::-1]


def _arrangement(points: np.ndarray) -> np.ndarray:
    """Landmarks seen from the first: float64[N, L, 2] -> float64[N, 2 (L - 1)]."""
    return (points - points[:, :1])[:, 1:].reshape(len(points), -1)


def _usual(arrangements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and inverse covariance of most of some arrangements, float64[N, D].

    The steps are those of the minimum covariance determinant (Rousseeuw and Van
    Driessen, 1999), begun at the median.
    """
    count = int(np.ceil(SOUND_SHARE * len(arrangements)))
    centre: np.ndarray = np.median(arrangements, axis=0)
    precision: np.ndarray = np.eye(arrangements.shape[1])
    for _ in range(10):
        distances = _squared(arrangements, centre, precision)
        sound = arrangements[np.argsort(distances, kind="stable")[:count]]
        centre = sound.mean(axis=0)
        covariance = np.cov(sound.T) + CHANCE**2 * np.eye(len(centre))
        precision = np.linalg.inv(covariance)
    return centre, precision


def _squared(
    arrangements: np.ndarray, centre: np.ndarray, precision: np.ndarray
) -> np.ndarray:
    """Squared Mahalanobis distances, float64[N]."""
    apart = arrangements - centre
    return np.einsum("ni,ij,nj->n", apart, precision, apart)
