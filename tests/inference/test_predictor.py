import dataclasses

import numpy as np
import pytest
from support.drawn import LANDMARKS, exported

from phdnet_tf.dicom.read import read_image
from phdnet_tf.dicom.write import write_image
from phdnet_tf.inference.predictor import Predictor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(exported(tmp_path_factory.mktemp("models")).parent)


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 900, (80, 100)).astype("uint16")
    path = tmp_path / "image.dcm"
    write_image(
        path,
        pixels,
        (1.5, 1.25),
        uid_seed="t",
        series_description="drawn",
        patient_id="drawn",
    )
    return path


def test_a_prediction_says_where_and_how_sure(predictor, image):
    prediction = predictor.predict(read_image(image), str(image))

    assert prediction.to_dict() == {
        "image": str(image),
        "view": "sa",
        "model": "phdnet_sa/1",
        "pixel_spacing_mm": [1.5, 1.25],
        "recognised": True,
        "landmarks": [landmark.to_dict() for landmark in prediction.landmarks],
    }
    assert [landmark.name for landmark in prediction.landmarks] == list(LANDMARKS)
    assert [landmark.high_confidence for landmark in prediction.landmarks] == [
        True,
        False,
    ]
    assert set(prediction.landmarks[0].to_dict()) == {
        "name",
        "x",
        "y",
        "confidence",
        "high_confidence",
        "error_radius_mm",
        "position_lps",
    }
    # Of a model that learnt none they are the canvas's diagonal.
    diagonal = pytest.approx(480 * 2**0.5)
    expected = dict.fromkeys(("50", "90", "95"), diagonal)
    assert prediction.landmarks[0].error_radius_mm == expected


def test_a_position_in_the_patient_is_told_where_the_file_tells_its_place(
    predictor, image
):
    read = read_image(image)

    for landmark in predictor.predict(read).landmarks:
        # The file is axial, its first pixel at the origin, (y, x) = (1.5, 1.25) mm.
        expected = (landmark.x * 1.25, landmark.y * 1.5, 0)
        assert landmark.position_lps == pytest.approx(expected)
    nowhere = dataclasses.replace(read, position=None)
    assert predictor.predict(nowhere).landmarks[0].position_lps is None


def test_the_candidate_map_peaks_at_the_prediction_by_smoothing(predictor, image):
    read = read_image(image)

    votes, corners = predictor.candidate_maps(read)

    for landmark, vote, ((left, top), (right, bottom)) in zip(
        predictor.predict(read).landmarks, votes, corners, strict=True
    ):
        y, x = np.unravel_index(vote.argmax(), vote.shape)
        assert landmark.x == pytest.approx(left + x * 0.9375 / 1.25, abs=1e-3)
        assert landmark.y == pytest.approx(top + y * 0.9375 / 1.5, abs=1e-3)
        assert right == pytest.approx(left + 127 * 0.9375 / 1.25, abs=1e-3)
        assert bottom == pytest.approx(top + 127 * 0.9375 / 1.5, abs=1e-3)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="phdnet-tf train"):
        Predictor(tmp_path)
