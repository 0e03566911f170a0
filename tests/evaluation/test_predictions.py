import numpy as np
import pytest
import tensorflow as tf
from support.drawn import examples
from support.perfect import SHIFTS, perfect_but_for

from phdnet_tf.evaluation.predictions import predict_examples


def test_errors_are_those_of_each_strategy_in_mm():
    predictions = predict_examples(
        perfect_but_for({"landmarks": 2.0, "smoothing": 2.0, "simple": 4.0}),
        examples(),
        (),
    )

    spacing = np.array([float(e["pixel_spacing"][1]) for e in examples()])
    np.testing.assert_allclose(
        predictions.errors, np.tile(2 * spacing[:, None], (1, 2)), rtol=1e-5
    )
    np.testing.assert_allclose(
        predictions.errors_by["simple"], 2 * predictions.errors, rtol=1e-5
    )
    assert predictions.images[3] == "DICOM/s3.dcm" and predictions.subjects[3] == "s3"


def test_points_of_a_turned_image_come_back_in_its_own_pixels():
    seen = []

    def explain(image, pixel_spacing):
        seen.append((image.numpy(), pixel_spacing.numpy()))
        found = perfect_but_for({})(None, tf.constant([[spacing[0], 0]]))
        # Where 4 columns and 2 rows of the turned picture are.
        return found | {"landmarks": tf.constant([[[4.0, 2.0], [4.0, 2.0]]])}

    [example] = examples(1).as_numpy_iterator()
    spacing = example["pixel_spacing"]
    height, width = example["image"].shape
    # x goes to the back, y to the right: rows become columns from the last on.
    example |= {"orientation": np.array([0, 1, 0, -1, 0, 0], "f4")}

    found = predict_examples(explain, [example], [(1, 0, 0, 0, 1, 0)])

    np.testing.assert_array_equal(found.points[0, 0], [2, height - 1 - 4])
    turned, turned_spacing = seen[0]
    np.testing.assert_array_equal(turned[0], example["image"].T[:, ::-1])
    np.testing.assert_array_equal(turned_spacing[0], spacing[::-1])
    apart = (example["landmarks"][0] - [2, height - 5]) * spacing[::-1]
    assert found.errors[0, 0] == pytest.approx(np.hypot(*apart), rel=1e-5)


def test_no_images_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match="Choose another fold"):
        predict_examples(perfect_but_for(SHIFTS), [], ())
