"""Plots of error curves, risk-coverage and the reliability of error radii."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phdnet_tf.evaluation.metrics import cumulative_errors, risk_coverage


def save_error_curves(path: Path, panels: dict[str, dict[str, np.ndarray]]) -> None:
    """Draws cumulative error curves, as in the paper's figure 2, as a PNG.

    Args:
        path: File to write.
        panels: The curves of each panel, by its title. Each curve has its name in the
            legend and point errors in mm, float[...], of which NaN is left out.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure((6.4 * len(panels), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        for label, errors in curves.items():
            distances, share = cumulative_errors(errors)
            axis.step(
                np.concatenate([[0], distances]),
                np.concatenate([[0], share * 100]),
                where="post",
                label=f"{label} (n = {distances.size})",
            )
        axis.set(
            xlim=(0, 30),
            ylim=(0, 101),
            xlabel="point error (mm)",
            ylabel="points with at most this error (%)",
        )
        # The name of a folder may have dollar signs, which would begin a formula.
        axis.set_title(title, parse_math=False)
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def save_confidence(
    path: Path,
    errors: np.ndarray,
    rankings: dict[str, np.ndarray],
    radii: dict[str, list[dict[str, Any]]],
) -> None:
    """Draws risk-coverage curves and the reliability of error radii, as a PNG.

    Args:
        path: File to write.
        errors: float[N, L], mm; NaN left out.
        rankings: Values that rank the points, higher if more reliable, float[N, L], by
            name.
        radii: "radii" of `summary.confidence_figures`.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure((12.8, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    known = np.isfinite(errors)
    for name, values in rankings.items():
        coverage, risk = risk_coverage(errors[known], values[known])
        left.plot(coverage * 100, risk, label=f"by {name.replace('_', ' ')}")
    _, ideal = risk_coverage(errors[known], -errors[known])
    left.plot(coverage * 100, ideal, "k:", label="by the error itself")
    left.set(
        xlim=(0, 100),
        ylim=(0, None),
        xlabel="coverage: points kept, most reliable first (%)",
        ylabel="their mean point error (mm)",
        title="Risk and coverage",
    )
    right.plot([0, 100], [0, 100], "k:", label="as promised")
    for name, levels in radii.items():
        levels = [each for each in levels if each["coverage"] is not None]
        if not levels:
            continue
        promised = [each["level"] * 100 for each in levels]
        held = np.array([each["coverage"] * 100 for each in levels])
        intervals = [each["interval"] or (each["coverage"],) * 2 for each in levels]
        reach = np.abs(np.array(intervals).T * 100 - held)
        right.errorbar(
            promised, held, reach, marker="o", capsize=3, label=name.replace("_", " ")
        )
    right.set(
        xlim=(40, 100),
        ylim=(0, 102),
        xlabel="probability of the error radius (%)",
        ylabel="true landmarks within it (%)",
        title="Reliability of the error radii",
    )
    for axis in (left, right):
        axis.grid(alpha=0.3)
        for text in axis.legend().get_texts():
            text.set_parse_math(False)  # of landmarks, whatever their names
    figure.savefig(path, dpi=120)
