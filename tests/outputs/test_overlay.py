import gc
import tracemalloc
from dataclasses import replace

import matplotlib.image
import matplotlib.text
import numpy as np
import pytest
from matplotlib.figure import Figure
from support.cines import RADII

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.inference.results import Landmark, Prediction
from phdnet_tf.outputs.overlay import DOUBTED, TRUSTED, save_overlay

PIXELS = np.full((60, 90), 100, "f4")


PIXELS[0, 0] = 0


IMAGE = MRImage(PIXELS, (1.0, 1.0))


def prediction(*high, recognised=True):
    return Prediction(
        "a.dcm",
        "sa",
        "phdnet_sa/1",
        (1.0, 1.0),
        recognised,
        tuple(
            Landmark(f"name_{i}", 20.0 + 20 * i, 30.0, 1.0, confident, RADII)
            for i, confident in enumerate(high)
        ),
    )


def share_of(path, colour):
    picture = matplotlib.image.imread(path)[..., :3]
    wanted = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return float((np.abs(picture - wanted).max(axis=-1) < 0.02).mean())


def test_high_and_low_confidence_look_different(tmp_path):
    path = tmp_path / "a.png"

    save_overlay(path, IMAGE, prediction(True, True))
    trusted, doubted = share_of(path, TRUSTED), share_of(path, DOUBTED)
    save_overlay(path, IMAGE, prediction(True, False))

    # In the first picture only the legend has the colour of doubt.
    assert share_of(path, DOUBTED) > 3 * doubted
    assert trusted > share_of(path, TRUSTED) > 0


def test_the_candidate_maps_are_drawn_beside_the_picture(tmp_path):
    path = tmp_path / "a.png"
    votes = np.zeros((2, 128, 128), "f4")
    votes[:, 60:68, 60:68] = 3

    save_overlay(path, IMAGE, prediction(True, False))
    narrow = matplotlib.image.imread(path).shape[1]
    corners = np.array([[[-40, -30], [87, 97]]] * 2)
    save_overlay(path, IMAGE, prediction(True, False), (votes, corners))

    assert matplotlib.image.imread(path).shape[1] > 2 * narrow


def test_a_large_image_looks_alike_and_takes_little_memory(tmp_path):
    wave = np.sin(np.arange(1000) / 20)
    small = (wave * wave[:, None]).astype("f4")
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    # The middle of a pixel is the corner of four that are half as wide.
    found = replace(prediction(True), pixel_spacing=(0.5, 0.5))
    point = replace(found.landmarks[0], x=40.5, y=60.5)
    found = replace(found, landmarks=(point,))

    save_overlay(tmp_path / "small.png", MRImage(small, (1.0, 1.0)), prediction(True))
    tracemalloc.start()
    save_overlay(tmp_path / "large.png", MRImage(large, (0.5, 0.5)), found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    one, other = (
        matplotlib.image.imread(tmp_path / f"{name}.png") for name in ("small", "large")
    )
    # A pixel of the close-up is two of the large image's, so edges may differ a little.
    assert np.quantile(np.abs(one - other), 0.99) < 0.02
    # matplotlib takes 45 bytes a pixel, for what no screen shows.
    assert peak < 30 * large.size


def test_a_picture_leaves_nothing_in_memory(tmp_path):
    votes, corners = (
        np.ones((2, 128, 128), "f4"),
        np.array([[[-40, -30], [87, 97]]] * 2),
    )
    gc.collect()
    before = sum(isinstance(each, Figure) for each in gc.get_objects())

    save_overlay(tmp_path / "a.png", IMAGE, prediction(True, False), (votes, corners))

    after = sum(isinstance(each, Figure) for each in gc.get_objects())
    assert after == before


def test_the_title_names_file_and_frame_and_is_no_formula(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    drawn = []
    monkeypatch.setattr(
        *(matplotlib.text.Text, "set_text"),
        lambda self, text, set_text=matplotlib.text.Text.set_text: (
            drawn.append(text),
            set_text(self, text),
        ),
    )
    found = replace(prediction(True), image="in/$^$.dcm", origin={"frame": 7})
    found = replace(found, landmarks=(replace(found.landmarks[0], name="$^$"),))

    save_overlay(path, IMAGE, found, (np.ones((1, 9, 9)), np.eye(2)[None] * 8))

    assert path.is_file()
    assert "$^$.dcm frame 7   phdnet_sa/1" in drawn
    assert "votes: $^$" in drawn


def test_a_circle_holds_the_landmark_with_90_per_cent(tmp_path):
    path = tmp_path / "a.png"
    found = prediction(True)
    wide = {**RADII, "90": 25.0}
    landmark = replace(found.landmarks[0], error_radius_mm=wide)

    save_overlay(path, IMAGE, found)
    narrow_share = share_of(path, TRUSTED)
    save_overlay(path, IMAGE, replace(found, landmarks=(landmark,)))

    assert share_of(path, TRUSTED) > 1.2 * narrow_share


def test_a_radius_longer_than_the_image_does_not_shrink_it(tmp_path):
    path = tmp_path / "a.png"
    found = prediction(True)
    save_overlay(path, IMAGE, found)
    grey = matplotlib.image.imread(path)[..., :3].mean()
    huge = replace(found.landmarks[0], error_radius_mm={"90": 679.0})

    save_overlay(path, IMAGE, replace(found, landmarks=(huge,)))

    assert matplotlib.image.imread(path)[..., :3].mean() == pytest.approx(grey, 0.02)


def test_a_large_image_is_shown_whole_beside_a_close_up_with_its_sides(
    tmp_path, monkeypatch
):
    drawn = []
    monkeypatch.setattr(
        *(matplotlib.text.Text, "set_text"),
        lambda self, text, set_text=matplotlib.text.Text.set_text: (
            drawn.append(text),
            set_text(self, text),
        ),
    )
    path = tmp_path / "a.png"
    large = MRImage(
        np.full((300, 300), 100, "f4"), (1.0, 1.0), (0, 0, 0), (1, 0, 0, 0, 1, 0)
    )

    save_overlay(path, IMAGE, prediction(True))
    alone = list(drawn)
    save_overlay(path, large, prediction(True))

    assert "20 mm" in alone and not {"R", "A", "L", "P"} & set(alone)
    beside = drawn[len(alone) :]
    assert [beside.count(letter) for letter in "RALP"] == [2, 2, 2, 2]
    assert any("whole image" in text for text in beside if text)
    assert not any("whole image" in text for text in alone if text)
