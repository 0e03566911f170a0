"""Finds subjects whose landmarks are probably exchanged or out of scale.

The arrangement of an image's landmarks is their position, in mm, relative to the first
of them. Its variation between subjects is learnt from the table itself. A row is
reported if its arrangement is far from that of most subjects, and if one correction
brings it near: to exchange two landmarks, to exchange x and y, or to multiply all
distances of the subject. An arrangement that is only unusual, such as in a turned or
mirrored picture, is therefore not reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from phdnet_tf.datasets.folder.images import ImageFacts
from phdnet_tf.datasets.folder.problems import Problem, warning_at
from phdnet_tf.datasets.folder.table import Row, Table, points_in_pixels
from phdnet_tf.dicom.turning import turn_to_usual

FEWEST_SUBJECTS = 10

# Squares of distances in standard deviations, for each coordinate of an arrangement.
# With these values nothing is reported for 863 real images of 138 subjects, nor for 326
# drawn ones. About eight in ten subjects with points exchanged on purpose are reported.
FAR, NEAR, GAIN = 5.0, 2.5, 3.0

# The smallest hearts have half the size of the usual ones.
LEAST_FACTOR = 2.0

# Share of the subjects that are assumed to be correct.
SOUND_SHARE = 0.5

# In mm: about the distance between two readers' points. No arrangements agree better.
CHANCE = 5.0


def arrangement_problems(
    table: Table,
    images: Mapping[str, ImageFacts],
    usual: Sequence[Sequence[float]] = (),
) -> Iterator[Problem]:
    """Warns of landmarks that seem exchanged, and of distances out of scale.

    There is at most one warning per subject. Rows without all landmarks are left out.
    Nothing is checked for fewer than ten subjects, or for a single landmark.

    Args:
        table: The table.
        images: The images, by the id of their row. Rows without an image are left out.
        usual: Usual orientations of the view; see `dicom.turning`. Images that have
            another orientation are turned before they are compared.
    """
    rows, pixels, shapes, turns, spacings = [], [], [], [], []
    for row in table.rows:
        if row.id in images and len(table.landmarks) > 1:
            facts = images[row.id]
            points = points_in_pixels(table, row, facts.height, facts.width)
            if np.isfinite(points).all():
                turn = turn_to_usual(facts.orientation, usual)
                rows.append(row)
                pixels.append(points)
                shapes.append((facts.height, facts.width))
                turns.append(turn)
                # The spacing is (y, x), the points are (x, y).
                spacings.append(turn.spacing(facts.pixel_spacing)[::-1])
    # Of each row, the number of its subject.
    names, subjects = np.unique([row.subject for row in rows], return_inverse=True)
    if len(names) < FEWEST_SUBJECTS:
        return
    spacing = np.array(spacings)[:, None]

    def arranged(points: Iterable[np.ndarray]) -> np.ndarray:
        turned = [
            turn.points(each, shape)
            for turn, each, shape in zip(turns, points, shapes, strict=True)
        ]
        return _arrangement(np.stack(turned) * spacing)

    own = arranged(pixels)
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
        meaning: _squared(arranged(other), centre, precision)
        for meaning, other in _exchanges(table.landmarks, np.stack(pixels))
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
        f"subject {row.subject}: {meaning}{more}. The landmarks lie very differently "
        "from those of the other subjects, and like theirs once this is corrected. "
        "Look at the image and correct the points.",
    )


def _exchanges(
    landmarks: tuple[str, ...], points: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Each possible exchange in words, with the corrected points.

    The points are float64[N, L, 2], in pixels: x and y are exchanged in pixels, not mm,
    and in the image as it is, not as it is turned.
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
    """Positions relative to the first: float64[N, L, 2] -> float64[N, 2 (L - 1)]."""
    return (points - points[:, :1])[:, 1:].reshape(len(points), -1)


def _usual(arrangements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and inverse covariance of the sound half of arrangements, float64[N, D].

    The steps are those of the minimum covariance determinant (Rousseeuw and Van
    Driessen, 1999), starting at the median.
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
