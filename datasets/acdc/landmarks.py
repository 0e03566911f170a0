"""Derives short-axis landmarks from expert masks."""

from __future__ import annotations

import contourpy
import numpy as np
from scipy import ndimage

RV, MYOCARDIUM, CAVITY = 1, 2, 3
"""Labels of the masks; 0 is everything else."""

LABELS = {RV: "RV cavity", MYOCARDIUM: "LV myocardium", CAVITY: "LV cavity"}

# Where "superior" is, in LPS: the insertion that is superior in a short-axis image is
# the anterior one as well, and ACDC's affines call the top of every image anterior.
UP = np.array([0.0, -1.0, 1.0]) / np.sqrt(2)

# The insertions of 650 such images of 99 subjects are 23 to 88 mm apart. Across a gap
# that is much shorter, which way the septum runs is chance.
SHORTEST_SEPTUM = 15.0

# Sine of the angle between the septum and the horizontal, 0.18 to 1 in those images.
LEAST_RISE = 0.1

# The RV's extreme point is one pixel of a smooth outline: by chance it jumps along it
# from slice to slice. Over 650 images, that jump is 3.9 mm in the median, and 3.1 mm
# for the middle of the outline's part that is nearly as extreme.
SMOOTHING, NEARLY = 1.0, 1.4
"""In mm: standard deviation of the RV's smoothing; how much less extreme that is."""


def mid_ventricular(mask: np.ndarray) -> list[int]:
    """The slices from 20 to 60 % of the way from the base to the apex.

    Only slices with LV cavity count: the first of them, the most basal one in ACDC, is
    at 0 %, and the last at 100 %.

    Args:
        mask: Labels, integers[W, H, K].

    Returns:
        Indices of the slices in the stack, from 0.
    """
    levels = np.flatnonzero((mask == CAVITY).any(axis=(0, 1))).tolist()
    last = len(levels) - 1
    # In whole numbers, because a tenth has no exact float.
    return [k for i, k in enumerate(levels) if 2 * last <= 10 * i <= 6 * last]


def require_label_order(mask: np.ndarray) -> None:
    """Refuses masks whose labels have another order, such as those of M&Ms.

    Args:
        mask: Labels, integers[H, W] or [W, H, K].

    Raises:
        ValueError: If the myocardium does not surround the LV cavity, or surrounds the
            RV cavity.
    """
    around = {
        label: _share_inside(mask == label, mask == MYOCARDIUM)
        for label in (RV, CAVITY)
        if (mask == label).any()
    }
    if around.get(RV, 0) > 0.5 or around.get(CAVITY, 1) < 0.5:
        raise ValueError(
            "in its mask the LV myocardium (label 2) does not surround the LV cavity "
            "(label 3), or surrounds the RV cavity (label 1). The labels may be in "
            "another order, such as that of M&Ms, 1 LV cavity and 3 RV cavity: "
            "renumber them."
        )


def derive_landmarks(
    mask: np.ndarray, pixel_spacing: tuple[float, float], up: tuple[float, float]
) -> np.ndarray:
    """The three short-axis landmarks of one slice, from the outlines in its mask.

    The RV insertions are the two ends of the arc along which the RV touches the
    epicardium of the LV. Each is the point halfway between the last myocardial pixel
    that touches the RV, even by a corner only, and the nearest pixel of the RV.

    The inferior lateral reflection is the RV's extreme in one direction: 45 degrees
    between "along the septum, from superior to inferior" and "across the septum, away
    from the LV". The RV is smoothed by 1 mm, and its outline is the level 0.5. The
    outline has a point wherever it crosses a line between pixel centres. The landmark
    is the mean of the points whose reach in that direction is within 1.4 mm of the
    largest.

    If the RV is in several pieces, as in masks with stray pixels, the largest counts.
    Pixels that share only a corner belong to different pieces.

    Args:
        mask: Labels, integers[H, W].
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        up: Components of the image's x axis and y axis towards the patient's front and
            head, for example (0, -1) if these are at the top of the image.

    Returns:
        float64[3, 2], (x, y) in pixels, in the order of `VIEWS["sa"]`.

    Raises:
        ValueError: If the mask does not determine them. The message says why.
    """
    for label, name in LABELS.items():
        if not (mask == label).any():
            raise ValueError(f"its mask has no {name} (label {label}).")
    require_label_order(mask)
    rv = _largest_piece(mask == RV)
    wall = (mask == MYOCARDIUM) & ndimage.binary_dilation(rv, np.ones((3, 3)))
    if not wall.any():
        raise ValueError("in its mask the RV does not touch the LV myocardium.")

    size = np.array(pixel_spacing)[::-1]  # mm along (x, y), as the points below
    rv_points = np.argwhere(rv)[:, ::-1] * size
    wall_points = np.argwhere(wall)[:, ::-1] * size
    centre = np.argwhere(mask == CAVITY)[:, ::-1].mean(axis=0) * size
    ends = [_halfway(end, rv_points) for end in _arc_ends(wall_points, centre)]
    # The end that lies further up comes first.
    superior, inferior = sorted(ends, key=lambda end: -float(end @ up))
    length = float(np.linalg.norm(inferior - superior))
    if length < SHORTEST_SEPTUM:
        raise ValueError(
            f"in its mask the RV touches the LV myocardium over {length:.0f} mm. "
            f"Expected at least {SHORTEST_SEPTUM:.0f} mm."
        )
    along = (inferior - superior) / length
    if -along @ up < LEAST_RISE * np.linalg.norm(up):
        raise ValueError(
            "in its mask the RV insertions lie at the same height, so neither is the "
            "superior one."
        )

    away = np.array([along[1], -along[0]])
    if away @ (rv_points.mean(axis=0) - centre) < 0:
        away = -away
    outline = _smooth_outline(rv, size)
    reach = outline @ (along + away) / np.sqrt(2)
    lateral = outline[reach >= reach.max() - NEARLY].mean(axis=0)
    return np.stack([superior, inferior, lateral]) / size


def _share_inside(region: np.ndarray, wall: np.ndarray) -> float:
    """Share of the pixels of a region that have a wall on all four sides.

    In 668 slices of 99 subjects of ACDC it is 0 for the RV and 1 for the LV cavity, and
    unlike a filled ring it does not need every pixel of the ring.
    """
    inside = region
    for axis in (0, 1):
        for way in (slice(None), slice(None, None, -1)):
            line = (slice(None),) * axis + (way,)
            inside = inside & np.logical_or.accumulate(wall[line], axis=axis)[line]
    return float(inside.sum() / region.sum())


def _largest_piece(region: np.ndarray) -> np.ndarray:
    pieces, _ = ndimage.label(region)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0  # the background
    return pieces == sizes.argmax()


def _smooth_outline(region: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Points on the outline of a smoothed region, float64[N, 2], (x, y) in mm."""
    margin = 1  # so that the outline is closed where the region ends with the image
    padded = np.pad(region, margin).astype(np.float64)
    smooth = ndimage.gaussian_filter(padded, SMOOTHING / size[::-1])
    lines = contourpy.contour_generator(z=smooth).lines(0.5)
    if not lines:
        raise ValueError(
            f"in its mask the {LABELS[RV]} is too thin: smoothing by {SMOOTHING:g} mm "
            "leaves nothing of it."
        )
    # A closed line ends with its first point.
    points = np.concatenate([line[:-1] for line in lines])
    return (points - margin) * size


def _arc_ends(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The two points, float64[2, 2], on either side of the widest gap around a centre.

    Unlike the two that are furthest apart, these are the ends of an arc of any length.
    """
    angles = np.arctan2(*(points - centre).T[::-1])
    order = np.argsort(angles, kind="stable")
    gaps = np.diff(angles[order], append=angles[order[0]] + 2 * np.pi)
    widest = int(gaps.argmax())
    return points[order[[widest, (widest + 1) % len(points)]]]


def _halfway(point: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The middle between a point and the nearest of others."""
    distances = np.linalg.norm(others - point, axis=1)
    nearest = others[np.isclose(distances, distances.min())]
    return (point + nearest.mean(axis=0)) / 2
