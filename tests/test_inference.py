import numpy as np
import pytest
from drawn import LANDMARKS, exported

from phdnet_tf.dicom import DicomError, read_image, write_image
from phdnet_tf.inference import Predictor, find_images, predict_files


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
    [(prediction, read)] = predict_files(predictor, [image])

    assert prediction.to_dict() == {
        "image": str(image),
        "view": "sa",
        "model": "phdnet_sa/1",
        "pixel_spacing_mm": [1.5, 1.25],
        "landmarks": [vars(landmark) for landmark in prediction.landmarks],
    }
    assert [landmark.name for landmark in prediction.landmarks] == list(LANDMARKS)
    assert [landmark.high_confidence for landmark in prediction.landmarks] == [
        True,
        False,
    ]
    assert set(vars(prediction.landmarks[0])) == {
        "name",
        "x",
        "y",
        "confidence",
        "high_confidence",
    }
    np.testing.assert_array_equal(read.pixels, read_image(image).pixels)


def test_the_candidate_map_peaks_at_the_prediction(predictor, image):
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


def test_a_file_that_cannot_be_read_is_an_answer_not_an_exception(predictor, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")

    [error] = predict_files(predictor, [path])

    assert isinstance(error, DicomError) and "notes.txt" in str(error)


def test_folders_are_searched_for_dicom_and_files_are_taken_as_they_are(
    image, tmp_path
):
    series = tmp_path / "study" / "series"
    series.mkdir(parents=True)
    for name in ("b", "a.dcm"):
        (series / name).write_bytes(image.read_bytes())
    (series / "report.txt").write_text("not an image")
    other = tmp_path / "study" / "report.txt"
    other.write_text("named by the user, so it is tried")

    found = [(p.name, str(n)) for p, n in find_images([tmp_path / "study", other])]

    assert found == [
        ("a.dcm", "study/series/a.dcm"),
        ("b", "study/series/b"),
        ("report.txt", "report.txt"),
    ]


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="phdnet-tf train"):
        Predictor(tmp_path)
