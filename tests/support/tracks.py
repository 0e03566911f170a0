"""Tracks of a landmark through a cine, drawn."""

import numpy as np

from phdnet_tf.inference.results import Landmark, Prediction
from support.cines import RADII

SPACING = (1.5, 2.0)  # (y, x)


def circle(phases=25, radius=8.0):
    """A smooth track that comes round, in mm."""
    angle = 2 * np.pi * np.arange(phases) / phases
    return np.stack([100 + radius * np.cos(angle), 90 + radius * np.sin(angle)], 1)


def predictions(track, confidence=2.0):
    return [
        Prediction(
            f"{number}",
            "4ch",
            "phdnet_4ch/1",
            SPACING,
            True,
            (
                Landmark(
                    "lv_apex", x / SPACING[1], y / SPACING[0], confidence, True, RADII
                ),
            ),
        )
        for number, (x, y) in enumerate(track)
    ]
