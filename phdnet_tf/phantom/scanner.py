"""Simulates the acquisition: coils, banding, k-space, motion and noise."""

from dataclasses import dataclass

import numpy as np

from phdnet_tf.phantom.drawing import Canvas


@dataclass(frozen=True)
class Scan:
    """Settings of one acquisition.

    Attributes:
        noise: Standard deviation of the real and of the imaginary noise, relative to
            blood at 1 in the middle of the heart.
        ghost: Strength of the respiratory ghosts, relative to the image.
        motion: Motion of the body between alternating parts of k-space, in mm.
        coil_depth: Distance in mm over which a surface coil loses half of its signal.
        shading: 0 for an evenly bright image, 1 for the coils' full profile.
        resolution: Share of k-space acquired along (phase, readout), 0 to 1.
        banding: Strength of the field's slope towards the edges, in bands.
        phase_axis: Image axis of the phase encoding: 0 for rows, 1 for columns.
        trimmed: Whether the correction of gradient distortion left dark margins.
    """

    noise: float
    ghost: float
    motion: float
    coil_depth: float
    shading: float
    resolution: tuple[float, float]
    banding: float
    phase_axis: int
    trimmed: bool


def draw_scan(rng: np.random.Generator, shape: tuple[int, int]) -> Scan:
    """Settings of a usual acquisition, for an image with `shape` rows and columns."""
    return Scan(
        noise=rng.uniform(0.01, 0.06),
        ghost=rng.uniform(0.0, 0.03),
        motion=0.0,
        coil_depth=rng.uniform(42, 120),
        shading=rng.uniform(0.1, 1.1),
        resolution=(rng.uniform(0.5, 0.9), rng.uniform(0.7, 1.0)),
        banding=rng.uniform(0.1, 0.8),
        # The shorter side is phase encoded: it saves time.
        phase_axis=int(shape[1] < shape[0]) if rng.uniform() < 0.85 else 0,
        trimmed=bool(rng.uniform() < 0.35),
    )


def acquire(
    canvas: Canvas,
    scan: Scan,
    coils: np.ndarray,
    heart: complex,
    rng: np.random.Generator,
) -> np.ndarray:
    """The image as reconstructed.

    Args:
        canvas: Painted signal.
        scan: Settings.
        coils: complex128[C], positions of the coil's elements on the body, in mm.
        heart: The point where the image is neither brightened nor darkened, in mm.
        rng: Source of noise and phases.

    Returns:
        float32[H, W], magnitude, blood at about 1.
    """
    body = canvas.body_points()
    signal = canvas.image * _bands(body - heart, scan.banding, rng)
    signal *= _sensitivity(body, heart, coils, scan, rng)
    image = np.abs(_k_space(signal, scan, canvas.spacing, rng)).astype(np.float32)
    return image * _margins(image.shape, rng) if scan.trimmed else image


def _sensitivity(
    body: np.ndarray,
    heart: complex,
    coils: np.ndarray,
    scan: Scan,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sensitivity of the coil array at each pixel, float32[H, W]; 1 at the heart."""
    # No two patients have the coil strapped on alike.
    coils = coils + rng.normal(0, 18, (2, len(coils))).T @ [1, 1j]
    gains = rng.uniform(0.3, 1.7, len(coils))

    def seen(points: np.ndarray) -> np.ndarray:
        points = points.astype(np.complex64)
        total = np.zeros(points.shape, np.float32)
        for coil, gain in zip(coils, gains, strict=True):
            offset = points - np.complex64(coil)
            near = (offset.real**2 + offset.imag**2) / np.float32(scan.coil_depth**2)
            total += np.float32(gain) / (1 + near) ** 1.5
        return total

    profile = seen(body) / seen(np.array([heart]))
    return profile**scan.shading


def _bands(offset: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Dark bands of bSSFP, where the field is off by half a turn: float32[H, W].

    The field is good in the shim volume around the heart. It worsens quickly beyond, in
    some directions earlier than in others.
    """
    way = np.angle(offset)
    reach = 1 + rng.normal(0, 0.12, 2) @ np.stack(
        [np.cos(2 * way + rng.uniform(0, 6)), np.cos(3 * way + rng.uniform(0, 6))]
    ).reshape(2, -1)
    turn = strength * (np.abs(offset) / 190 * reach.reshape(way.shape)) ** 6
    away = np.abs(turn - np.round(turn))
    profile = 1 - np.exp(-(((0.5 - away) / 0.09) ** 2))
    return profile.astype(np.float32)


def _margins(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A mask, float32[H, W]: 0 outside of a slightly bent, tilted frame, 1 inside."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)
    tilt, bend = rng.normal(0, 0.025, 4), rng.uniform(0, 0.03, 4)
    inside = np.ones(shape, np.float32)
    for side, (across, along) in enumerate(((x, y), (-x, y), (y, x), (-y, x))):
        border = 0.985 + tilt[side] * along - bend[side] * along**2
        inside *= np.clip((border - across) * shape[side < 2] / 2, 0, 1)
    return inside


def _k_space(
    signal: np.ndarray, scan: Scan, spacing: float, rng: np.random.Generator
) -> np.ndarray:
    """complex[H, W]: sampled, disturbed and transformed back."""
    if scan.phase_axis == 1:
        return _k_space_by_rows(signal.T, scan, spacing, rng).T
    return _k_space_by_rows(signal, scan, spacing, rng)


def _k_space_by_rows(
    signal: np.ndarray, scan: Scan, spacing: float, rng: np.random.Generator
) -> np.ndarray:
    """Like `_k_space`, with the phase encoding along the rows' axis."""
    rows, columns = signal.shape
    phase = np.fft.fftfreq(rows)[:, None]
    readout = np.fft.fftfreq(columns)[None, :]
    spectrum = np.fft.fft2(signal)

    # Breathing modulates the lines regularly, which copies the image to either side.
    turn = 2 * np.pi * phase * rows * rng.uniform(0.1, 0.3)
    spectrum *= 1 + 2 * scan.ghost * np.cos(turn + rng.uniform(0, 2 * np.pi))
    if scan.motion:
        # Segments of k-space are filled in different breath-holds or heart beats.
        segment = (np.sin(turn * 0.37 + rng.uniform(0, 6)) > 0.5) * scan.motion
        way = rng.uniform(0, 2 * np.pi)
        shift = (np.sin(way) * phase + np.cos(way) * readout) * segment / spacing
        spectrum *= np.exp(-2j * np.pi * shift)

    reach = (2 * phase / scan.resolution[0]) ** 2 + (2 * readout) ** 2 / (
        scan.resolution[1] ** 2
    )
    # A raised cosine rather than an edge: scanners filter their ringing.
    window = np.clip((1.15 - np.sqrt(reach)) / 0.3, 0, 1)
    window = 0.5 - 0.5 * np.cos(np.pi * window)
    # Scaled so that the noise has its nominal size after the transform.
    sigma = scan.noise * np.sqrt(rows * columns)
    noise = rng.standard_normal((2, rows, columns), dtype=np.float32) * sigma
    return np.fft.ifft2((spectrum + noise[0] + 1j * noise[1]) * window)
