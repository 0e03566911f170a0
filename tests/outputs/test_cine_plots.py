from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
from PIL import Image
from support.cines import RADII
from support.tracks import circle, predictions

from phdnet_tf.inference.results import Landmark, Prediction
from phdnet_tf.inference.tracks import find_tracks, with_jumps
from phdnet_tf.outputs.cine_plots import save_animation, save_tracks
from phdnet_tf.outputs.overlay import DOUBTED, TRUSTED


def test_tracks_are_drawn_with_low_confidence_set_apart(tmp_path):
    track = circle()
    track[7] += [30, 0]
    before = predictions(track)
    tracks = find_tracks(before, range(1, 26), 25)
    path = tmp_path / "tracks.png"

    save_tracks(path, tracks, before, "cine")
    calm = matplotlib.image.imread(path)
    # A file may be called like a formula.
    save_tracks(path, tracks, with_jumps(before, tracks), "$^$")
    jumped = matplotlib.image.imread(path)

    def orange(picture):  # matplotlib's second colour
        wanted = np.array([0xFF, 0x7F, 0x0E]) / 255
        return (np.abs(picture[..., :3] - wanted).max(-1) < 0.1).sum()

    assert orange(calm) == 0 and orange(jumped) > 10


@pytest.mark.parametrize("landmarks", [1, 3])
def test_no_text_of_the_tracks_is_cut_off(tmp_path, landmarks):
    found = [
        replace(each, landmarks=each.landmarks * landmarks, recognised=False)
        for each in predictions(circle())
    ]
    tracks = find_tracks(found, range(1, 26), 25)
    path = tmp_path / "tracks.png"

    save_tracks(path, tracks, found, "cine-1   phdnet_4ch/1 (trained on drawings)")

    picture = matplotlib.image.imread(path)
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 1).all()


def test_a_missing_phase_leaves_a_gap_in_the_tracks(tmp_path):
    """With times, the points on both sides of it are twice as far apart."""
    points = predictions(circle(phases=6))
    found = [
        replace(each, origin={"phase": phase, "time_ms": time})
        for phase, (each, time) in enumerate(
            zip(points, [0, 100, 200, 400, 500, 600], strict=True), 1
        )
    ]
    path = tmp_path / "tracks.png"

    save_tracks(path, find_tracks(found, range(1, 7), None), found, "cine")

    picture = matplotlib.image.imread(path)
    blue = np.abs(picture[..., :3] - np.array([0x1F, 0x77, 0xB4]) / 255).max(-1) < 0.05
    columns = np.flatnonzero(blue.any(axis=0))
    parts = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    steps = np.diff([part.mean() for part in parts])
    np.testing.assert_allclose(steps / steps[0], [1, 1, 2, 1, 1], atol=0.05)


def frame(number, high):
    landmark = Landmark("lv_apex", 30.0, 20.0, 1.0, high, RADII)
    origin = {"phase": number, "time_ms": 160.0 * (number - 1)}
    found = Prediction("a", "4ch", "m", (1.0, 2.0), True, (landmark,), origin)
    pixels = np.zeros((60, 60), "f4")
    pixels[number : number + 5] = 100
    return pixels, found


def near(picture, colour):
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.abs(picture.astype(int) - wanted).max(-1) < 40


def test_an_animation_has_a_picture_a_phase_in_true_proportions(tmp_path):
    path = tmp_path / "cine.gif"

    frames = [frame(n, n != 2) for n in range(1, 6)]
    save_animation(path, iter(frames), [found for _, found in frames], beat_ms=800)

    with Image.open(path) as movie:
        assert movie.n_frames == 5
        # 60 mm high and 120 mm wide.
        assert movie.size == (480, 240)
        assert movie.info["duration"] == 160 and movie.info["loop"] == 0
        pictures = []
        for number in range(5):
            movie.seek(number)
            pictures.append(np.array(movie.convert("RGB")))
    # The centre of pixel (30, 20) is 30.5 pixels of 2 mm and 20.5 of 1 mm away.
    for number, picture in enumerate(pictures, 1):
        at = picture[80:85, 242:247]
        assert near(at, TRUSTED).any() == (number != 2)
        assert near(picture, DOUBTED).any() == (number == 2)


@pytest.mark.parametrize(
    ("times", "beat", "durations"),
    [
        # The third of six phases of 150 ms is missing: what is before it stays.
        ([0, 150, 450, 600, 750], 900, [150, 300, 150, 150, 150]),
        # Phases of 25 ms end at 25, 50, 75 and 100 ms, and ties go to even numbers.
        ([7, 32, 57, 82], 100, [20, 30, 30, 20]),
        # Of a part of a beat, the last phase lasts as long as most.
        ([100, 140, 180, 300], None, [40, 40, 120, 40]),
        # Without times, or with times that are none of this order, all last the same.
        ([0, None, 40], None, [60, 60, 60]),
        ([0, 40, 20], None, [60, 60, 60]),
    ],
)
def test_a_phase_is_shown_until_the_time_of_the_next(tmp_path, times, beat, durations):
    frames = [frame(number, True) for number in range(1, 1 + len(times))]
    frames = [
        (pixels, replace(found, origin={} if time is None else {"time_ms": time}))
        for (pixels, found), time in zip(frames, times, strict=True)
    ]
    path = tmp_path / "cine.gif"

    save_animation(path, iter(frames), [found for _, found in frames], beat)

    shown = []
    with Image.open(path) as movie:
        for number in range(movie.n_frames):
            movie.seek(number)
            shown.append(movie.info["duration"])
    assert shown == durations


def test_an_animation_shows_the_heart_and_parts_its_labels(tmp_path):
    marks = tuple(
        Landmark(name, 200.0 + shift, 150.0 + shift, 1.0, True, RADII)
        for name, shift in (("one", 0.0), ("two", 1.0), ("three", 2.0))
    )
    found = Prediction("a", "4ch", "m", (1.0, 1.0), True, marks, {"phase": 1})
    pixels = np.zeros((300, 400), "f4")
    pixels[140:160, 190:210] = 100

    save_animation(tmp_path / "cine.gif", [(pixels, found)], [found])

    with Image.open(tmp_path / "cine.gif") as movie:
        # 125 mm of 400, so that the square of 20 mm is 77 of 480 pixels wide.
        assert movie.size == (480, 480)
        picture = np.array(movie.convert("RGB"), int)
    bright = (np.abs(picture - 255).max(axis=-1) < 80).any(axis=0)
    assert np.flatnonzero(bright[150:]).size >= 60
    # Three labels right of the square, each on lines of its own.
    rows = near(picture[:, 262:], TRUSTED).any(axis=1)
    assert (np.diff(np.flatnonzero(rows)) > 1).sum() >= 2


def test_no_images_make_no_animation(tmp_path):
    save_animation(tmp_path / "cine.gif", [], [])

    assert not (tmp_path / "cine.gif").exists()
