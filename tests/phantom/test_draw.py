import numpy as np
import pytest
from support.phantoms import both_views, rng

from phdnet_tf.phantom import draw as draw_module
from phdnet_tf.phantom import four_chamber, short_axis
from phdnet_tf.phantom.draw import HARD_SHARE, draw
from phdnet_tf.presets import VIEWS


@pytest.fixture(scope="module")
def drawn():
    """A few subjects of each view."""
    return {view: [draw(view, rng(5, k)) for k in range(24)] for view in VIEWS}


@both_views
def test_a_phantom_is_an_image_with_its_landmarks_inside(drawn, view):
    for subject in drawn[view]:
        height, width = subject.pixels.shape
        x, y = subject.landmarks.T
        assert subject.pixels.dtype == np.uint16
        assert subject.pixels.max() > 40
        assert subject.landmarks.dtype == np.float64
        assert subject.landmarks.shape == (len(VIEWS[view]), 2)
        assert ((x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)).all()


@both_views
def test_phantoms_differ_in_size_shape_and_spacing(drawn, view):
    sizes = {subject.pixels.shape for subject in drawn[view]}
    spacings = [subject.pixel_spacing for subject in drawn[view]]

    assert len(sizes) > 4
    assert any(height != width for height, width in sizes)
    assert all(0.9 <= y == x <= 1.9 for y, x in spacings)
    assert np.ptp(spacings) > 0.2


@both_views
def test_the_same_stream_draws_the_same_subject(drawn, view):
    again = draw(view, rng(5, 3))

    np.testing.assert_array_equal(again.pixels, drawn[view][3].pixels)
    np.testing.assert_array_equal(again.landmarks, drawn[view][3].landmarks)


def test_the_share_of_hard_images_is_as_declared(monkeypatch):
    # Only who is hard matters here, so nothing is painted.
    for anatomy in (short_axis, four_chamber):
        monkeypatch.setattr(anatomy, "paint", lambda *_: None)
    monkeypatch.setattr(draw_module, "draw_tissue", lambda *_, **__: None)
    monkeypatch.setattr(draw_module, "acquire", lambda canvas, *_: canvas.image)

    hard = [draw("sa", rng(1, k)).hard for k in range(300)]

    # Four standard deviations either way.
    assert np.mean(hard) == pytest.approx(HARD_SHARE, abs=0.09)


def test_the_left_ventricle_is_brighter_halfway_to_its_apex_than_its_wall(drawn):
    """The landmarks that `draw` returns belong to the image that it returns."""
    ratios = []
    for subject in drawn["4ch"]:
        _, mitral, apex = subject.landmarks
        blood, wall = [
            subject.pixels[
                tuple(np.round(mitral + share * (apex - mitral)).astype(int)[::-1])
            ]
            for share in (0.5, 1.0)
        ]
        ratios.append(blood / max(wall, 1))

    assert np.median(ratios) > 1.5


def orientation(landmarks):
    """Positive if tricuspid valve, mitral valve and apex run one way round."""
    (ax, ay), (bx, by), (cx, cy) = landmarks
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)


def test_some_four_chamber_images_are_mirrored_and_most_are_not(drawn):
    usual = [orientation(subject.landmarks) < 0 for subject in drawn["4ch"]]

    assert 0.5 < np.mean(usual) < 0.95


def test_short_axis_images_come_in_two_orientations_and_none_is_mirrored(drawn):
    down = [subject.landmarks[1] - subject.landmarks[0] for subject in drawn["sa"]]
    angles = np.degrees([np.arctan2(y, x) for x, y in down])

    assert (angles < 100).any() and (angles > 110).any()
    assert all(orientation(subject.landmarks) > 0 for subject in drawn["sa"])


def test_some_four_chamber_images_end_close_to_the_heart(drawn):
    sides = [max(s.pixels.shape) * s.pixel_spacing[0] for s in drawn["4ch"]]

    assert min(sides) < 250 and max(sides) > 340
