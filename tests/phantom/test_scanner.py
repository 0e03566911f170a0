from dataclasses import replace

import numpy as np
import pytest
from support.phantoms import quiet, rng

from phdnet_tf.phantom import short_axis
from phdnet_tf.phantom.scanner import acquire, draw_scan


@pytest.mark.parametrize(
    "trouble",
    [{"noise": 0.15}, {"ghost": 0.12}, {"motion": 4.0}],
    ids=lambda t: [*t][0],
)
def test_what_goes_wrong_in_a_scan_hides_what_was_painted(trouble):
    canvas, heart = quiet("sa", 1)
    middle = complex(heart.landmarks.mean())
    usual = replace(draw_scan(rng(2), canvas.image.shape), banding=0.0, trimmed=False)

    def likeness(scan):
        image = acquire(canvas, scan, short_axis.COILS, middle, rng(3))
        return np.corrcoef(np.abs(canvas.image).ravel(), image.ravel())[0, 1]

    assert likeness(replace(usual, **trouble)) < likeness(usual) - 0.01
