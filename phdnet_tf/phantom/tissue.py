"""The signal of each tissue in a bSSFP cine, and how it is painted."""

from dataclasses import dataclass

import numpy as np

from phdnet_tf.phantom.drawing import Canvas, blob, grow, ribbon, spline

BONE = 0.06
"""Signal of cortical bone, air-filled bowel and other tissue with almost no signal."""


@dataclass(frozen=True)
class Tissue:
    """Signal of each tissue: float32[H, W], relative to blood at about 1.

    Fat is negative, see `Canvas`. The levels follow T2/T1, as bSSFP does.
    """

    blood: np.ndarray
    myocardium: np.ndarray
    fat: np.ndarray
    muscle: np.ndarray
    liver: np.ndarray
    spleen: np.ndarray
    marrow: np.ndarray
    fluid: np.ndarray
    lung: np.ndarray


def draw_tissue(
    canvas: Canvas, rng: np.random.Generator, *, faint: bool = False
) -> Tissue:
    """The tissues of one subject.

    Args:
        canvas: Gives the size of image and pixel.
        rng: Source of the variation.
        faint: Whether blood and myocardium are hard to tell apart, as after contrast
            agent or with inflow saturation.
    """
    fine, coarse = texture(canvas, rng, 3.5), texture(canvas, rng, 22)

    def level(mean: float, grain: float, cloud: float) -> np.ndarray:
        return np.float32(mean) * (1 + grain * fine + cloud * coarse)

    u = rng.uniform
    blood = u(0.8, 1.15)
    ratio = u(0.6, 0.76) if faint else u(0.22, 0.5)
    return Tissue(
        blood=level(blood, u(0.02, 0.06), u(0.02, 0.07)),
        myocardium=level(blood * ratio, 0.08, 0.07),
        fat=level(-u(0.55, 1.9), 0.03, 0.08),
        muscle=level(u(0.18, 0.48), 0.1, 0.1),
        liver=level(u(0.18, 0.6), 0.06, 0.07),
        spleen=level(u(0.4, 0.6), 0.05, 0.03),
        marrow=level(u(0.2, 0.4), 0.1, 0.0),
        fluid=level(u(1.1, 1.6), 0.0, 0.0),
        lung=level(u(0.03, 0.2), 0.15, 0.2),
    )


def texture(canvas: Canvas, rng: np.random.Generator, grain: float) -> np.ndarray:
    """A smooth random field with mean 0 and standard deviation 1.

    Args:
        canvas: Gives the size of image and pixel.
        rng: Source of the field.
        grain: Size of the spots, in mm.

    Returns:
        float32[H, W].
    """
    rows, columns = canvas.image.shape
    waves = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns))
    gain = np.exp(-8 * (waves * grain / canvas.spacing) ** 2).astype(np.float32)
    noise = rng.standard_normal((2, *gain.shape), dtype=np.float32)
    field = np.fft.irfft2((noise[0] + 1j * noise[1]) * gain, s=(rows, columns))
    field -= field.mean()
    return (field / field.std()).astype(np.float32)


def sprinkle(
    canvas: Canvas,
    rng: np.random.Generator,
    places: np.ndarray,
    sizes: tuple[float, float],
    signal: float | np.ndarray,
    *,
    within: np.ndarray,
    opacity: tuple[float, float] = (0.4, 1.0),
) -> None:
    """Paints small vessels, cut across or along, inside a mask.

    Args:
        canvas: The canvas to paint on.
        rng: Source of the variation.
        places: complex128[N], middles of the vessels in mm.
        sizes: Smallest and largest radius in mm. Small ones are more common.
        signal: Signal of the blood: a number or float32[H, W].
        within: float32[H, W], the organ's mask.
        opacity: Range of the share of the slice's thickness that they fill.
    """
    count = len(places)
    outlines = blob(
        places,
        sizes[0] + (sizes[1] - sizes[0]) * rng.uniform(size=count) ** 2.5,
        rng,
        roughness=0.3,
        stretch=1 + rng.exponential(0.9, count),
        angle=rng.uniform(0, np.pi, count),
    )
    filled = rng.uniform(*opacity, count)
    canvas.paint(outlines, signal, opacity=filled, within=within)


def strand(
    canvas: Canvas,
    rng: np.random.Generator,
    points: np.ndarray,
    width: float | np.ndarray,
    signal: float | np.ndarray,
    *,
    opacity: float | np.ndarray = 1.0,
    within: np.ndarray | None = None,
) -> None:
    """Paints wavy lines: vessels, fasciae, strands of muscle.

    Args:
        canvas: The canvas to paint on.
        rng: Source of the waviness.
        points: complex128[K] for a line through K points, or [M, K] for M lines; mm.
        width: Width in mm; a number, or [M].
        signal: Signal; a number or float32[H, W].
        opacity: Opacity, 0 to 1; a number, or [M].
        within: float32[H, W], a mask. Only its inside is painted.
    """
    width = np.asarray(width)[..., None]
    waver = rng.normal(0, 0.6, (2, *points.shape)) * width
    curve = spline(points + waver[0] + 1j * waver[1], closed=False, samples=6)
    # Thin ends look grown, blunt ones look drawn.
    taper = np.sqrt(np.sin(np.linspace(0.15, np.pi - 0.15, curve.shape[-1])))
    canvas.paint(ribbon(curve, width * taper), signal, opacity=opacity, within=within)


def paint_soft(
    canvas: Canvas,
    outline: np.ndarray,
    signal: float | np.ndarray,
    ramp: float,
    *,
    within: np.ndarray | None = None,
) -> None:
    """Paints an outline whose wall runs obliquely through the slice's thickness.

    Args:
        canvas: The canvas to paint on.
        outline: complex128[N], in mm, where the middle of the slice cuts the wall.
        signal: Signal of the inside; a number or float32[H, W].
        ramp: Width of the blurred border, in mm.
        within: float32[H, W], a mask. Only its inside is painted.
    """
    # Three steps; each opacity makes up for what the steps after it cover again.
    for inset, opacity in ((ramp / 2, 1 / 3), (0.0, 1 / 2), (-ramp / 2, 1.0)):
        canvas.paint(grow(outline, inset), signal, opacity=opacity, within=within)


def scatter(
    rng: np.random.Generator, centre: complex, spread: complex, count: int
) -> np.ndarray:
    """Normally distributed random points around a centre, complex128[count], in mm."""
    x, y = rng.normal(size=(2, count))
    return centre + spread.real * x + 1j * spread.imag * y
