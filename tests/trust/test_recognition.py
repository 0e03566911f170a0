import numpy as np
import pytest

from phdnet_tf.trust.recognition import image_confidence, recognition_threshold


def test_the_confidence_of_an_image_is_the_geometric_mean():
    found = image_confidence(np.array([[2.0, 4.0, 1.0], [5.0, 0.0, 5.0], [-1.0, 2, 2]]))

    np.testing.assert_allclose(found, [2, 0, 0])


def test_the_threshold_is_a_fifth_of_what_is_usual():
    # Geometric means of 2, 4 and 8; one odd image moves the threshold to a neighbour.
    confidence = np.array([[1.0, 4.0], [4.0, 4.0], [2.0, 32.0]])
    odd = np.concatenate([confidence, [[1e-6, 1e-6]]])

    assert recognition_threshold(confidence) == pytest.approx(4 / 5)
    assert recognition_threshold(odd) == pytest.approx(3 / 5)
