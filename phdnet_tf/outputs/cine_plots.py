"""Pictures of cines: the tracks of the landmarks, and animations with the points."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from phdnet_tf.inference.results import Prediction
from phdnet_tf.inference.tracks import TOLERANCE_MM, Track
from phdnet_tf.outputs.framing import close_up
from phdnet_tf.outputs.overlay import DOUBTED, TRUSTED

PICTURE_SIDE = 480
"""Length of the longer side of an animation, in pixels of the screen."""

LINE_HEIGHT = 15
"""Height of a label in an animation, in pixels of the animation."""

FRAME_MS = 60
"""Duration of a phase in an animation if the files give no times, in ms."""

SHORTEST_MS = 20
"""Shortest duration of a phase in an animation, in ms: viewers slow down below it."""


def save_tracks(
    path: Path, tracks: Sequence[Track], predictions: Sequence[Prediction], title: str
) -> None:
    """Draws the position of each landmark in each phase, as a PNG.

    A high-confidence point is filled, a low-confidence one is an open ring. The line
    shows the position expected from the phases around. Points are drawn over time if
    the files give the times of all phases, so that a missing phase leaves a gap.

    Args:
        path: File to write.
        tracks: Tracks of the landmarks.
        predictions: Predictions of the phases of the tracks.
        title: Title of the picture.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure((4.2 * len(tracks), 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(tracks), squeeze=False, sharex=True)
    times = _times(predictions)
    for number, (track, column) in enumerate(zip(tracks, panels.T, strict=True)):
        high = np.array([p.landmarks[number].high_confidence for p in predictions])
        at = track.phases if times is None else times
        for axis, name, points, expected in zip(
            column, "xy", track.points.T, track.expected.T, strict=True
        ):
            axis.plot(at, expected, color="0.6", linewidth=1)
            axis.plot(at[high], points[high], "o", color="C0", markersize=4)
            axis.plot(
                *(at[~high], points[~high], "o"),
                markerfacecolor="none",
                markeredgecolor="C1",
                markersize=6,
            )
            axis.set_ylabel(f"{name} (mm)")
            axis.grid(alpha=0.3)
        consistency = (track.jumps <= TOLERANCE_MM).mean()
        column[0].set_title(
            f"{track.name.replace('_', ' ')}\n{consistency:.0%} within "
            f"{TOLERANCE_MM:g} mm of the expected position",
            fontsize=9,
            parse_math=False,
        )
        column[1].set_xlabel("phase" if times is None else "time (ms)")
        # A row's picture grows downward, and so does its y.
        column[1].invert_yaxis()
    strange = sum(not prediction.recognised for prediction in predictions)
    caution = (
        f"\nNOT RECOGNISED as {predictions[0].view}: {strange} of {len(predictions)} "
        "phases"
        if strange
        else ""
    )
    figure.suptitle(
        f"{title}\nfilled: high confidence, ring: low{caution}",
        fontsize=9,
        parse_math=False,
    )
    figure.savefig(path, dpi=110)
    # As in `overlay.save_overlay`, so that hundreds do not pile up.
    del figure, panels, column, axis
    gc.collect()


def save_animation(
    path: Path,
    images: Iterable[tuple[np.ndarray, Prediction]],
    predictions: Sequence[Prediction],
    beat_ms: float | None = None,
) -> None:
    """Draws the phases of a cine with their landmarks, as an endless GIF.

    It shows a close-up of all points, the same in each phase. A phase is shown until
    the time of the next one, so that a missing phase is a pause.

    Args:
        path: File to write.
        images: For each phase float32[H, W] and its prediction, read one at a time.
        predictions: Predictions of all phases.
        beat_ms: Duration of the heart beat that the cine divides, in ms; None if it
            does not cover a whole one.

    Raises:
        OSError: If the file cannot be written.
    """
    pictures: list[Image.Image] = []
    shown: list[Prediction] = []
    grey: tuple[float, float] | None = None
    points = np.array([(p.x, p.y) for each in predictions for p in each.landmarks])
    for pixels, prediction in images:
        if grey is None:
            # One for all, or the brightness would flicker.
            grey = float(pixels.min()), float(np.percentile(pixels, 99.5))
            window = close_up(points, prediction.pixel_spacing, pixels.shape)
        pictures.append(_picture(pixels, prediction, grey, window))
        shown.append(prediction)
    if not pictures:
        return
    pictures[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=_durations(shown, beat_ms),
        loop=0,
    )


def _times(predictions: Sequence[Prediction]) -> np.ndarray | None:
    """float64[T], times of the phases in ms, if the files give all, and they rise."""
    told = [each.origin["time_ms"] for each in predictions if "time_ms" in each.origin]
    rising = all(before < after for before, after in pairwise(told))
    return np.array(told, float) if rising and len(told) == len(predictions) else None


def _durations(predictions: Sequence[Prediction], beat_ms: float | None) -> list[int]:
    """How long each phase is shown, in ms: until the time of the next."""
    times = _times(predictions)
    if times is None or len(times) < 2:
        return [FRAME_MS] * len(predictions)
    steps = np.diff(times)
    last = np.median(steps) if beat_ms is None else beat_ms - steps.sum()
    # GIF counts in hundredths of a second. Rounded one by one, the phases of a beat
    # could last longer or shorter than the beat.
    ends = np.round(np.cumsum([*steps, last]) / 10) * 10
    return np.maximum(np.diff(ends, prepend=0), SHORTEST_MS).astype(int).tolist()


def _picture(
    pixels: np.ndarray,
    prediction: Prediction,
    grey: tuple[float, float],
    window: tuple[float, float, float, float],
) -> Image.Image:
    """A phase in 256 colours, with the same scale in mm along x and y."""
    low, high = grey
    values = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1) * 255
    spacing_y, spacing_x = prediction.pixel_spacing
    left, top, right, bottom = window
    width, height = (right - left) * spacing_x, (bottom - top) * spacing_y
    zoom = PICTURE_SIDE / max(width, height)
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    # A picture counts from the corner of the first pixel, not from its centre.
    box = (left + 0.5, top + 0.5, right + 0.5, bottom + 0.5)
    picture = Image.fromarray(values.astype(np.uint8)).resize(size, box=box)
    picture = picture.convert("RGB")
    draw = ImageDraw.Draw(picture)
    places = [
        ((mark.x - left) * spacing_x * zoom, (mark.y - top) * spacing_y * zoom)
        for mark in prediction.landmarks
    ]
    lines = _apart([y for _, y in places], size[1])
    for landmark, (x, y), line in zip(prediction.landmarks, places, lines, strict=True):
        colour = TRUSTED if landmark.high_confidence else DOUBTED
        draw.line((x, y, x + 12, line), "black", 3)
        draw.line((x, y, x + 12, line), colour, 1)
        if landmark.high_confidence:
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour, outline="black")
        else:
            draw.ellipse((x - 8, y - 8, x + 8, y + 8), outline="black", width=4)
            draw.ellipse((x - 7, y - 7, x + 7, y + 7), outline=colour, width=2)
        _write(draw, (x + 14, line - 6), landmark.name.replace("_", " "), colour)
    phase = prediction.origin.get("phase")
    number = "" if phase is None else f"phase {phase}   "
    _write(draw, (6, 5), f"{number}{prediction.model}   rings: low confidence", "white")
    if not prediction.recognised:
        _write(draw, (6, 19), f"NOT RECOGNISED as {prediction.view}", DOUBTED)
    return picture.convert("P", palette=Image.Palette.ADAPTIVE)


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, colour: str
) -> None:
    font = ImageFont.load_default(11)
    # On bright tissue nothing else could be read.
    draw.text(place, text, colour, font, stroke_width=2, stroke_fill="black")


def _apart(heights: list[float], bottom: int) -> list[float]:
    """Heights of labels, moved down, and up from the bottom, until none overlap."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    moved = dict(enumerate(heights))
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + LINE_HEIGHT)
    limit = float(bottom - LINE_HEIGHT)
    for number in reversed(order):
        moved[number] = min(moved[number], limit)
        limit = moved[number] - LINE_HEIGHT
    return [moved[number] for number in range(len(heights))]
