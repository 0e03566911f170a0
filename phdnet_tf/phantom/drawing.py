"""Smooth outlines in millimetres, and a pixel grid to paint them on.

A point of the plane is one complex number, x + iy in millimetres, with x to the right
and y downwards. Multiplication turns it, conjugation mirrors it. An outline is
complex128[N], closed (the last point joins the first) unless stated otherwise.
complex128[M, N] is M outlines, which are painted together.
"""

import numpy as np

Window = tuple[slice, slice]


def spline(points: np.ndarray, *, closed: bool, samples: int = 12) -> np.ndarray:
    """A smooth curve through all the points (Catmull-Rom).

    Args:
        points: complex128[..., N], N >= 3, in mm.
        closed: Whether the curve returns to its first point. An open curve starts
            exactly at the first point and ends exactly at the last.
        samples: Points of the curve per section between two given points.

    Returns:
        complex128[..., N * samples], or complex128[..., (N - 1) * samples + 1] if open.
    """
    first, last = points[..., :1], points[..., -1:]
    if closed:
        padded = np.concatenate([last, points, first, points[..., 1:2]], axis=-1)
    else:
        # The end points' missing neighbours are their own reflections.
        before, after = points[..., 1:2], points[..., -2:-1]
        padded = np.concatenate([2 * first - before, points, 2 * last - after], axis=-1)
    a, b, c, d = (padded[..., k : padded.shape[-1] - 3 + k, None] for k in range(4))
    t = np.arange(samples) / samples
    curve = b + 0.5 * t * (
        (c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * (b - c) + d - a))
    )
    curve = curve.reshape(*points.shape[:-1], -1)
    return curve if closed else np.concatenate([curve, last], axis=-1)


def ellipse(
    centre: complex | np.ndarray,
    along: float | np.ndarray,
    across: float | np.ndarray,
    angle: float | np.ndarray = 0.0,
) -> np.ndarray:
    """An ellipse: complex128[48], or M of them: complex128[M, 48].

    Args:
        centre: Centre in mm. This and the other arguments are numbers or arrays [M].
        along: Half axis at `angle`, in mm.
        across: The other half axis, in mm.
        angle: Angle in radians.
    """
    turn = np.exp(2j * np.pi * np.arange(48) / 48)
    centre, along, across, angle = (
        np.asarray(value)[..., None] for value in (centre, along, across, angle)
    )
    return centre + (along * turn.real + 1j * across * turn.imag) * np.exp(1j * angle)


def blob(
    centre: complex | np.ndarray,
    radius: float | np.ndarray,
    rng: np.random.Generator,
    *,
    roughness: float = 0.15,
    stretch: float | np.ndarray = 1.0,
    angle: float | np.ndarray = 0.0,
) -> np.ndarray:
    """An irregular round outline: complex128[N], or M of them: complex128[M, N].

    Args:
        centre: Centre in mm; a number, or complex128[M].
        radius: Mean radius in mm; a number, or [M], as are stretch and angle.
        rng: Source of the irregularity.
        roughness: Size of the irregularity as a share of the radius.
        stretch: Relative lengthening along `angle`. The area stays the same.
        angle: Angle in radians.
    """
    centre, radius, stretch, angle = (
        np.asarray(value)[..., None] for value in (centre, radius, stretch, angle)
    )
    # Finer the larger it is.
    theta = np.linspace(0, 2 * np.pi, 16 + 4 * int(2 * radius.max()), endpoint=False)
    waves = np.arange(2, 7)
    # High harmonics are weaker, as in anything that grew rather than crumbled.
    sizes = rng.normal(0, roughness, (*centre.shape[:-1], 5)) / waves
    phases = rng.uniform(0, 2 * np.pi, sizes.shape)
    # One matrix product: a cos(wt + p) is the real part of (a e^ip) e^iwt.
    ripple = (sizes * np.exp(1j * phases)) @ np.exp(1j * np.outer(waves, theta))
    r = radius * (1 + ripple.real)
    long, wide = np.sqrt(stretch), 1 / np.sqrt(stretch)
    shape = r * (long * np.cos(theta) + 1j * wide * np.sin(theta))
    return centre + shape * np.exp(1j * angle)


def grow(outline: np.ndarray, distance: float | np.ndarray) -> np.ndarray:
    """Moves an outline [N] outwards along its normals by `distance`, in mm, or [N]."""
    tangent = _next(outline) - np.concatenate([outline[-1:], outline[:-1]])
    normal = -1j * tangent / np.maximum(np.abs(tangent), 1e-9)
    area = (np.conj(outline) * _next(outline)).imag.sum()
    return outline + distance * normal * np.sign(area)


def ribbon(curve: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """The closed outline of an open curve, complex128[..., N], drawn `width` mm wide.

    The width may vary along the curve: [..., N]. Returns complex128[..., 2 N].
    """
    tangent = np.gradient(curve, axis=-1)
    side = 0.5j * width * tangent / np.maximum(np.abs(tangent), 1e-9)
    return np.concatenate([curve + side, (curve - side)[..., ::-1]], axis=-1)


def uneven(count: int, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Factors along a closed outline: float64[count], mean about 1, never negative."""
    theta = 2 * np.pi * np.arange(count) / count
    waves = np.arange(1, 6)
    sizes = strength * rng.normal(0, 0.6, 5) / np.sqrt(waves)
    phases = rng.uniform(0, 2 * np.pi, (5, 1))
    return np.maximum(1 + sizes @ np.cos(waves[:, None] * theta + phases), 0)


def extreme(outline: np.ndarray, direction: complex) -> complex:
    """The outline's point farthest along `direction`."""
    return complex(outline[np.argmax((outline * np.conj(direction)).real)])


def _next(values: np.ndarray) -> np.ndarray:
    """Each point's successor, in a third of the time of np.roll."""
    return np.concatenate([values[..., 1:], values[..., :1]], axis=-1)


class Canvas:
    """A signal image that is being painted, with the body coordinates of its pixels.

    The signal is signed: fat is negative, because bSSFP sees it in opposed phase to
    water. In a pixel that holds both they cancel. This gives the black line between fat
    and muscle that these images have.

    Attributes:
        image: float32[H, W], the signal; 0 (air) at the start.
        spacing: Side of a pixel in mm.
    """

    def __init__(
        self,
        size: tuple[int, int],
        spacing: float,
        centre: complex,
        angle: float = 0.0,
        mirrored: bool = False,
    ) -> None:
        """An empty canvas.

        Args:
            size: Rows and columns.
            spacing: Side of a pixel in mm.
            centre: The point of the body in the middle of the image, in mm.
            angle: Clockwise rotation of the body in the image, in radians.
            mirrored: Whether the image is upside down, after the turn.
        """
        self.image = np.zeros(size, np.float32)
        self.spacing = spacing
        self._centre = centre
        self._turn = np.exp(1j * angle)
        self._mirrored = mirrored

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """Body to image: complex128[N] in mm -> float64[N, 2], (x, y) in pixels."""
        places = self._places(points)
        return np.stack([places.real, places.imag], axis=-1)

    def _places(self, points: np.ndarray) -> np.ndarray:
        """As `to_pixels`, as complex numbers."""
        turned = (points - self._centre) * (self._turn / self.spacing)
        if self._mirrored:
            turned = np.conj(turned)
        rows, columns = self.image.shape
        return turned + complex((columns - 1) / 2, (rows - 1) / 2)

    def body_points(self) -> np.ndarray:
        """The body point of every pixel: complex64[H, W], in mm."""
        rows, columns = self.image.shape
        x = np.arange(columns) - (columns - 1) / 2
        y = np.arange(rows) - (rows - 1) / 2
        if self._mirrored:
            y = -y
        offset = (x[None, :] + 1j * y[:, None]) * self.spacing
        return (offset / self._turn + self._centre).astype(np.complex64)

    def paint(
        self,
        outline: np.ndarray,
        signal: float | np.ndarray,
        *,
        opacity: float | np.ndarray = 1.0,
        within: np.ndarray | None = None,
    ) -> None:
        """Covers the inside of the outline with a signal.

        Args:
            outline: complex128[N], in mm; or [M, N], drawn in the same direction.
            signal: The tissue's signal, or float32[H, W] for a varying one.
            opacity: From 0, which changes nothing, to 1, which replaces; may be [M].
            within: float32[H, W], a mask from `mask`. Only its inside is painted.
        """
        window, share = self._coverage(outline, opacity)
        if within is not None:
            share = share * within[window]
        if isinstance(signal, np.ndarray):
            signal = signal[window]
        below = self.image[window]
        below += share * (signal - below)

    def mask(self, outline: np.ndarray) -> np.ndarray:
        """The share of each pixel inside the outline: float32[H, W], 0 to 1."""
        full = np.zeros_like(self.image)
        window, share = self._coverage(outline)
        full[window] = share
        return full

    def _coverage(
        self, outline: np.ndarray, opacity: float | np.ndarray = 1.0
    ) -> tuple[Window, np.ndarray]:
        """The window that an outline touches, and the covered share of its pixels.

        Along the outline, each pixel accumulates the outline's vertical extent and the
        share of the pixel to its right. The sum of a row from the left then gives the
        covered area, to about a hundredth. Edges are as soft as a scanner's partial
        volume.
        """
        rows, columns = self.image.shape
        # From here on a pixel covers [0, 1), not [-0.5, 0.5).
        places = self._places(outline) + (0.5 + 0.5j)
        x, y = places.real, places.imag
        top, bottom = max(int(y.min()), 0), min(int(y.max()) + 1, rows)
        left, right = max(int(x.min()), 0), min(int(x.max()) + 1, columns)
        height, width = bottom - top, right - left
        if height <= 0 or width <= 0:
            return (slice(0), slice(0)), np.zeros((0, 0), np.float32)
        window = (slice(top, bottom), slice(left, right))

        places = np.clip(x, left, right) - left + 1j * (y - top)
        step = _next(places) - places
        # Steps shorter than a pixel cross at most one border between rows.
        steps = int(1.5 * max(np.abs(step.real).max(), np.abs(step.imag).max())) + 1
        if steps > 1:
            fine = places[..., None] + step[..., None] * (np.arange(steps) / steps)
            places = fine.reshape(*outline.shape[:-1], -1)
        after = _next(places)
        x0, y0, x1, y1 = places.real, places.imag, after.real, after.imag
        row0, row1 = np.floor(y0), np.floor(y1)
        crosses = row0 != row1
        border = np.where(crosses, np.maximum(row0, row1), y1)
        rise = np.where(crosses, y1 - y0, 1.0)
        x_border = np.where(crosses, x0 + (x1 - x0) * (border - y0) / rise, x1)

        row = np.stack([row0, row1]).astype(np.intp)
        weight = np.asarray(opacity)[..., None]
        fall = np.stack([border - y0, y1 - border]) * weight
        middle = (np.stack([x0, x1]) + x_border) / 2
        seen = (row >= 0) & (row < height)
        row, fall, middle = row[seen], fall[seen], middle[seen]
        column = middle.astype(np.intp)
        right_part = fall * (middle - column)
        cell = row * (width + 2) + column
        ledger = np.bincount(cell, fall - right_part, height * (width + 2))
        ledger[1:] += np.bincount(cell, right_part, height * (width + 2))[:-1]
        area = np.cumsum(ledger.reshape(height, width + 2), axis=1)[:, :width]
        return window, np.minimum(np.abs(area), 1).astype(np.float32)
