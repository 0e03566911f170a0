"""Pictures of a report as SVG, which a browser shows without a script or a network."""

from __future__ import annotations

import base64
import math
from collections import Counter
from html import escape
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from phdnet_tf.dicom.image import MRImage

MARGIN_MM = 30.0
"""Around the points, so that one sees where in the heart they are."""

SIDE = 200
"""Most pixels along a side of a picture."""


def histogram(counts: Counter[int], width: float, title: str) -> str:
    """Bars, one for each bin.

    Args:
        counts: How many values are in each bin, by its number from 0.
        width: Of a bin, in the unit of the values.
        title: What is shown, with its unit.

    Returns:
        An `<svg>` element.
    """
    bins = max(counts, default=0) + 1
    most = max(counts.values(), default=1)
    bars = [
        f'<rect x="{40 + 400 * n / bins:.1f}" y="{120 - 100 * count / most:.1f}" '
        f'width="{400 / bins * 0.9:.1f}" height="{100 * count / most:.1f}">'
        f"<title>{n * width:g} to {(n + 1) * width:g}: {count}</title></rect>"
        for n, count in sorted(counts.items())
    ]
    step = max(1, math.ceil(bins / 8))
    marks = [
        f'<text x="{40 + 400 * n / bins:.1f}" y="134">{n * width:g}</text>'
        for n in range(0, bins + 1, step)
    ]
    return (
        f'<svg class="histogram" viewBox="0 0 460 140" role="img" '
        f'aria-label="{escape(title)}"><text x="40" y="12">{escape(title)}</text>'
        f'<text x="2" y="24">{most}</text>{"".join(bars)}{"".join(marks)}</svg>'
    )


def thumbnail(image: MRImage, rows: list[dict[str, Any]]) -> str:
    """The part of an image with the landmarks, each with its 90 % error radius.

    Args:
        image: The image.
        rows: Of its landmarks, as a part has them.

    Returns:
        An `<svg>` element; its user units are pixels of the image.
    """
    height, width = image.pixels.shape
    spacing_y, spacing_x = image.pixel_spacing
    xs, ys = [row["x"] for row in rows], [row["y"] for row in rows]
    left = max(0, math.floor(min(xs) - MARGIN_MM / spacing_x))
    right = min(width, math.ceil(max(xs) + MARGIN_MM / spacing_x))
    top = max(0, math.floor(min(ys) - MARGIN_MM / spacing_y))
    bottom = min(height, math.ceil(max(ys) + MARGIN_MM / spacing_y))
    # A point may lie where the image has no pixels.
    if right <= left or bottom <= top:
        left, right, top, bottom = 0, width, 0, height
    high_mm, wide_mm = (bottom - top) * spacing_y, (right - left) * spacing_x
    scale = SIDE / max(high_mm, wide_mm)
    shapes = [
        f'<ellipse cx="{x + 0.5:.1f}" cy="{y + 0.5:.1f}" '
        f'rx="{row["radius_90_mm"] / spacing_x:.1f}" '
        f'ry="{row["radius_90_mm"] / spacing_y:.1f}" fill="none"/>'
        f'<circle cx="{x + 0.5:.1f}" cy="{y + 0.5:.1f}" r="{2 / spacing_x:.1f}">'
        f"<title>{escape(row['landmark'])}</title></circle>"
        for row, x, y in zip(rows, xs, ys, strict=True)
    ]
    png = _png(image.pixels[top:bottom, left:right])
    return (
        f'<svg width="{wide_mm * scale:.0f}" height="{high_mm * scale:.0f}" '
        f'viewBox="{left} {top} {right - left} {bottom - top}" '
        f'preserveAspectRatio="none"><image href="{png}" x="{left}" y="{top}" '
        f'width="{right - left}" height="{bottom - top}" preserveAspectRatio="none"/>'
        f"{''.join(shapes)}</svg>"
    )


def _png(pixels: np.ndarray) -> str:
    """float32[H, W] as the address of a picture that is in the page itself."""
    step = max(1, math.ceil(max(pixels.shape) / SIDE))
    shown = pixels[::step, ::step]
    low, high = np.percentile(shown, (0.5, 99.5))
    grey = np.clip((shown - low) / max(high - low, 1e-6), 0, 1) * 255
    file = BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
