import numpy as np
from support.drawn import examples
from support.perfect import SHIFTS, perfect_but_for

from phdnet_tf.evaluation.predictions import predict_examples
from phdnet_tf.training.publish import learn_thresholds


def test_thresholds_are_learnt_for_each_landmark():
    predictions = predict_examples(perfect_but_for(SHIFTS), examples(), ())
    errors = np.zeros((8, 2))
    errors[2, 0] = errors[5, 1] = 30
    changed = predictions.__class__(**{**vars(predictions), "errors": errors})

    thresholds = learn_thresholds(changed)

    np.testing.assert_allclose(
        thresholds, [predictions.confidence[2, 0], predictions.confidence[5, 1]]
    )
