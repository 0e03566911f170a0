"""Draws a short-axis slice: the heart, its landmarks and its surroundings.

Body coordinates: the middle of the left ventricle is 0, x grows away from the
breastbone, y towards the feet. Heart coordinates: the same middle is 0, x grows along
the septum from the superior to the inferior insertion, y from the left to the right
ventricle.
"""

from dataclasses import dataclass

import numpy as np

from phdnet_tf.phantom.chest import paint_oblique_chest
from phdnet_tf.phantom.drawing import Canvas, blob, extreme, grow, spline, uneven
from phdnet_tf.phantom.tissue import Tissue, paint_soft, strand

COILS = np.array([-110 - 20j, -90 + 60j, -50 - 120j, 150 - 20j, 150 + 90j])
"""Elements of the coil array: along the front of the chest, and at the back."""

SEPTUM = np.radians(62)
"""Usual direction of the septum in body coordinates, from superior to inferior."""


@dataclass(frozen=True)
class Heart:
    """Outlines of one heart in body coordinates, complex128[N] each, in mm.

    Attributes:
        landmarks: complex128[3]: superior and inferior RV insertion, inferior RV
            lateral reflection.
        lv_outside: Epicardium of the left ventricle.
        lv_inside: Its cavity.
        rv: Cavity of the right ventricle; the left ventricle covers its septal part.
        rv_wall: Thickness of the right ventricle's free wall.
        along: Unit vector along the septum, from superior to inferior.
        away: Unit vector from the left to the right ventricle.
    """

    landmarks: np.ndarray
    lv_outside: np.ndarray
    lv_inside: np.ndarray
    rv: np.ndarray
    rv_wall: float
    along: complex
    away: complex


def draw_heart(rng: np.random.Generator, *, odd_pose: bool = False) -> Heart:
    """One heart: its disease, its phase, its pose.

    Args:
        rng: Source of the variation.
        odd_pose: Whether the heart has a rare orientation.
    """
    u = rng.uniform
    systole = u() < 0.45
    # About half are normal; pulmonary hypertension leads, as in the ASPIRE registry.
    disease = rng.choice(
        ["none", "pulmonary hypertension", "hypertrophy", "dilation"],
        p=[0.45, 0.3, 0.13, 0.12],
    )
    pressure = u(0.4, 1.0) * (disease == "pulmonary hypertension")
    cavity = u(21.5, 29.5) * (0.68 if systole else 1.0) * (1 - 0.15 * pressure)
    wall = u(7.5, 10.5) * (1.45 if systole else 1.0)
    if disease == "hypertrophy":
        wall, cavity = wall * u(1.3, 1.6), cavity * 0.85
    if disease == "dilation":
        wall, cavity = wall * 0.85, cavity * u(1.15, 1.4)

    theta = 2 * np.pi * np.arange(240) / 240
    turn = np.exp(1j * theta)
    # Pressure in the right ventricle flattens the septum, which lies at 90 degrees.
    from_septum = np.angle(turn / 1j)
    dent = pressure * u(0.15, 0.42) * np.exp(-((from_septum / 0.75) ** 2))
    waves = rng.normal(0, [0.03, 0.012, 0.008]) @ np.cos(
        np.outer([2, 3, 4], theta) + u(0, 2 * np.pi, (3, 1))
    )
    inner = cavity * (1 + 1.3 * waves) * (1 - 1.15 * dent)
    thickness = wall * (1 + 0.12 * np.cos(theta - u(0, 2 * np.pi)))
    outer = inner + thickness
    # Trabeculae make the cavity's border less smooth than the epicardium.
    ripple = rng.normal(0, 0.02, 8) @ np.cos(
        np.outer(np.arange(5, 13), theta) + u(0, 2 * np.pi, (8, 1))
    )
    inner = inner * (1 + ripple)

    # The right ventricle touches the left between these two angles.
    superior = np.radians(90 + u(52, 74))
    inferior = np.radians(90 - u(50, 72))
    ends = np.interp([superior, inferior], theta, outer)
    top, bottom = ends * np.exp(1j * np.array([superior, inferior]))
    chord = bottom - top
    size = abs(chord)
    depth = (
        u(38, 56) * (0.85 if systole else 1.0) * (1 + 0.4 * pressure)
        + (outer.mean() - 34) * 0.4
    )
    unit = chord / size
    # A crescent: (along the chord, away from it), as shares of its length and depth.
    # The inferior corner is sharper in some than in others.
    corner = 1 + u(-0.03, 0.1)
    crescent = np.array(
        [
            [-0.5, 0],
            [-0.46, 0.42],
            [-0.28, 0.8],
            [0.05, 1.0],
            [0.34 * corner, 0.96 * corner],
            [0.55 * corner, 0.7 * corner],
            [0.58, 0.34],
            [0.5, 0],
        ]
    )
    crescent[1:-1] += rng.normal(0, [0.04, 0.03], (6, 2))
    points = crescent[:, 0] * size + 1j * crescent[:, 1] * depth
    free_wall = (top + bottom) / 2 + points * unit
    free_wall[[0, -1]] = top, bottom
    # Back through the left ventricle, which is painted over it.
    rv = np.append(spline(free_wall, closed=False), [0.3 * bottom, 0.3 * top])

    tilt = np.radians(rng.choice([-1, 1]) * u(28, 42) if odd_pose else rng.normal(0, 9))
    # Not exactly the heart's x axis: the insertions are at angles of their own.
    pose = np.exp(1j * (SEPTUM + tilt)) / unit
    along = complex(pose * unit)
    away = 1j * along
    rv = rv * pose
    # The landmark is a corner of the cavity that is seen, so without the covered part.
    reflection = extreme(rv[:-2], (along + away) / np.sqrt(2))
    return Heart(
        landmarks=np.array([top * pose, bottom * pose, reflection]),
        lv_outside=outer * turn * pose,
        lv_inside=inner * turn * pose,
        rv=rv,
        rv_wall=u(2.0, 3.2) + 3.5 * pressure,
        along=along,
        away=away,
    )


def paint(
    canvas: Canvas, heart: Heart, tissue: Tissue, rng: np.random.Generator
) -> None:
    """Paints the whole slice: the chest and the belly, then the heart on them."""
    outlines = np.concatenate([heart.lv_outside, heart.rv])
    paint_oblique_chest(canvas, tissue, outlines, rng)
    _paint_coat(canvas, heart, tissue, rng)
    _paint_right(canvas, heart, tissue, rng)
    _paint_left(canvas, heart, tissue, rng)


def _paint_coat(
    canvas: Canvas, heart: Heart, tissue: Tissue, rng: np.random.Generator
) -> None:
    """Epicardial fat of varying thickness in its dark pericardium."""
    u = rng.uniform
    coat = u(0.3, 4.0)
    rv_outside = grow(heart.rv, heart.rv_wall)
    for outline, share in ((heart.lv_outside, 0.6), (rv_outside, 1.0)):
        thickness = share * coat * uneven(len(outline), rng)
        canvas.paint(grow(outline, thickness + 1.4), 0.1)
        canvas.paint(grow(outline, thickness), tissue.fat)
    # The grooves at the insertions, with the coronary arteries that run in them.
    insertions = heart.landmarks[:2]
    outwards = insertions / np.abs(insertions)
    radii = u(2.5, 5.5, 2)
    places = insertions + (0.3 * radii + 0.7 * heart.rv_wall) * outwards
    grooves = blob(
        places,
        radii,
        rng,
        roughness=0.3,
        stretch=u(1.4, 2.4),
        angle=np.angle(1j * outwards),
    )
    canvas.paint(grooves, tissue.fat)
    arteries = blob(places + 0.2 * radii * outwards, u(1, 1.9, 2), rng)
    canvas.paint(arteries, tissue.blood, opacity=u(0.1, 0.8, 2))


def _paint_right(
    canvas: Canvas, heart: Heart, tissue: Tissue, rng: np.random.Generator
) -> None:
    """The right ventricle, with the strands of muscle in it."""
    u = rng.uniform
    canvas.paint(grow(heart.rv, heart.rv_wall), tissue.myocardium)
    paint_soft(canvas, heart.rv, u(0.6, 0.88) * tissue.blood, u(1, 4))
    # Without the two points inside the left ventricle.
    free_wall = heart.rv[:-2]
    middle = free_wall.mean()
    count = rng.integers(6, 20)
    roots = free_wall[(u(0.12, 0.95, count) * (len(free_wall) - 1)).astype(int)]
    inwards = (
        (middle - roots) / np.abs(middle - roots) * np.exp(1j * u(-0.7, 0.7, count))
    )
    lines = roots[:, None] + np.outer(u(5, 18, count) * inwards, [0, 0.5, 1])
    width, opacity = u(1.4, 3.5, count), u(0.3, 0.9, count)
    cavity = canvas.mask(heart.rv)
    strand(canvas, rng, lines, width, tissue.myocardium, opacity=opacity, within=cavity)
    if u() < 0.5:
        # The moderator band, from the free wall to the septum.
        start = free_wall[int(u(0.35, 0.6) * len(free_wall))]
        band = start * np.array([1, 0.75, 0.5])
        strand(
            canvas, rng, band, u(2, 4), tissue.myocardium, opacity=0.6, within=cavity
        )


def _paint_left(
    canvas: Canvas, heart: Heart, tissue: Tissue, rng: np.random.Generator
) -> None:
    """The left ventricle, with papillary muscles and trabeculae."""
    u = rng.uniform
    canvas.paint(heart.lv_outside, tissue.myocardium)
    paint_soft(canvas, heart.lv_inside, tissue.blood, u(0.8, 3))
    cavity = canvas.mask(heart.lv_inside)
    # The papillary muscles stand opposite the septum, one on either side.
    ways = np.exp(1j * (np.angle(-heart.away) + np.array([-1, 1]) * u(0.5, 1.1, 2)))
    edges = np.array([extreme(heart.lv_inside, way) for way in ways])
    papillary = blob(
        edges * u(0.58, 0.86, 2),
        np.abs(edges) * u(0.13, 0.23, 2),
        rng,
        roughness=0.3,
        stretch=u(1, 2, 2),
        angle=np.angle(edges),
    )
    canvas.paint(papillary, tissue.myocardium, opacity=u(0.6, 1, 2), within=cavity)
    # Trabeculae line the cavity, except on the septum.
    edges = heart.lv_inside[rng.integers(len(heart.lv_inside), size=28)]
    edges = edges[(edges / np.abs(edges) * np.conj(heart.away)).real < 0.5]
    count = len(edges)
    buds = blob(
        edges * u(0.86, 1.0, count),
        u(1.2, 3, count),
        rng,
        stretch=u(1, 2.2, count),
        angle=np.angle(edges),
    )
    canvas.paint(buds, tissue.myocardium, opacity=u(0, 0.95, count), within=cavity)
