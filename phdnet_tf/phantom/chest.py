"""Paints the chest around the heart: wall, lungs, spine, great vessels.

Coordinates are those of the view; see `chambers` and `short_axis`. The chest is always
wide enough for the heart. The functions paint from the skin inwards. The heart is
painted last, over the rest.
"""

import numpy as np

from phdnet_tf.phantom.belly import paint_belly
from phdnet_tf.phantom.drawing import Canvas, blob, ellipse, grow, spline, uneven
from phdnet_tf.phantom.tissue import BONE, Tissue, paint_soft, scatter, sprinkle, strand


def paint_axial_chest(
    canvas: Canvas,
    tissue: Tissue,
    heart: np.ndarray,
    apex: complex,
    left_atrium: complex,
    rng: np.random.Generator,
) -> np.ndarray:
    """Paints the chest in a four-chamber slice.

    Args:
        canvas: The canvas to paint on.
        tissue: Signals of the tissues.
        heart: complex128[N], points of the heart's outlines, in mm.
        apex: Apex of the heart, in mm.
        left_atrium: Middle of the left atrium, in mm.
        rng: Source of the variation.

    Returns:
        float32[H, W], the mask of the inside of the ribs.
    """
    u = rng.uniform
    front = min(-88.0, heart.imag.min() - u(6, 16))
    left = max(128.0, heart.real.max() + u(12, 30))
    ribcage = np.array(
        [
            1j * (front + 4),
            52 + 1j * (front - u(0, 6)),
            96 + 1j * (0.72 * front),
            left + 1j * u(-25, 0),
            left - u(4, 14) + 48j,
            88 + 88j,
            46 + 92j,
            24 + 66j,
            46j,
            -24 + 66j,
            -46 + 92j,
            -90 + 86j,
            -126 + 44j,
            -132 + 1j * u(-25, 0),
            -100 + 1j * (0.75 * front),
            -54 + 1j * (front - u(0, 6)),
        ]
    )
    ribcage = ribcage * u(0.97, 1.04) + scatter(rng, 0, 2 + 2j, len(ribcage))
    cavity = spline(ribcage, closed=True)
    # How far the muscles of shoulder and back reach beyond the ribs.
    bulk = u(18, 48, 2)
    flesh = spline(
        np.array(
            [
                1j * (front - 22),
                80 + 1j * (front - 22),
                left + 2 + 1j * (0.68 * front),
                left + bulk[0],
                left + 0.7 * bulk[0] + 60j,
                98 + 112j,
                30 + 124j,
                116j,
                -30 + 124j,
                -102 + 110j,
                -132 - 0.7 * bulk[1] + 60j,
                -132 - bulk[1],
                -134 + 1j * (0.7 * front),
                -80 + 1j * (front - 22),
            ]
        ),
        closed=True,
    )
    fatness = u(3, 22)
    way = np.angle(flesh)
    breasts = np.exp(-(((np.abs(way + np.pi / 2) - 0.75) / 0.35) ** 2))
    thickness = 3 + fatness * (0.55 + 0.25 * np.cos(2 * way + u(-0.5, 0.5)))
    skin = grow(flesh, thickness + u(0, 1.2) * fatness * breasts)

    if u() < 0.35:
        for side in rng.permutation([-1, 1])[: rng.integers(1, 3)]:
            arm = side * (left + bulk.max() + u(45, 70)) + 1j * u(-20, 40)
            _paint_arm(canvas, tissue, arm, u(36, 46), rng)
    canvas.paint(skin, tissue.fat)
    canvas.paint(flesh, tissue.muscle)
    _paint_fasciae(canvas, tissue, cavity, flesh, 16, rng)
    _paint_spine(canvas, tissue, canvas.mask(flesh), rng)
    # Not where the breastbone and the spine are.
    _paint_ribs(canvas, cavity[np.abs(cavity.real) > 40], u(9, 20), rng)
    breastbone = 1j * (front - 9)
    canvas.paint(ellipse(breastbone, u(17, 24), 6.5), BONE)
    canvas.paint(ellipse(breastbone, u(13, 17), 4.2), -u(0.25, 0.6))

    # Fat fills the angles between the heart and the front of the chest: at the apex and
    # on the right, which is where it hides the ends of the ventricles.
    corners = [apex.real + 1j * front, 0.5 * heart.real.min() + 1j * front]
    chest = _paint_lungs(
        canvas, tissue, cavity, corners, np.array([u(4, 26), u(0, 22)]), rng
    )
    for side in (-1, 1):
        lung = side * u(70, 88) + 1j * u(10, 40)
        places = scatter(rng, lung, 22 + 30j, 26)
        sprinkle(
            canvas,
            rng,
            places,
            (0.6, 2.8),
            tissue.blood,
            within=chest,
            opacity=(0.1, 0.6),
        )
        # Vessels of the hilum, as bright and round as what is sought elsewhere.
        places = scatter(
            rng, left_atrium + side * u(42, 58) + 1j * u(-8, 22), 8 + 8j, 5
        )
        sprinkle(
            canvas,
            rng,
            places,
            (2.5, 8),
            tissue.blood,
            within=chest,
            opacity=(0.6, 1),
        )
    if u() < 0.6:
        dome = -u(85, 115) + 1j * u(-70, -30)
        outline = blob(dome, u(34, 62), rng, roughness=0.2, stretch=u(1, 1.5))
        # It bulges into the slice from below, so its border is a ramp.
        paint_soft(canvas, outline, tissue.liver, u(4, 12), within=chest)
        liver = canvas.mask(grow(outline, -6)) * chest
        places = scatter(rng, dome, 24 + 24j, 14)
        sprinkle(canvas, rng, places, (0.8, 3.5), tissue.blood, within=liver)
    _paint_mediastinum(canvas, tissue, chest, rng)
    return chest


def paint_oblique_chest(
    canvas: Canvas, tissue: Tissue, heart: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Paints the chest and the upper belly in a short-axis slice.

    Args:
        canvas: The canvas to paint on.
        tissue: Signals of the tissues.
        heart: complex128[N], points of the heart's outlines, in mm.
        rng: Source of the variation.

    Returns:
        float32[H, W], the mask of the inside of the ribs.
    """
    u = rng.uniform
    front = min(-58.0, heart.real.min() - u(5, 14))
    top = min(-78.0, heart.imag.min() - u(25, 60))
    back = max(110.0, heart.real.max() + u(65, 105))
    ribcage = np.array(
        [
            front + 40j,
            front - 3 + 1j * u(-15, 5),
            0.75 * front + 0.6j * top,
            0.1 * back + 0.95j * top,
            0.5 * back + 1j * (top - u(0, 25)),
            0.88 * back + 1j * (0.75 * top),
            back - 20j,
            back + u(0, 15) + 50j,
            back + u(0, 25) + 120j,
            back + 190j,
            0.9 * back + 280j,
            front + 280j,
            front - u(5, 30) + 190j,
            front - u(4, 20) + 110j,
        ]
    )
    cavity = spline(ribcage + scatter(rng, 0, 2 + 2j, len(ribcage)), closed=True)
    middle = 0.3 * back + 40j
    muscles = np.interp(
        np.angle(cavity - middle),
        [-np.pi, -2.2, -1.2, -0.3, 0.8, 1.6, np.pi],
        [11, 13, u(20, 40), u(20, 50), u(18, 40), 16, 11],
    )
    flesh = grow(cavity, muscles * u(0.85, 1.2))
    fatness = u(4, 26)
    way = np.angle(flesh - middle)
    skin = grow(flesh, 3 + fatness * (0.55 + 0.3 * np.cos(way - u(-2.2, -0.2)) ** 2))

    if u() < 0.6:
        arm = 0.62 * back + u(-30, 50) + 1j * (top - u(60, 95))
        _paint_arm(canvas, tissue, arm, u(38, 52), rng)
    canvas.paint(skin, tissue.fat)
    canvas.paint(flesh, tissue.muscle)
    _paint_fasciae(canvas, tissue, cavity, flesh, 16, rng)
    _paint_ribs(canvas, cavity, u(6, 9), rng)

    # Fat between the heart and the front of the chest, spread along the wall.
    corners = [1.1 * front + 35j, 0.9 * front - 40j, 0.5 * front + 0.6j * top]
    depths = np.array([u(0, 32), u(0, 26), u(0, 18)])
    chest = _paint_lungs(canvas, tissue, cavity, corners, depths, rng)
    places = scatter(rng, 0.57 * back - 15j, 28 + 32j, 42)
    sprinkle(canvas, rng, places, (0.6, 3.2), tissue.blood, within=chest)
    # The heart rests on the diaphragm, and dents it.
    floor = np.percentile(heart.imag, 97) + u(2.5, 6)
    paint_belly(canvas, tissue, 1j * floor, chest, rng)
    return chest


def _paint_arm(
    canvas: Canvas,
    tissue: Tissue,
    middle: complex,
    radius: float,
    rng: np.random.Generator,
) -> None:
    heading = rng.uniform(0, np.pi)
    canvas.paint(blob(middle, radius, rng, stretch=1.25, angle=heading), tissue.fat)
    muscle = blob(middle, 0.72 * radius, rng, stretch=1.3, angle=heading)
    canvas.paint(muscle, tissue.muscle)
    lines = middle + scatter(rng, 0, 14 + 14j, 12).reshape(4, 3)
    strand(canvas, rng, lines, rng.uniform(1, 3, 4), tissue.fat, opacity=0.8)
    canvas.paint(ellipse(middle, 12, 10), BONE)
    canvas.paint(ellipse(middle, 8.5, 7), tissue.fat)


def _paint_fasciae(
    canvas: Canvas,
    tissue: Tissue,
    inner: np.ndarray,
    outer: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> None:
    """Fat between the sheets of muscle, which makes a wall look real."""
    middle = inner.mean()
    order = np.argsort(np.angle(inner - middle))
    at = np.angle(inner - middle)[order]
    starts = rng.uniform(-np.pi, np.pi, count)[:, None]
    way = starts + np.linspace(0, 1, 6) * rng.uniform(0.2, 0.7, count)[:, None]
    near = np.interp(way, at, np.abs(inner - middle)[order], period=2 * np.pi)
    order = np.argsort(np.angle(outer - middle))
    at = np.angle(outer - middle)[order]
    far = np.interp(way, at, np.abs(outer - middle)[order], period=2 * np.pi)
    depth = rng.uniform(0.3, 1.0, (count, 1)) + rng.normal(0, 0.05, (count, 6))
    lines = middle + (near + depth * (far - near)) * np.exp(1j * way)
    strand(
        canvas,
        rng,
        lines,
        rng.uniform(1, 3.5, count),
        tissue.fat,
        opacity=rng.uniform(0.5, 1, count),
        within=canvas.mask(outer),
    )


def _paint_ribs(
    canvas: Canvas, cavity: np.ndarray, length: float, rng: np.random.Generator
) -> None:
    """Ribs cut across: dark bone around fatty marrow, all along the cavity."""
    stride = 12
    index = np.arange(rng.integers(stride), len(cavity) - 1, stride)
    along = cavity[index + 1] - cavity[index]
    along = along / np.abs(along)
    ribs = grow(cavity, 7.0)[index]
    count = len(ribs)
    heading = np.angle(along) + rng.uniform(-0.35, 0.35, count)
    long = length * rng.uniform(0.7, 1.2, count)
    canvas.paint(ellipse(ribs, long, 4.6, heading), BONE, opacity=0.9)
    marrow = rng.uniform(0.3, 0.9, count)
    canvas.paint(ellipse(ribs, long - 2.2, 2.7, heading), -0.45, opacity=marrow)


def _paint_lungs(
    canvas: Canvas,
    tissue: Tissue,
    cavity: np.ndarray,
    corners: list[complex],
    depths: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Lung, its fatty lining, and pads of fat in the given corners."""
    lining = rng.uniform(0.8, 2.5) * uneven(len(cavity), rng)
    canvas.paint(grow(cavity, lining), tissue.fat, opacity=rng.uniform(0.3, 0.9))
    canvas.paint(cavity, tissue.fat)
    far = np.abs(cavity - np.array(corners)[:, None]) / rng.uniform(
        22, 42, (len(corners), 1)
    )
    padding = np.max(depths[:, None] * np.exp(-(far**2)), axis=0)
    canvas.paint(grow(cavity, -padding * uneven(len(cavity), rng, 0.6)), tissue.lung)
    return canvas.mask(cavity)


def _paint_spine(
    canvas: Canvas, tissue: Tissue, body: np.ndarray, rng: np.random.Generator
) -> None:
    """Canal, cord and processes, with the muscles along them."""
    u = rng.uniform
    sides = np.array([-1, 1])
    back = sides * u(25, 30) + 1j * u(96, 102)
    canvas.paint(blob(back, 20, rng, stretch=1.4), tissue.fat, opacity=0.8, within=body)
    canvas.paint(blob(back, 18, rng, stretch=1.5), tissue.muscle, within=body)
    lines = np.repeat(back, 3)[:, None] + scatter(rng, 0, 9 + 6j, 18).reshape(6, 3)
    strand(canvas, rng, np.sort(lines), u(0.8, 2, 6), tissue.fat, opacity=0.6)
    process = np.outer(sides, [12, 24, 34]) + np.array([72j, 80j, 84j])
    strand(canvas, rng, process, 8, 0.1)
    strand(canvas, rng, process, 4, -tissue.marrow)
    canvas.paint(blob(92j, 9, rng, stretch=1.6, angle=np.pi / 2), BONE)
    canvas.paint(blob(93j, 5, rng, stretch=2, angle=np.pi / 2), -tissue.marrow)
    size = u(0.85, 1.15)
    canvas.paint(ellipse(73j, 13 * size, 11 * size), tissue.fat, opacity=0.75)
    canvas.paint(ellipse(73j, 10 * size, 8.5 * size), tissue.fluid)
    canvas.paint(ellipse(73.5j, 5.5 * size, 4 * size), u(0.4, 0.6) * tissue.fluid)


def _paint_mediastinum(
    canvas: Canvas, tissue: Tissue, chest: np.ndarray, rng: np.random.Generator
) -> None:
    """The structures between the lungs except the heart: vertebra, aorta, gullet."""
    u = rng.uniform
    fat = blob(38j, 26, rng, stretch=1.3)
    canvas.paint(fat, tissue.fat, opacity=u(0.5, 1), within=chest)
    canvas.paint(blob(44j, 21, rng, roughness=0.05, stretch=1.25), BONE)
    vertebra = blob(44.5j, 18.5, rng, roughness=0.05, stretch=1.28)
    canvas.paint(vertebra, tissue.marrow)

    aorta, radius = complex(u(21, 30), u(38, 52)), u(9.5, 14)
    fat = blob(aorta, radius + 3, rng, roughness=0.06)
    canvas.paint(fat, tissue.fat, opacity=u(0, 0.8))
    canvas.paint(blob(aorta, radius + 1.3, rng, roughness=0.02), 0.15)
    lumen = blob(aorta, radius, rng, roughness=0.02)
    canvas.paint(lumen, u(0.9, 1.25) * tissue.blood)
    gullet = complex(u(2, 12), u(20, 26))
    canvas.paint(blob(gullet, 7, rng, stretch=1.5), 1.3 * tissue.muscle)
    canvas.paint(blob(gullet, 2.5, rng, stretch=1.6), u(0.02, 0.6))
