"""A model that finds what was drawn, and says so."""

import tensorflow as tf

from support.drawn import examples

SHIFTS = {"landmarks": 0.0, "smoothing": 0.0, "simple": 4.0}


def perfect_but_for(shift_of):
    """A signature that answers with the drawn discs' true places, shifted in x."""
    truth = {
        float(e["pixel_spacing"][0]): e["landmarks"]
        for e in examples().as_numpy_iterator()
    }

    def explain(image, pixel_spacing):
        points = tf.constant(truth[float(pixel_spacing[0, 0])])[None]
        return {
            **{name: points + [shift, 0.0] for name, shift in shift_of.items()},
            "confidence": points[..., 0] / 100,
            "high_confidence": points[..., 0] > 50,
            "recognised": points[:, 0, 0] > 0,
            "error_radius_mm": points[..., :1] / 10 * [1.0, 2.0, 3.0],
            "evidence": points,
            "member_spread_mm": 0 * points[..., 0],
        }

    return explain
