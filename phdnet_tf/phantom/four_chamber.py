"""A drawn four-chamber slice: the heart, its landmarks, and how they are painted.

Body coordinates: the middle of the chest is 0, x grows towards the patient's left
(right in the image), y towards the back. Heart coordinates: the middle of the mitral
valve is 0, x grows along the left ventricle to its apex, y towards the lateral wall.
"""

from dataclasses import dataclass

import numpy as np

from phdnet_tf.phantom.chest import paint_axial_chest
from phdnet_tf.phantom.drawing import Canvas, blob, extreme, grow, spline, uneven
from phdnet_tf.phantom.tissue import Tissue, paint_soft, strand

COILS = np.array([-60 - 150j, 40 - 160j, 130 - 110j, -40 + 130j, 60 + 130j])
"""Elements of the coil array: in front, at the left side, and in the table."""


@dataclass(frozen=True)
class Heart:
    """Outlines of one heart in body coordinates, complex128[N] each, in mm.

    Attributes:
        landmarks: complex128[3]: tricuspid valve, mitral valve, LV apex.
        hinges: complex128[4]: tricuspid septal and lateral, mitral septal and lateral.
        lv_outside: Epicardium of the left ventricle.
        lv_inside: Its cavity.
        rv: Cavity of the right ventricle; the left ventricle covers its septal part.
        rv_wall: Thickness of the right ventricle's free wall.
        ra: Cavity of the right atrium.
        la: Cavity of the left atrium.
        axis: Unit vector from the mitral valve to the apex.
        systole: Whether the valves between atria and ventricles are closed.
    """

    landmarks: np.ndarray
    hinges: np.ndarray
    lv_outside: np.ndarray
    lv_inside: np.ndarray
    rv: np.ndarray
    rv_wall: float
    ra: np.ndarray
    la: np.ndarray
    axis: complex
    systole: bool


def draw_heart(rng: np.random.Generator, *, odd_pose: bool = False) -> Heart:
    """One heart: its disease, its phase, its pose.

    Args:
        rng: Source of the variation.
        odd_pose: Whether it lies as few hearts do.
    """
    u = rng.uniform
    systole = u() < 0.4
    # About half are normal; pulmonary hypertension leads, as in the ASPIRE registry.
    disease = rng.choice(
        ["none", "pulmonary hypertension", "hypertrophy", "dilation"],
        p=[0.45, 0.3, 0.13, 0.12],
    )
    pressure = u(0.4, 1.0) * (disease == "pulmonary hypertension")
    length = u(78, 98) * (0.87 if systole else 1.0)
    width = u(20.5, 26) * (0.8 if systole else 1.0) * (1 - 0.22 * pressure)
    wall = u(7.5, 10) * (1.4 if systole else 1.0)
    if disease == "hypertrophy":
        wall, width = wall * u(1.3, 1.7), width * 0.88
    if disease == "dilation":
        wall, width, length = wall * 0.8, width * u(1.15, 1.4), length * 1.06
    annulus = width * u(0.6, 0.75)
    bend = u(-4, 5)
    septum_shift = 7 * pressure * u(0.2, 1)

    # Half widths of the cavity at shares of its length: a bullet.
    along = np.array([0, 0.13, 0.35, 0.58, 0.78, 0.91, 0.98])
    across = width * np.array([0, 0.86, 1.0, 0.93, 0.7, 0.43, 0.17])
    across[0] = annulus
    across[1:-1] *= 1 + rng.normal(0, 0.03, 5)
    lateral = across * (1 + u(-0.04, 0.06))
    septal = across - septum_shift * np.sin(np.pi * np.minimum(along * 1.1, 1))
    inside = spline(
        np.concatenate(
            [
                length * along - 1j * septal,
                [length],
                (length * along + 1j * lateral)[::-1],
            ]
        ),
        closed=False,
    )
    # Thin at the annulus, thick in the middle, thinnest at the apex.
    share = np.linspace(0, 1, len(inside))
    septum_wall, lateral_wall = wall * u(0.95, 1.25), wall * u(0.9, 1.05)
    apex_wall = wall * u(0.35, 0.55)
    thickness = np.interp(
        share,
        [0, 0.08, 0.25, 0.42, 0.5, 0.58, 0.75, 0.92, 1],
        np.concatenate(
            [
                septum_wall * np.array([0.55, 0.8, 1.0, 0.75]),
                [apex_wall],
                lateral_wall * np.array([0.75, 1.0, 0.7, 0.35]),
            ]
        ),
    )
    outside = _grow_open(inside, thickness)
    apex = outside[len(outside) // 2]

    # The right ventricle leans on the septum's outer side, all the way to its tip.
    hinge_at = u(0.05, 0.1)
    septal_hinge = outside[int(hinge_at * len(outside))]
    rv_width = (u(30, 40) + 14 * pressure) * (0.85 if systole else 1.0)
    lateral_hinge = septal_hinge + rv_width * np.exp(1j * np.radians(u(-92, -68)))
    tip_share = min(u(0.74, 0.9) + 0.12 * pressure, 0.97)
    tip = outside[int(tip_share * 0.5 * len(outside))]
    free = septal_hinge.imag - rv_width
    depth = tip.real - lateral_hinge.real
    bulge = u(0, 4) + 5 * pressure
    free_wall = np.array(
        [
            lateral_hinge,
            lateral_hinge + 0.16 * depth + 1j * (-0.04 * rv_width - 0.7 * bulge),
            lateral_hinge + 0.42 * depth + 1j * (0.1 * rv_width - bulge),
            lateral_hinge + 0.7 * depth + 1j * (0.42 * rv_width - 0.8 * bulge),
            tip - u(4, 8) - 1j * u(4, 7),
            tip,
        ]
    )
    # Back through the left ventricle, which is painted over it.
    rv = np.concatenate([spline(free_wall, closed=False), [tip.real * 0.9, 5 + 0j]])
    rv = np.append(rv, septal_hinge)

    atria = (u(0.95, 1.2) if systole else u(0.75, 1.05)) * u(0.9, 1.15)
    la_depth = atria * u(38, 50) * (0.9 if pressure else 1.0)
    ra_depth = atria * u(38, 48) + 12 * pressure
    mitral_septal, mitral_lateral = complex(inside[0]), complex(inside[-1])
    la = spline(
        np.array(
            [
                mitral_lateral,
                -0.3 * la_depth + 1j * (mitral_lateral.imag + 0.22 * la_depth),
                -0.75 * la_depth + 1j * (mitral_lateral.imag + 0.16 * la_depth),
                -la_depth + 1j * u(-4, 4),
                -0.8 * la_depth + 1j * (mitral_septal.imag - 0.08 * la_depth),
                -0.35 * la_depth + 1j * (mitral_septal.imag - 0.1 * la_depth),
                mitral_septal,
            ]
        ),
        closed=False,
    )
    base = septal_hinge.real
    ra = spline(
        np.array(
            [
                septal_hinge,
                base - 0.3 * ra_depth + 1j * (mitral_septal.imag - 0.1 * la_depth - 4),
                base
                - 0.75 * ra_depth
                + 1j * (mitral_septal.imag - 0.14 * la_depth - 4),
                base - ra_depth + 1j * (septal_hinge.imag - 0.5 * rv_width),
                base - 0.7 * ra_depth + 1j * (free - 0.12 * ra_depth),
                lateral_hinge - 0.3 * ra_depth - 1j * 0.16 * ra_depth,
                lateral_hinge,
            ]
        ),
        closed=False,
    )

    # From the middle of the mitral valve, across the bent axis, into the chest.
    angle = np.radians(u(-20, 0) if odd_pose and u() < 0.5 else u(-68, -34))
    if odd_pose and angle < np.radians(-30):
        angle = np.radians(u(-95, -72))
    turn = np.exp(1j * angle)
    origin = complex(rng.normal(16, 5), rng.normal(2, 5))

    def place(points: np.ndarray) -> np.ndarray:
        bent = points + 1j * bend * np.sin(np.pi * np.clip(points.real / length, -1, 1))
        return origin + bent * turn

    hinges = place(
        np.array([septal_hinge, lateral_hinge, mitral_septal, mitral_lateral])
    )
    tricuspid, mitral = hinges.reshape(2, 2).mean(axis=1)
    lv_outside, lv_apex = place(outside), complex(place(np.array([apex]))[0])
    axis = (lv_apex - mitral) / abs(lv_apex - mitral)
    return Heart(
        landmarks=np.array([tricuspid, mitral, extreme(lv_outside, axis)]),
        hinges=hinges,
        lv_outside=lv_outside,
        lv_inside=place(inside),
        rv=place(rv),
        rv_wall=u(2.2, 3.5) + 3.5 * pressure,
        ra=place(ra),
        la=place(la),
        axis=axis,
        systole=systole,
    )


def _grow_open(curve: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """As `grow`, for an open curve that runs from septum over apex to lateral wall."""
    tangent = np.gradient(curve)
    return curve - 1j * distance * tangent / np.abs(tangent)


def paint(
    canvas: Canvas, heart: Heart, tissue: Tissue, rng: np.random.Generator
) -> None:
    """Paints the whole slice: the chest, then the heart in it."""
    outlines = np.concatenate([heart.lv_outside, heart.rv, heart.ra, heart.la])
    chest = paint_axial_chest(
        canvas, tissue, outlines, heart.landmarks[2], heart.la.mean(), rng
    )
    _paint_walls(canvas, heart, tissue, chest, rng)
    right = rng.uniform(0.82, 1.0)
    _paint_ventricles(canvas, heart, tissue, right, rng)
    # After the ventricles, because their walls end at the valves. Blood mixes there, so
    # an atrium that is brighter becomes so gradually.
    for atrium, ventricle in ((heart.la, 1.0), (heart.ra, right)):
        canvas.paint(atrium, ventricle * tissue.blood)
        brighter = ventricle * rng.uniform(0.92, 1.3) * tissue.blood
        paint_soft(canvas, grow(atrium, -9), brighter, 14)
    _paint_valves(canvas, heart, tissue, rng)


def _paint_walls(
    canvas: Canvas,
    heart: Heart,
    tissue: Tissue,
    chest: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """What is outside of the chambers: fat, coronaries, veins, the atria's walls."""
    u = rng.uniform
    # Epicardial fat in its dark pericardium, thick here and absent there.
    coat = u(0.5, 3.5)
    rv_outside = grow(heart.rv, heart.rv_wall)
    for outline, share in ((heart.lv_outside, 0.6), (rv_outside, 1.0)):
        thickness = share * coat * uneven(len(outline), rng)
        canvas.paint(grow(outline, thickness + 1.4), 0.1)
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
