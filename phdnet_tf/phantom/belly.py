"""The upper belly drawn under a short-axis heart: liver, stomach, spleen and more."""

import numpy as np

from phdnet_tf.phantom.drawing import Canvas, blob, grow, spline
from phdnet_tf.phantom.tissue import BONE, Tissue, scatter, sprinkle, strand


def paint_belly(
    canvas: Canvas,
    tissue: Tissue,
    floor: complex,
    chest: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Paints the belly in a short-axis slice, in the coordinates of `short_axis`.

    Args:
        canvas: The canvas to paint on.
        tissue: Signals of the tissues.
        floor: The diaphragm's point under the heart, in mm.
        chest: float32[H, W], the mask of the inside of the ribs, belly included.
        rng: Source of the variation.
    """
    u = rng.uniform
    diaphragm = spline(
        floor
        + np.array(
            [
                -140 + 1j * u(0, 20),
                -60 + 1j * u(-6, 16),
                -20 + 1j * u(-3, 3),
                20 + 1j * u(-4, 6),
                58 + 1j * u(-14, 20),
                95 + 1j * u(5, 40),
                210 + 1j * u(60, 120),
            ]
        ),
        closed=False,
    )
    below = np.concatenate([diaphragm, [210 + 420j, -140 + 420j]])
    canvas.paint(grow(below, 2.5), tissue.muscle, within=chest)
    canvas.paint(below, u(0.4, 0.8) * tissue.fat, within=chest)
    belly = canvas.mask(below) * chest

    # Bowel, pancreas and vessels: a patchwork of anything.
    for wall, content in ((0.15, 0.9), (0.3, 0.05), (0.45, -0.7), (0.35, 0.45)):
        places = scatter(rng, floor + 50 + 110j, 44 + 46j, 14)
        radii, heading = u(3, 13, 14), u(0, np.pi, 14)
        loops = blob(places, radii, rng, roughness=0.3, stretch=1.5, angle=heading)
        canvas.paint(loops, wall, opacity=u(0.6, 1, 14), within=belly)
        inner = blob(places, 0.65 * radii, rng, roughness=0.4, stretch=1.5)
        canvas.paint(inner, content, opacity=u(0, 0.9, 14), within=belly)
    # Spine and aorta, cut along.
    vertebrae = u(100, 125) + floor + 1j * (70 + 33 * np.arange(6))
    canvas.paint(blob(vertebrae, 16.0, rng, roughness=0.1), BONE, within=belly)
    marrow = blob(vertebrae, 14.5, rng, roughness=0.1)
    canvas.paint(marrow, tissue.marrow, within=belly)
    aorta = floor + np.array([74 + 10j, 74 + 70j, 70 + 130j, 64 + 220j])
    strand(canvas, rng, aorta, u(14, 19), 0.15, within=belly)
    strand(canvas, rng, aorta, u(11, 16), u(1, 1.3) * tissue.blood, within=belly)
    # Spleen and kidney.
    for place, radius in (
        (floor + u(98, 120) + 1j * u(35, 60), u(24, 34)),
        (floor + u(74, 96) + 1j * u(105, 130), u(20, 26)),
    ):
        organ = blob(place, radius, rng, stretch=u(1.3, 1.9), angle=u(0.9, 1.7))
        canvas.paint(grow(organ, 1.5), BONE, within=belly)
        canvas.paint(organ, tissue.spleen, within=belly)
    _paint_stomach(canvas, tissue, floor, belly, rng)

    reach = u(10, 60)
    liver = spline(
        floor
        + np.array(
            [
                -120 - 30j,
                -50 - 30j,
                -10 - 20j,
                reach + u(-8, 14) * 1j,
                reach + u(-14, 6) + u(25, 45) * 1j,
                u(-15, 30) + u(80, 120) * 1j,
                u(-45, 10) + u(150, 220) * 1j,
                -120 + 210j,
            ]
        ),
        closed=True,
    )
    canvas.paint(grow(liver, 1.2), 0.1, within=belly)
    canvas.paint(liver, tissue.liver, within=belly)
    inside = canvas.mask(grow(liver, -4)) * belly
    flow = u(0.5, 1.1) * tissue.blood
    places = scatter(rng, floor - 35 + 60j, 32 + 38j, 26)
    sprinkle(canvas, rng, places, (0.8, 5.0), flow, within=inside)
    roots = floor + scatter(rng, -25 + 50j, 16 + 20j, 3)
    turns = np.exp(1j * u(-3, 3, 3))
    branches = roots[:, None] + np.outer(turns, [0, 10 + 4j, 22 + 12j])
    strand(
        canvas, rng, branches, u(2, 5.5, 3), flow, opacity=u(0.2, 1, 3), within=inside
    )


def _paint_stomach(
    canvas: Canvas,
    tissue: Tissue,
    floor: complex,
    belly: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """A grey-rimmed ring near the heart, which resembles a short-axis heart most."""
    u = rng.uniform
    middle = floor + complex(u(38, 64), u(24, 42))
    outline = blob(middle, u(19, 29), rng, stretch=u(1, 1.6), angle=u(-0.6, 0.6))
    content = rng.choice([0.04, 0.35, 0.8, 1.15])
    canvas.paint(grow(outline, 3.5), tissue.fat, opacity=0.8, within=belly)
    canvas.paint(outline, tissue.myocardium, within=belly)
    inner = grow(outline, -u(3, 5))
    canvas.paint(inner, content * tissue.blood, within=belly)
    if content < 0.1:
        # What was drunk lies below the air.
        drink = canvas.mask(inner + u(6, 16)) * canvas.mask(inner)
        canvas.paint(outline, u(0.3, 1.1), within=drink)
