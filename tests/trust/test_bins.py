import json

import numpy as np

from phdnet_tf.trust.bins import learn_bins


def test_bins_hold_equal_numbers_and_their_bounds_fall():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 500)
    errors = 10 * (1 - confidence) * rng.uniform(0.5, 1.5, 500)

    bins = learn_bins(errors, confidence)

    np.testing.assert_array_equal(np.bincount(bins.of(confidence)), [100] * 5)
    assert bins.bounds_mm[0] is None
    # The error that is expected at 0.2, 0.4, 0.6 and 0.8.
    np.testing.assert_allclose(bins.bounds_mm[1:], [8, 6, 4, 2], rtol=0.2)
    assert list(bins.bounds_mm[1:]) == sorted(bins.bounds_mm[1:], reverse=True)


def test_bins_survive_json():
    bins = learn_bins(np.array([3.0, 1.0]), np.array([0.2, 0.8]))

    assert bins.from_dict(json.loads(json.dumps(bins.to_dict()))) == bins
