import csv
import filecmp

import numpy as np
import pydicom
import pytest
from support.phantoms import both_views, rng

from phdnet_tf.phantom.draw import draw
from phdnet_tf.phantom.folder import write_folder
from phdnet_tf.presets import VIEWS


def files(folder):
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


def test_an_unknown_view_is_refused_with_the_known_ones(tmp_path):
    for call in (
        lambda: draw("2ch", rng(0)),
        lambda: write_folder(tmp_path / "new", "2ch", 1, 0),
    ):
        with pytest.raises(ValueError, match="sa, 4ch.*Received: '2ch'"):
            call()


@both_views
def test_a_folder_holds_what_was_drawn(tmp_path, view):
    folder = tmp_path / "data"
    ticks = []

    write_folder(folder, view, 3, seed=7, on_subject=lambda: ticks.append(1))

    with open(folder / "landmarks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["subject"] for row in rows] == [f"phantom_000{k}" for k in (1, 2, 3)]
    assert len(ticks) == 3
    for index, row in enumerate(rows):
        subject = draw(view, rng(7, index))
        ds = pydicom.dcmread(folder / row["image"])
        np.testing.assert_array_equal(ds.pixel_array, subject.pixels)
        np.testing.assert_allclose(ds.PixelSpacing, subject.pixel_spacing)
        told = [[float(row[f"{name}_{axis}"]) for axis in "xy"] for name in VIEWS[view]]
        np.testing.assert_allclose(told, subject.landmarks, atol=6e-4)
        assert "hard" not in str(ds).lower()
    assert rows[0]["image"] == "DICOM/phantom_0001/phase_01.dcm"


def test_the_same_seed_writes_the_same_bytes_and_more_subjects_the_same_first(tmp_path):
    few, again, many = (tmp_path / name for name in ("few", "again", "many"))
    write_folder(few, "sa", 2, seed=3)
    write_folder(again, "sa", 2, seed=3)
    write_folder(many, "sa", 3, seed=3)

    assert files(few) == files(again)
    assert filecmp.cmpfiles(few, again, files(few), shallow=False)[0] == files(few)
    images = [path for path in files(few) if path.suffix == ".dcm"]
    assert len(images) == 2
    assert filecmp.cmpfiles(few, many, images, shallow=False)[0] == images
    lines = (few / "landmarks.csv").read_text().splitlines()
    assert (many / "landmarks.csv").read_text().splitlines()[:3] == lines


def test_another_seed_draws_other_subjects(tmp_path):
    write_folder(tmp_path / "a", "sa", 1, seed=3)
    write_folder(tmp_path / "b", "sa", 1, seed=4)

    a, b = ((tmp_path / name / "landmarks.csv").read_text() for name in "ab")
    assert a != b


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(ValueError, match="empty folder.*Choose another folder"):
        write_folder(tmp_path, "sa", 1, 0)

    assert files(tmp_path) == [(tmp_path / "notes.txt").relative_to(tmp_path)]


def test_an_empty_folder_is_filled(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()

    write_folder(folder, "4ch", 1, 0)

    assert len(files(folder)) == 3


@pytest.mark.parametrize("subjects, seed", [(0, 0), (1, -1)])
def test_numbers_that_make_no_sense_are_refused(tmp_path, subjects, seed):
    with pytest.raises(ValueError, match="at least 1 subject"):
        write_folder(tmp_path / "new", "sa", subjects, seed)

    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_folder_leaves_nothing_behind(tmp_path, error):
    def stop():
        raise error

    with pytest.raises(error):
        write_folder(tmp_path / "new", "sa", 2, 0, on_subject=stop)

    assert not any(tmp_path.iterdir())
