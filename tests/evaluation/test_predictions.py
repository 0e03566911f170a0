import numpy as np
import pytest
from support.drawn import examples
from support.perfect import SHIFTS, perfect_but_for

from phdnet_tf.evaluation.predictions import predict_examples


def test_errors_are_those_of_each_strategy_in_mm():
    predictions = predict_examples(
        perfect_but_for({"landmarks": 2.0, "smoothing": 2.0, "simple": 4.0}),
        examples(),
    )

    spacing = np.array([float(e["pixel_spacing"][1]) for e in examples()])
    np.testing.assert_allclose(
        predictions.errors, np.tile(2 * spacing[:, None], (1, 2)), rtol=1e-5
    )
    np.testing.assert_allclose(
        predictions.errors_by["simple"], 2 * predictions.errors, rtol=1e-5
    )
    assert predictions.images[3] == "DICOM/s3.dcm" and predictions.subjects[3] == "s3"


def test_no_images_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match="choose another fold"):
        predict_examples(perfect_but_for(SHIFTS), [])
