"""Draws predictions on their image."""

import gc
import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.inference.results import Prediction
from phdnet_tf.outputs.framing import close_up, side_letters

TRUSTED = "#35e0c8"
DOUBTED = "#ff9f1c"
BACKGROUND = "#111417"
SCALE_MM = 20
"""Length of the scale bar, in mm."""

# On bright tissue nothing else could be read.
OUTLINE = [withStroke(linewidth=2.5, foreground="black")]


def save_overlay(
    path: Path,
    image: MRImage,
    prediction: Prediction,
    candidate_maps: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Draws the predicted landmarks on their image, as a PNG.

    A close-up of the heart shows the points. If the image is larger, the whole image is
    shown beside it. A high-confidence point is a filled dot. A low-confidence one is an
    open, dashed ring in another colour, with a label that asks to check it. A thin
    circle holds the true landmark with 90 % probability.

    Args:
        path: File to write.
        image: The image.
        prediction: Its prediction.
        candidate_maps: The result of `Predictor.candidate_maps`, to show the patches'
            votes for each landmark beside the picture; or None.

    Raises:
        OSError: If the file cannot be written.
    """
    maps = [] if candidate_maps is None else list(zip(*candidate_maps, strict=True))
    height, width = image.pixels.shape
    points = np.array([(landmark.x, landmark.y) for landmark in prediction.landmarks])
    window = close_up(points, prediction.pixel_spacing, (height, width))
    whole = (-0.5, -0.5, width - 0.5, height - 0.5)
    windows = [*([] if window == whole else [whole]), *[window] * (1 + len(maps))]
    figure, axes = _panels(windows, prediction.pixel_spacing)
    for axis, shown in zip(axes, windows, strict=True):
        _show(axis, image.pixels, prediction.pixel_spacing, shown)
    if window != whole:
        _draw_frame(axes[0], window)
        _draw_small_points(axes[0], prediction)
        _title(axes[0], "whole image, with the frame of the close-up")
    for axis, landmark, (votes, corners) in zip(
        axes[len(windows) - len(maps) - 1 : -1],
        prediction.landmarks,
        maps,
        strict=False,
    ):
        _draw_votes(axis, votes, corners)
        _title(axis, f"votes: {_words(landmark.name)}")
    # The labels stand right of the last panel, so its picture is the one with points.
    _draw_points(axes[-1], prediction)
    _draw_scale(axes[-1], window, prediction.pixel_spacing)
    for axis in {axes[0], axes[-1]}:
        _draw_sides(axis, side_letters(image.orientation))
    frame = prediction.origin.get("frame")
    number = "" if frame is None else f" frame {frame}"
    title = f"{Path(prediction.image).name}{number}   {prediction.model}"
    if not prediction.recognised:
        title += f"\nNOT RECOGNISED as {prediction.view}"
    _title(axes[-1], title)
    figure.legend(
        handles=[
            _marker(True, "high confidence"),
            _marker(False, "low confidence: check by hand"),
            Line2D(
                *([], []),
                linestyle="none",
                marker="o",
                markersize=13,
                markerfacecolor="none",
                markeredgecolor="white",
                markeredgewidth=0.8,
                label="90 % error radius",
            ),
        ],
        loc="lower center",
        ncols=3,
        frameon=False,
        labelcolor="white",
        fontsize=9,
    )
    figure.savefig(path, dpi=120)
    # A figure is full of reference cycles, and 12 MB of pixels hang on them. They have
    # outlived the collections of younger objects while it was made and drawn.
    del figure, axes, axis
    gc.collect()


Window = tuple[float, float, float, float]
"""Left, top, right and bottom edge, in pixels of the image."""


def _panels(
    windows: list[Window], pixel_spacing: tuple[float, float]
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel of equal height for each window, and room for labels."""
    spacing_y, spacing_x = pixel_spacing
    shapes = [
        ((right - left) * spacing_x) / ((bottom - top) * spacing_y)
        for left, top, right, bottom in windows
    ]
    high = 6.0 / max(1.0, *shapes)
    figure = Figure((high * sum(shapes) + 2.6, high + 1.1), facecolor=BACKGROUND)
    # Without pyplot nothing keeps the figure alive, so that memory stays flat.
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        1,
        len(windows),
        squeeze=False,
        gridspec_kw={
            "width_ratios": shapes,
            "left": 0.01,
            "right": 1 - 2.5 / figure.get_figwidth(),
            "bottom": 0.5 / figure.get_figheight(),
            "top": 1 - 0.55 / figure.get_figheight(),
            "wspace": 0.02,
        },
    )[0]
    return figure, list(axes)


def _title(axis: Axes, text: str) -> None:
    # A name with two dollar signs is no formula.
    axis.set_title(text, color="white", fontsize=9, parse_math=False)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _marker(high_confidence: bool, label: str) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        label=label,
        marker="o",
        markersize=7 if high_confidence else 11,
        markerfacecolor=TRUSTED if high_confidence else "none",
        markeredgecolor="black" if high_confidence else DOUBTED,
    )


def _show(
    axis: Axes, pixels: np.ndarray, pixel_spacing: tuple[float, float], window: Window
) -> None:
    left, top, right, bottom = window
    height, width = pixels.shape
    rows = slice(max(0, math.floor(top + 0.5)), math.ceil(bottom + 0.5))
    columns = slice(max(0, math.floor(left + 0.5)), math.ceil(right + 0.5))
    shown = pixels[rows, columns]
    # The panel has 720 pixels; matplotlib takes 45 bytes for each that it is given.
    step = max(1, max(shown.shape) // 720)
    axis.imshow(
        shown[::step, ::step],
        cmap="gray",
        vmin=pixels.min(),
        vmax=np.percentile(pixels, 99.5),
        aspect=pixel_spacing[0] / pixel_spacing[1],
        extent=(
            columns.start - 0.5,
            columns.start + shown.shape[1] - 0.5,
            rows.start + shown.shape[0] - 0.5,
            rows.start - 0.5,
        ),
    )
    axis.set(xlim=(left, right), ylim=(bottom, top))
    axis.set_axis_off()


def _draw_frame(axis: Axes, window: Window) -> None:
    left, top, right, bottom = window
    axis.plot(
        [left, right, right, left, left],
        [top, top, bottom, bottom, top],
        color="white",
        linewidth=0.8,
    )


def _draw_small_points(axis: Axes, prediction: Prediction) -> None:
    for landmark in prediction.landmarks:
        axis.plot(
            landmark.x,
            landmark.y,
            marker="o",
            markersize=3,
            color=TRUSTED if landmark.high_confidence else DOUBTED,
        )


def _draw_scale(axis: Axes, window: Window, pixel_spacing: tuple[float, float]) -> None:
    left, top, right, bottom = window
    length = SCALE_MM / pixel_spacing[1]
    x = left + 0.04 * (right - left)
    y = bottom - 0.05 * (bottom - top)
    axis.plot([x, x + length], [y, y], color="white", linewidth=2, path_effects=OUTLINE)
    axis.text(
        x + length / 2,
        y - 0.012 * (bottom - top),
        f"{SCALE_MM} mm",
        color="white",
        fontsize=8,
        horizontalalignment="center",
        verticalalignment="bottom",
        path_effects=OUTLINE,
    )


def _draw_sides(axis: Axes, letters: tuple[str, str, str, str] | None) -> None:
    places = ((0.015, 0.5), (0.5, 0.985), (0.985, 0.5), (0.5, 0.015))
    alignments = (
        *(("left", "center"), ("center", "top")),
        *(("right", "center"), ("center", "bottom")),
    )
    for letter, place, (along, across) in zip(
        letters or (), places, alignments, strict=False
    ):
        axis.text(
            *place,
            letter,
            transform=axis.transAxes,
            color="white",
            fontsize=9,
            horizontalalignment=along,
            verticalalignment=across,
            path_effects=OUTLINE,
        )


def _draw_votes(axis: Axes, votes: np.ndarray, corners: np.ndarray) -> None:
    first, last = corners
    votes = np.maximum(votes, 0)
    half = (last - first) / (np.array(votes.shape[::-1]) - 1) / 2
    left, top = first - half
    right, bottom = last + half
    limits, aspect = (axis.get_xlim(), axis.get_ylim()), axis.get_aspect()
    axis.imshow(
        votes,
        cmap="inferno",
        # The root shows the weak votes too; nothing at all stays transparent.
        alpha=np.clip(np.sqrt(votes / max(votes.max(), 1e-9)), 0, 1),
        extent=(left, right, bottom, top),
        aspect="auto",
    )
    axis.plot(
        [left, right, right, left, left],
        [top, top, bottom, bottom, top],
        color="white",
        linewidth=0.6,
        linestyle=":",
    )
    axis.set(xlim=limits[0], ylim=limits[1], aspect=aspect)


def _draw_points(axis: Axes, prediction: Prediction) -> None:
    by_height = sorted(prediction.landmarks, key=lambda landmark: landmark.y)
    spacing_y, spacing_x = prediction.pixel_spacing
    limits = axis.get_xlim(), axis.get_ylim()
    for number, landmark in enumerate(by_height):
        high = landmark.high_confidence
        colour = TRUSTED if high else DOUBTED
        axis.plot(
            landmark.x,
            landmark.y,
            marker="o",
            markersize=6 if high else 14,
            markerfacecolor=colour if high else "none",
            markeredgecolor="black" if high else colour,
            markeredgewidth=0.8 if high else 1.8,
            path_effects=OUTLINE,
        )
        radius = landmark.error_radius_mm["90"]
        axis.add_patch(
            Ellipse(
                (landmark.x, landmark.y),
                2 * radius / spacing_x,
                2 * radius / spacing_y,
                fill=False,
                edgecolor=colour,
                linewidth=0.8,
                linestyle="-" if high else "--",
                path_effects=OUTLINE,
            )
        )
        text = f"{_words(landmark.name)}\n"
        text += f"confidence {landmark.confidence:.2f}\n90 % within {radius:.1f} mm"
        if not high:
            text += "\nLOW: check by hand"
        axis.annotate(
            text,
            (landmark.x, landmark.y),
            xytext=(1.02, 1 - (number + 0.5) / len(by_height)),
            textcoords="axes fraction",
            color=colour,
            fontsize=9,
            verticalalignment="center",
            annotation_clip=False,
            parse_math=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.8,
                "linestyle": "-" if high else "--",
                "shrinkB": 4 if high else 8,
            },
        )
    # A radius may be longer than the image is wide.
    axis.set(xlim=limits[0], ylim=limits[1])
