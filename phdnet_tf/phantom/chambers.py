"""The chambers of a drawn four-chamber slice, and its landmarks.

Body coordinates: the middle of the chest is 0, x grows towards the patient's left
(right in the image), y towards the back. Heart coordinates: the middle of the mitral
valve is 0, x grows along the left ventricle to its apex, y towards the lateral wall.
"""

from dataclasses import dataclass

import numpy as np

from phdnet_tf.phantom.drawing import extreme, spline


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
        odd_pose: Whether the heart has a rare orientation.
    """
    u = rng.uniform
    systole = u() < 0.4
    # Pulmonary hypertension leads, as in the ASPIRE registry.
    disease = rng.choice(
        ["none", "pulmonary hypertension", "hypertrophy", "dilation"],
        p=[0.4, 0.28, 0.16, 0.16],
    )
    pressure = u(0.4, 1.0) * (disease == "pulmonary hypertension")
    size = u(0.88, 1.12)
    length = size * u(80, 100) * (u(0.82, 0.92) if systole else 1.0)
    width = size * u(19, 27) * (u(0.7, 0.88) if systole else 1.0)
    width *= 1 - 0.22 * pressure
    wall = u(6.5, 10.5) * (u(1.25, 1.5) if systole else 1.0)
    if disease == "hypertrophy":
        wall, width = wall * u(1.3, 2.0), width * u(0.75, 0.95)
    if disease == "dilation":
        wall, width, length = wall * 0.8, width * u(1.15, 1.5), length * u(1.0, 1.12)
    annulus = width * u(0.6, 0.75)
    bend = u(-4, 5)
    septum_shift = 7 * pressure * u(0.2, 1)

    # Half widths of the cavity at shares of its length: a bullet.
    along = np.array([0, 0.13, 0.35, 0.58, 0.78, 0.91, 0.98])
    across = width * np.array([0, 0.86, 1.0, 0.93, 0.7, 0.43, 0.17])
    across[0] = annulus
    across[1:-1] *= 1 + rng.normal(0, 0.03, 5)
    # Some ventricles are pointed, others round.
    across[4:] *= u(0.85, 1.12) ** np.array([1, 2, 3])
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
    rv_width = size * (u(27, 42) + 14 * pressure) * (u(0.78, 0.92) if systole else 1.0)
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

    atria = size * (u(0.95, 1.2) if systole else u(0.75, 1.05)) * u(0.85, 1.15)
    # Each may be large by itself: of a stiff ventricle, a leaking valve, fibrillation.
    large = np.where(u(size=2) < 0.2, u(1.2, 1.6, 2), 1.0)
    la_depth = large[0] * atria * u(38, 50) * (0.9 if pressure else 1.0)
    ra_depth = large[1] * atria * u(36, 48) + 12 * pressure
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
    angle = np.radians(u(-20, 0) if odd_pose and u() < 0.5 else u(-74, -28))
    if odd_pose and angle < np.radians(-30):
        angle = np.radians(u(-95, -72))
    turn = np.exp(1j * angle)
    origin = complex(rng.normal(14, 8), rng.normal(0, 9))

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
    """Like `grow`, for an open curve from septum over apex to lateral wall."""
    tangent = np.gradient(curve)
    return curve - 1j * distance * tangent / np.abs(tangent)
