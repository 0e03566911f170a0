"""Pictures of cines: tracks of the landmarks, and the cine itself with its points."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from phdnet_tf.inference.results import Prediction
from phdnet_tf.inference.tracks import TOLERANCE_MM, Track
from phdnet_tf.outputs.overlay import DOUBTED, TRUSTED

PICTURE_SIDE = 480
"""Of the longer side of an animation, in pixels of the screen."""

FRAME_MS = 60
"""How long an animation shows a phase where the file does not tell the time."""


def save_tracks(
    path: Path, tracks: Sequence[Track], predictions: Sequence[Prediction], title: str
) -> None:
    """Draws where each landmark is in each phase, as a PNG.

    A point that is high confidence is filled, one that is not is an open ring, and the
    line is where the phases around it make it expected.

    Args:
        path: File to write.
        tracks: Of the landmarks.
        predictions: Of the phases of the tracks.
        title: Of the picture.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure((4.2 * len(tracks), 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, len(tracks), squeeze=False, sharex=True)
    for number, (track, column) in enumerate(zip(tracks, panels.T, strict=True)):
        high = np.array([p.landmarks[number].high_confidence for p in predictions])
        for axis, name, points, expected in zip(
            column, "xy", track.points.T, track.expected.T, strict=True
        ):
            axis.plot(track.phases, expected, color="0.6", linewidth=1)
            axis.plot(track.phases[high], points[high], "o", color="C0", markersize=4)
            axis.plot(
                *(track.phases[~high], points[~high], "o"),
                markerfacecolor="none",
                markeredgecolor="C1",
                markersize=6,
            )
            axis.set_ylabel(f"{name} (mm)")
            axis.grid(alpha=0.3)
        consistency = (track.jumps <= TOLERANCE_MM).mean()
        column[0].set_title(
            f"{track.name.replace('_', ' ')}\n{consistency:.0%} within "
            f"{TOLERANCE_MM:g} mm of where the others make it expected",
            fontsize=9,
            parse_math=False,
        )
        column[1].set_xlabel("phase")
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
        f"{title}   filled: high confidence, ring: low{caution}",
        fontsize=9,
        parse_math=False,
    )
    figure.savefig(path, dpi=110)
    # As in `overlay.save_overlay`, lest hundreds pile up.
    del figure, panels, column, axis
    gc.collect(1)


def save_animation(
    path: Path,
    images: Iterable[tuple[np.ndarray, Prediction]],
    beat_ms: float | None = None,
) -> None:
    """Draws the phases of a cine with their landmarks, as an endless GIF.

    Args:
        path: File to write.
        images: For each phase float32[H, W] and its prediction; taken one by one.
        beat_ms: Duration of all phases, if it is known.

    Raises:
        OSError: If the file cannot be written.
    """
    pictures: list[Image.Image] = []
    window: tuple[float, float] | None = None
    for pixels, prediction in images:
        if window is None:
            # One for all, or the brightness would flicker.
            window = float(pixels.min()), float(np.percentile(pixels, 99.5))
        pictures.append(_picture(pixels, prediction, window))
    if not pictures:
        return
    duration = FRAME_MS if beat_ms is None else beat_ms / len(pictures)
    pictures[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        # GIF counts in hundredths of a second, and viewers slow down below two.
        duration=max(20, round(duration / 10) * 10),
        loop=0,
    )


def _picture(
    pixels: np.ndarray, prediction: Prediction, window: tuple[float, float]
) -> Image.Image:
    """A phase in 256 colours, in which a millimetre is as long in x as in y."""
    low, high = window
    grey = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1) * 255
    spacing_y, spacing_x = prediction.pixel_spacing
    width, height = pixels.shape[1] * spacing_x, pixels.shape[0] * spacing_y
    zoom = PICTURE_SIDE / max(width, height)
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    picture = Image.fromarray(grey.astype(np.uint8)).resize(size).convert("RGB")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(11)
    for landmark in prediction.landmarks:
        # The picture counts from the corner of the first pixel, not from its centre.
        x = (landmark.x + 0.5) * spacing_x * zoom
        y = (landmark.y + 0.5) * spacing_y * zoom
        colour = TRUSTED if landmark.high_confidence else DOUBTED
        if landmark.high_confidence:
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour, outline="black")
        else:
            draw.ellipse((x - 7, y - 7, x + 7, y + 7), outline=colour, width=2)
        draw.text((x + 9, y - 6), landmark.name.replace("_", " "), colour, font)
    phase = prediction.origin.get("phase")
    if phase is not None:
        draw.text((6, 5), f"phase {phase}   rings: low confidence", "white", font)
    if not prediction.recognised:
        text = f"NOT RECOGNISED as {prediction.view}"
        draw.text((6, 19), text, DOUBTED, ImageFont.load_default(13))
    return picture.convert("P", palette=Image.Palette.ADAPTIVE)
