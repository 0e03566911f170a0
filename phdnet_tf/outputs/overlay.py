"""A picture of the predictions on their image."""

import gc
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from phdnet_tf.inference.results import Prediction

TRUSTED = "#35e0c8"
DOUBTED = "#ff9f1c"
BACKGROUND = "#111417"


def save_overlay(
    path: Path,
    pixels: np.ndarray,
    prediction: Prediction,
    candidate_maps: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Draws the predicted landmarks on their image, as a PNG.

    A high-confidence point is a filled dot; a low-confidence one is an open, dashed
    ring in another colour, and its label asks for a look. A thin circle holds the true
    landmark with 90 % probability.

    Args:
        path: File to write.
        pixels: float32[H, W], the image.
        prediction: Its landmarks.
        candidate_maps: What `Predictor.candidate_maps` returns, to show beside the
            picture where the patches' votes lie for each landmark at the first look.

    Raises:
        OSError: If the file cannot be written.
    """
    maps = [] if candidate_maps is None else list(zip(*candidate_maps, strict=True))
    spacing_y, spacing_x = prediction.pixel_spacing
    height, width = pixels.shape[0] * spacing_y, pixels.shape[1] * spacing_x
    panel = 6.0 * width / max(width, height)
    figure = Figure(
        (panel * (1 + len(maps)) + 2.6, 6.0 * height / max(width, height) + 0.9),
        facecolor=BACKGROUND,
    )
    # Without pyplot nothing keeps the figure alive, so that memory stays flat.
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        1,
        1 + len(maps),
        squeeze=False,
        gridspec_kw={
            "left": 0.01,
            "right": 1 - 2.5 / figure.get_figwidth(),
            "bottom": 0.5 / figure.get_figheight(),
            "top": 1 - 0.4 / figure.get_figheight(),
            "wspace": 0.02,
        },
    )[0]
    for axis in axes:
        _show(axis, pixels, spacing_y / spacing_x)
    # The labels stand right of the last panel, so its picture is the one with points.
    _draw_points(axes[-1], prediction)
    for axis, landmark, (votes, corners) in zip(
        axes[:-1], prediction.landmarks, maps, strict=False
    ):
        _draw_votes(axis, votes, corners)
        _title(axis, f"votes: {_words(landmark.name)}")
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
            Line2D([], [], color="white", linewidth=0.8, label="90 % lie within"),
        ],
        loc="lower center",
        ncols=3,
        frameon=False,
        labelcolor="white",
        fontsize=9,
    )
    figure.savefig(path, dpi=120)
    # A figure is full of reference cycles; hundreds pile up before Python looks.
    del figure, axes, axis
    gc.collect(1)


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


def _show(axis: Axes, pixels: np.ndarray, aspect: float) -> None:
    height, width = pixels.shape
    # The panel has 720 pixels; matplotlib takes 45 bytes for each that it is given.
    step = max(1, max(height, width) // 720)
    axis.imshow(
        pixels[::step, ::step],
        cmap="gray",
        vmin=pixels.min(),
        vmax=np.percentile(pixels, 99.5),
        aspect=aspect,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )
    axis.set_axis_off()


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
