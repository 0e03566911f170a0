"""Subjects of the phantom: their streams, and their signal before it is scanned."""

import numpy as np
import pytest

from phdnet_tf.phantom import draw as draw_module
from phdnet_tf.phantom import four_chamber, short_axis
from phdnet_tf.phantom.drawing import Canvas
from phdnet_tf.presets import VIEWS

both_views = pytest.mark.parametrize("view", VIEWS)


def rng(*seed):
    return np.random.default_rng([*seed])


def quiet(view, seed, *, paint_only=True):
    """The painted signal of a subject before it is scanned, and the heart in it."""
    anatomy = short_axis if view == "sa" else four_chamber
    stream = rng(21, seed)
    heart = anatomy.draw_heart(stream)
    canvas = Canvas((256, 256), 1.2, complex(heart.landmarks.mean()))
    anatomy.paint(canvas, heart, draw_module.draw_tissue(canvas, stream), stream)
    return canvas, heart


def signal_at(canvas, points):
    x, y = np.round(canvas.to_pixels(np.asarray(points))).astype(int).T
    return canvas.image[y, x]
