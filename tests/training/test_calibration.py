from dataclasses import replace

import numpy as np
from support.drawn import examples
from support.perfect import SHIFTS, perfect_but_for

from phdnet_tf.evaluation.predictions import join, predict_examples
from phdnet_tf.training.calibration import (
    calibrate,
    calibrated,
    calibrated_by_the_others,
)
from phdnet_tf.trust.radii import Radii


def drawn_predictions(**changes):
    return replace(predict_examples(perfect_but_for(SHIFTS), examples(), ()), **changes)


def test_thresholds_are_learnt_for_each_landmark():
    errors = np.zeros((8, 2))
    errors[2, 0] = errors[5, 1] = 30
    predictions = drawn_predictions(errors=errors)

    thresholds = calibrate(predictions).thresholds

    np.testing.assert_allclose(
        thresholds, [predictions.confidence[2, 0], predictions.confidence[5, 1]]
    )


def test_predictions_get_the_flags_and_radii_of_a_calibration():
    confidence = np.array([[4, 1], [2, 8], [0.1, 0.1]], np.float32)
    some = drawn_predictions(
        confidence=confidence, evidence=np.zeros((3, 2, 1), np.float32)
    )
    # A radius that no evidence changes: e^offset times the quantiles.
    radii = Radii(float(np.log(2)), ((0.0,), (0.0,)), ((1, 2, 3), (1, 2, 4)))
    calibration = replace(
        calibrate(drawn_predictions()),
        thresholds=[3, 2],
        recognition=1.0,
        radii=radii,
    )

    found = calibrated(some, calibration)

    # The geometric means are 2, 4 and 0.1.
    assert found.recognised.tolist() == [True, True, False]
    assert found.high_confidence.tolist() == [
        [True, False],
        [False, True],
        [False, False],
    ]
    np.testing.assert_allclose(found.radii[0], [[2, 4, 6], [2, 4, 8]], rtol=1e-5)


def test_no_fold_is_judged_by_what_it_taught():
    confidence = drawn_predictions().confidence
    one = drawn_predictions(confidence=confidence, errors=np.full((8, 2), 1.0))
    two = drawn_predictions(confidence=confidence * 100, errors=np.full((8, 2), 1.0))

    first, second = np.split(calibrated_by_the_others([one, two]).recognised, 2)

    # By its own median every image of each would be recognised. By the other's, a
    # fifth of which is twenty times what the first has, none of the first is.
    assert not first.any() and second.all()


def test_joined_predictions_keep_every_row():
    one, two = drawn_predictions(), drawn_predictions(images=list("abcdefgh"))

    both = join([one, two])

    assert both.images == [*one.images, *"abcdefgh"]
    assert both.errors.shape == (16, 2)
    assert both.errors_by["simple"].shape == (16, 2)
