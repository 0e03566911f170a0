"""Paints a four-chamber slice: the heart and its surroundings.

Coordinates are those of `chambers`.
"""

import numpy as np

from phdnet_tf.phantom.chambers import Heart, draw_heart
from phdnet_tf.phantom.chest import paint_axial_chest
from phdnet_tf.phantom.drawing import Canvas, blob, extreme, grow, uneven
from phdnet_tf.phantom.tissue import Tissue, paint_soft, strand, texture

__all__ = ["COILS", "Heart", "draw_heart", "paint"]

COILS = np.array([-60 - 150j, 40 - 160j, 130 - 110j, -40 + 130j, 60 + 130j])
"""Elements of the coil array: in front, at the left side, and in the table."""


def paint(
    canvas: Canvas, heart: Heart, tissue: Tissue, rng: np.random.Generator
) -> None:
    """Paints the whole slice: the chest, then the heart in it."""
    outlines = np.concatenate([heart.lv_outside, heart.rv, heart.ra, heart.la])
    chest = paint_axial_chest(
        canvas, tissue, outlines, heart.landmarks[2], heart.la.mean(), rng
    )
    _paint_walls(canvas, heart, tissue, chest, rng)
    # Blood that has just come in is brighter, that of the right side mostly darker, and
    # in either it swirls.
    right = rng.uniform(0.62, 1.05)
    _paint_ventricles(canvas, heart, tissue, right, rng)
    # After the ventricles, because their walls end at the valves. Blood mixes there, so
    # an atrium that is brighter becomes so gradually.
    swirl = 1 + rng.uniform(0, 0.16) * texture(canvas, rng, rng.uniform(5, 14))
    for atrium, ventricle in ((heart.la, 1.0), (heart.ra, right)):
        canvas.paint(atrium, ventricle * tissue.blood)
        brighter = ventricle * rng.uniform(0.75, 1.7) * swirl * tissue.blood
        paint_soft(canvas, grow(atrium, -9), brighter, 14)
        _paint_jets(canvas, atrium, tissue, rng)
    _paint_valves(canvas, heart, tissue, rng)


def _paint_walls(
    canvas: Canvas,
    heart: Heart,
    tissue: Tissue,
    chest: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """The surroundings of the chambers: fat, coronaries, veins, the atria's walls."""
    u = rng.uniform
    # Epicardial fat in its dark pericardium, thick here and absent there.
    coat = u(0.5, 3.5)
    rv_outside = grow(heart.rv, heart.rv_wall)
    effusion = u(3, 14) if u() < 0.12 else 0.0
    for outline, share in ((heart.lv_outside, 0.6), (rv_outside, 1.0)):
        thickness = share * coat * uneven(len(outline), rng)
        fluid = effusion * uneven(len(outline), rng, 0.5)
        canvas.paint(grow(outline, thickness + fluid + 1.4), 0.1)
        if effusion:
            canvas.paint(grow(outline, thickness + fluid), tissue.fluid)
        canvas.paint(grow(outline, thickness), tissue.fat)
    # The grooves between atria and ventricles, with their vessels.
    hinges, radii = heart.hinges[[1, 3]], np.array([u(5, 10), u(4, 8)])
    away = hinges - heart.landmarks[:2].mean()
    away /= np.abs(away)
    heading = float(np.angle(heart.axis))
    places = hinges + 0.45 * radii * away
    grooves = blob(places, radii, rng, roughness=0.3, stretch=1.5, angle=heading)
    canvas.paint(grooves, tissue.fat)
    coronaries = blob(places + 0.3 * radii * away, u(1.2, 2.4, 2), rng)
    canvas.paint(coronaries, tissue.blood, opacity=u(0.2, 0.9, 2))

    for atrium in (heart.la, heart.ra):
        wall = grow(atrium, u(0.8, 1.8))
        canvas.paint(wall, tissue.myocardium, opacity=u(0.5, 1))
    middle = heart.la.mean()
    root = middle + 0.7 * (heart.la[len(heart.la) // 2] - middle)
    for side in (-1, 1):
        if u() < 0.75:
            end = root + side * u(30, 42) + 1j * u(6, 16)
            vein = np.array([root + 8 * side, (root + end) / 2 + 4 * side, end])
            strand(canvas, rng, vein, u(8, 13), tissue.blood, within=chest)


def _paint_jets(
    canvas: Canvas,
    atrium: np.ndarray,
    tissue: Tissue,
    rng: np.random.Generator,
) -> None:
    """Fast blood, darker or brighter than the rest, anywhere in an atrium."""
    count = rng.integers(0, 4)
    starts = atrium[rng.integers(len(atrium), size=count)]
    way = (atrium.mean() - starts) * np.exp(1j * rng.uniform(-0.8, 0.8, count))
    lines = starts[:, None] + np.outer(way, [0, 0.5, 1]) * rng.uniform(0.5, 1.3)
    for line, signal in zip(lines, rng.choice([0.3, 1.5], count), strict=True):
        strand(
            canvas,
            rng,
            line,
            rng.uniform(2, 7),
            signal * tissue.blood,
            opacity=rng.uniform(0.2, 0.8),
            within=canvas.mask(atrium),
        )


def _paint_ventricles(
    canvas: Canvas,
    heart: Heart,
    tissue: Tissue,
    right: float,
    rng: np.random.Generator,
) -> None:
    """Walls, blood and strands of muscle; `right` is the right side's brightness."""
    u = rng.uniform
    canvas.paint(grow(heart.rv, heart.rv_wall), tissue.myocardium)
    paint_soft(canvas, heart.rv, right * tissue.blood, u(1, 4))
    # Trabeculae run along the free wall and slant into the cavity.
    count = rng.integers(5, 12)
    tip, hinge = extreme(heart.rv, heart.axis), heart.hinges[1]
    starts = hinge + (tip - hinge) * u(0.25, 0.95, count)
    slant = np.exp(1j * u(0.0, 0.35, count)) * u(8, 20, count)
    lines = starts[:, None] + np.outer(slant * heart.axis, [0, 0.5, 1])
    strand(
        canvas,
        rng,
        lines,
        u(1.2, 3, count),
        tissue.myocardium,
        opacity=u(0.3, 0.8, count),
        within=canvas.mask(heart.rv),
    )

    canvas.paint(heart.lv_outside, tissue.myocardium)
    paint_soft(canvas, heart.lv_inside, tissue.blood, u(0.6, 2.5))
    # The same on the lateral wall, and the papillary muscle.
    count = rng.integers(5, 10)
    share, width, length = u(0.52, 0.8, count), u(1.5, 3, count), u(5, 14, count)
    opacity = u(0.3, 0.8, count)
    if u() < 0.7:
        share[0], width[0], length[0], opacity[0] = 0.72, u(4, 7), u(18, 26), 0.9
    roots = heart.lv_inside[(share * len(heart.lv_inside)).astype(int)]
    # Towards the base and a little away from the wall.
    way = -heart.axis * np.exp(0.2j)
    lines = roots[:, None] + np.outer(length * way, [0, 0.5, 1])
    strand(
        canvas,
        rng,
        lines,
        width,
        tissue.myocardium,
        opacity=opacity,
        within=canvas.mask(heart.lv_inside),
    )


def _paint_valves(
    canvas: Canvas, heart: Heart, tissue: Tissue, rng: np.random.Generator
) -> None:
    """Leaflets, from hinge to hinge when closed, into the ventricle when open."""
    u = rng.uniform
    for first, second in (heart.hinges[:2], heart.hinges[2:]):
        span = second - first
        if heart.systole:
            middle = (first + second) / 2 + u(2, 7) * heart.axis
            bow = 2 * heart.axis
            lines = np.array(
                [
                    [first, (first + middle) / 2 + bow, middle],
                    [second, (second + middle) / 2 + bow, middle],
                ]
            )
        else:
            reach = np.array([0, 0.5, 1]) * u(14, 22) * heart.axis
            inwards = span * np.array([0, 0.1, u(0.05, 0.3)])
            lines = np.array([first + reach + inwards, second + reach - inwards])
        strand(canvas, rng, lines, u(1.2, 2.2), tissue.myocardium, opacity=u(0.5, 0.9))
