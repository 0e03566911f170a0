import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from support.drawn import LANDMARKS, exported

from phdnet_tf.dicom.read import read_image
from phdnet_tf.dicom.turning import TURNS
from phdnet_tf.dicom.write import write_image
from phdnet_tf.inference.errors import RefusedImageError
from phdnet_tf.inference.predictor import Predictor
from phdnet_tf.inference.results import USED
from phdnet_tf.presets import USUAL_ORIENTATIONS

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


def placed(path):
    """The image as a short axis somewhere in a patient, as scanners show it."""
    orientation = USUAL_ORIENTATIONS["sa"][1]
    x, y = np.reshape(orientation, (2, 3))
    x = x / np.linalg.norm(x)
    y = y - (x @ y) * x
    orientation = (*x, *(y / np.linalg.norm(y)))
    return dataclasses.replace(
        read_image(path), position=(-90.0, 30.0, 120.0), orientation=orientation
    )


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_however_an_image_lies_its_points_are_at_the_same_places(
    predictor, image, turn
):
    usual = placed(image)
    lying = turn.image(usual)

    expected, found = predictor.predict(usual), predictor.predict(lying)

    for one, other in zip(expected.landmarks, found.landmarks, strict=True):
        # Of 1.25 to 1.5 mm a pixel; half of one is asked for.
        np.testing.assert_allclose(other.position_lps, one.position_lps, atol=1e-3)
        assert other.confidence == one.confidence
        in_lying = turn.points(np.array([one.x, one.y]), usual.pixels.shape)
        np.testing.assert_allclose([other.x, other.y], in_lying, atol=1e-3)
    assert found.pixel_spacing == lying.pixel_spacing


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_votes_lie_where_the_image_lies(predictor, image, turn):
    usual = placed(image)
    lying = turn.image(usual)

    votes, corners = predictor.candidate_maps(lying)

    for landmark, vote, (first, last) in zip(
        predictor.predict(lying).landmarks, votes, corners, strict=True
    ):
        row, column = np.unravel_index(vote.argmax(), vote.shape)
        share = np.array([column, row]) / 127
        place = first + share * (last - first)
        np.testing.assert_allclose(place, [landmark.x, landmark.y], atol=1e-3)


def test_without_a_header_nothing_is_turned(predictor, image):
    read = read_image(image)
    without = dataclasses.replace(read, position=None, orientation=None)
    mirrored = dataclasses.replace(without, pixels=without.pixels[:, ::-1].copy())

    one, other = predictor.predict(without), predictor.predict(mirrored)

    assert [mark.x for mark in predictor.predict(read).landmarks] == [
        mark.x for mark in one.landmarks
    ]
    # 99 - x would be the same place; the network has not seen it so.
    assert other.landmarks[0].x != pytest.approx(99 - one.landmarks[0].x, abs=1)


def test_images_of_a_size_share_calls_and_a_refused_one_spoils_no_other(
    predictor, image, monkeypatch
):
    drawn = read_image(image)
    images = [dataclasses.replace(drawn, pixels=drawn.pixels + n) for n in range(11)]
    # Of another size as it lies, but not once it is turned.
    images[1] = TURNS[-1].image(placed(image))
    images[4] = dataclasses.replace(drawn, pixels=drawn.pixels[:60])
    images[6] = dataclasses.replace(drawn, pixel_spacing=(0.0, 1.0))
    names = [f"image {number}" for number in range(11)]
    graph = predictor.signatures["serving_default"]
    calls = []

    def count(**inputs):
        calls.append(len(inputs["image"]))
        return graph(**inputs)

    monkeypatch.setattr(predictor, "signatures", {"serving_default": count})
    found = predictor.predict_many(images, names)

    # One of another size, eight with the refused one, these again singly, and two.
    assert calls == [1, 8, *[1] * 8, 2]
    assert isinstance(found.pop(6), RefusedImageError)
    del images[6], names[6]
    for one, own, name in zip(found, images, names, strict=True):
        alone = predictor.predict(own, name)
        assert one.image == name
        np.testing.assert_allclose(
            [(point.x, point.y, point.confidence) for point in one.landmarks],
            [(point.x, point.y, point.confidence) for point in alone.landmarks],
            rtol=1e-4,
        )


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="phdnet-tf train"):
        Predictor(tmp_path)


@pytest.mark.parametrize(
    ("lacking", "missing"),
    [
        ({"serving_default": USED["serving_default"][:-1]}, "recognised"),
        ({"explain": None}, "candidate_map"),
    ],
    ids=["output", "signature"],
)
def test_a_model_of_another_version_is_refused_when_it_is_loaded(
    tmp_path, monkeypatch, lacking, missing
):
    version = tmp_path / "phdnet_sa" / "3"
    version.mkdir(parents=True)
    (version / "phdnet.json").write_text('{"view": "sa", "landmarks": ["apex"]}')
    signatures = {
        name: SimpleNamespace(structured_outputs=dict.fromkeys(outputs))
        for name, outputs in (USED | lacking).items()
        if outputs
    }
    monkeypatch.setattr(
        "phdnet_tf.inference.predictor.load_signatures", lambda version: signatures
    )

    with pytest.raises(ValueError, match=rf"sa/3 to answer as .* no '{missing}'\. Use"):
        Predictor(version.parent)
