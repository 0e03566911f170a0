"""A drawn phantom of cardiac MR with exact landmarks: the embedded default data set.

`draw` draws one image, `write_folder` an ASPIRE-style folder of them. The landmarks
come from the same outlines that are painted, never from the image, so they are exact.
"""

from dataclasses import dataclass, replace

import numpy as np

from phdnet_tf.phantom import four_chamber, short_axis
from phdnet_tf.phantom.drawing import Canvas
from phdnet_tf.phantom.scanner import Scan, acquire, draw_scan
from phdnet_tf.phantom.tissue import draw_tissue
from phdnet_tf.presets import VIEWS

HARD_SHARE = 0.18
"""Share of the images that are hard, because something is wrong with them."""

TROUBLES = ("noise", "ghosts", "motion", "faint", "pose", "edge", "dark")
"""Possible problems of a hard image: acquisition, contrast, pose, field of view."""

MIRRORED_SHARE = 0.25
"""Share of four-chamber images with the spine at the top, as in some archives."""

TURNED_SHARE = 0.25
"""Share of short-axis images with the front of the chest at the top."""

MATRICES = {
    "sa": ((256, 216), (256, 208), (256, 192), (256, 232), (224, 180), (208, 174)),
    "4ch": ((208, 256), (216, 256), (192, 256), (224, 256), (174, 208), (180, 224)),
}
"""Rows and columns of usual images. Square and turned images are drawn as well."""


FIELDS_OF_VIEW = {"sa": (300, 395), "4ch": (200, 390)}
"""Smallest and largest length of an image's longer side, in mm."""


@dataclass(frozen=True)
class Phantom:
    """One drawn image.

    Attributes:
        pixels: uint16[H, W], bright = signal.
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        landmarks: float64[L, 2], (x, y) in pixels, in the order of `VIEWS`.
        hard: Whether a problem of the image makes the landmarks hard to find.
    """

    pixels: np.ndarray
    pixel_spacing: tuple[float, float]
    landmarks: np.ndarray
    hard: bool


def draw(view: str, rng: np.random.Generator) -> Phantom:
    """Draws one subject.

    Args:
        view: A key of `phdnet_tf.presets.VIEWS`.
        rng: Source of all variation. Its state determines the image.

    Raises:
        ValueError: If there is no such view.
    """
    if view not in VIEWS:
        raise ValueError(
            f"view: expected one of {', '.join(VIEWS)}. Received: {view!r}."
        )
    anatomy = short_axis if view == "sa" else four_chamber
    hard = bool(rng.uniform() < HARD_SHARE)
    # Mostly one trouble, seldom two: most hard images can still be read.
    count = 1 + int(rng.uniform() < 0.25) if hard else 0
    troubles = set(rng.choice(TROUBLES, count, replace=False).tolist())
    heart = anatomy.draw_heart(rng, odd_pose="pose" in troubles)
    canvas = _field_of_view(view, heart.landmarks, "edge" in troubles, rng)
    tissue = draw_tissue(canvas, rng, faint="faint" in troubles)
    anatomy.paint(canvas, heart, tissue, rng)
    scan = _troubled(draw_scan(rng, canvas.image.shape), troubles, rng)
    image = acquire(canvas, scan, anatomy.COILS, complex(heart.landmarks.mean()), rng)
    # Scanners scale as they like.
    stored = np.minimum(image * rng.uniform(80, 900), 2**16 - 1).round()
    return Phantom(
        pixels=stored.astype(np.uint16),
        pixel_spacing=(canvas.spacing, canvas.spacing),
        landmarks=canvas.to_pixels(heart.landmarks),
        hard=hard,
    )


def _field_of_view(
    view: str, landmarks: np.ndarray, at_edge: bool, rng: np.random.Generator
) -> Canvas:
    """An empty image whose field of view holds all landmarks."""
    u = rng.uniform
    rows, columns = MATRICES[view][rng.integers(len(MATRICES[view]))]
    turned, mirrored = False, False
    angle = np.radians(rng.normal(0, 4))
    if view == "sa" and u() < TURNED_SHARE:
        turned, rows, columns = True, columns, rows
        angle += np.radians(rng.normal(78, 6))
    if view == "4ch" and u() < MIRRORED_SHARE:
        mirrored = True
    if u() < 0.2:
        rows = columns = int(rng.choice([192, 208, 224, 256]))
    length = u(*FIELDS_OF_VIEW[view])
    spacing = float(np.clip(length / max(rows, columns), 0.9, 1.9).round(4))

    # Where the heart's middle is in the image, relative to the image's: to the left in
    # the short axis, because the left lung and the left arm need room.
    usual = (-28 + 2j if not turned else -14 - 28j) if view == "sa" else 0 - 12j
    shift = usual + complex(*rng.normal(0, 9, 2))
    if at_edge:
        shift += u(45, 75) * np.exp(1j * u(0, 2 * np.pi))
    middle = complex(landmarks.mean())
    # Never so far that a landmark leaves the image.
    margin = 4.0 if at_edge else 14.0
    spread = (landmarks - middle) * np.exp(1j * angle)
    room = np.array([columns, rows]) * spacing / 2 - margin
    low = [-room[0] - spread.real.min(), -room[1] - spread.imag.min()]
    high = [room[0] - spread.real.max(), room[1] - spread.imag.max()]
    x, y = np.clip([shift.real, shift.imag], low, high)
    centre = middle - complex(x, y) * np.exp(-1j * angle)
    return Canvas((rows, columns), spacing, centre, angle, mirrored)


def _troubled(scan: Scan, troubles: set[str], rng: np.random.Generator) -> Scan:
    """The acquisition, with a problem added."""
    u = rng.uniform
    if "noise" in troubles:
        scan = replace(scan, noise=u(0.08, 0.17), resolution=(u(0.5, 0.7), 0.8))
    if "ghosts" in troubles:
        scan = replace(scan, ghost=u(0.06, 0.14))
    if "motion" in troubles:
        scan = replace(scan, motion=u(1.5, 3.5), resolution=(u(0.45, 0.6), 0.7))
    if "dark" in troubles:
        scan = replace(scan, coil_depth=u(42, 62), shading=1.0, banding=u(2.5, 5))
    return scan
