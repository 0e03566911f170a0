"""Draws docs/phantom_sheet.png: phantoms of both views, half of them with landmarks."""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from phdnet_tf.phantom.draw import draw
from phdnet_tf.presets import VIEWS

COLUMNS = 6
SEED = 2021
# The colours of the paper's figure 1: magenta, yellow, red.
COLOURS = ("magenta", "yellow", "red")


def main() -> None:
    """Draws two rows of each view."""
    figure, axes = plt.subplots(
        4, COLUMNS, figsize=(2 * COLUMNS, 8), facecolor="black", layout="constrained"
    )
    for row, view in enumerate(view for view in VIEWS for _ in range(2)):
        for column in range(COLUMNS):
            phantom = draw(view, np.random.default_rng([SEED, row, column]))
            panel = axes[row, column]
            brightest = np.percentile(phantom.pixels, 99.3)
            panel.imshow(phantom.pixels, cmap="gray", vmin=0, vmax=brightest)
            if column % 2:
                panel.scatter(*phantom.landmarks.T, c=COLOURS, s=9)
            panel.axis("off")
    figure.savefig(Path(__file__).with_name("phantom_sheet.png"), dpi=100)


if __name__ == "__main__":
    main()
