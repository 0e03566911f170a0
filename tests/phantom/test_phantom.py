import csv
import filecmp
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from phdnet_tf.phantom import draw as draw_module
from phdnet_tf.phantom import four_chamber, short_axis
from phdnet_tf.phantom.draw import HARD_SHARE, draw
from phdnet_tf.phantom.drawing import Canvas, ellipse, grow, spline
from phdnet_tf.phantom.folder import write_folder
from phdnet_tf.phantom.scanner import acquire, draw_scan
from phdnet_tf.presets import VIEWS

both_views = pytest.mark.parametrize("view", VIEWS)


def rng(*seed):
    return np.random.default_rng([*seed])


@pytest.fixture(scope="module")
def drawn():
    """A few subjects of each view."""
    return {view: [draw(view, rng(5, k)) for k in range(24)] for view in VIEWS}


def files(folder):
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


def test_a_painted_outline_covers_its_exact_area():
    canvas = Canvas((50, 60), 1.5, centre=3 + 2j)

    canvas.paint(np.array([-10, 10, 10 + 20j, -10 + 20j]) + 1.234, 2.0)

    assert canvas.image.sum() == pytest.approx(2.0 * 20 * 20 / 1.5**2, rel=1e-5)
    assert canvas.image.max() == pytest.approx(2.0)


def test_an_outline_beyond_the_image_is_cut_at_its_border():
    canvas = Canvas((10, 10), 1.0, centre=0j)

    np.testing.assert_allclose(canvas.mask(ellipse(0j, 100, 100)), 1)
    # The right half of the image: pixels are centred at -4.5, -3.5, ... mm.
    np.testing.assert_allclose(
        canvas.mask(np.array([0 - 99j, 99 - 99j, 99 + 99j, 0 + 99j])),
        np.tile(np.repeat([0, 1], 5), (10, 1)),
    )
    assert not canvas.mask(ellipse(50 + 0j, 10, 10)).any()


def test_outlines_painted_together_look_like_outlines_painted_in_turn():
    together, in_turn = (Canvas((40, 40), 1.0, centre=0j) for _ in range(2))
    outlines = ellipse(np.array([-9 - 9j, 8 + 5j]), np.array([4, 6]), 5, 0.3)

    together.paint(outlines, 1.0, opacity=np.array([0.5, 1.0]))
    for outline, opacity in zip(outlines, (0.5, 1.0), strict=True):
        in_turn.paint(outline, 1.0, opacity=opacity)

    # Areas are exact to about a hundredth of a pixel, the sum of a row to rounding.
    np.testing.assert_allclose(together.image, in_turn.image, atol=0.02)
    np.testing.assert_allclose(together.image.sum(1), in_turn.image.sum(1), rtol=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_body_point_is_painted_where_its_pixel_is_said_to_be(mirrored):
    canvas = Canvas((80, 100), 1.3, 7 - 4j, angle=0.6, mirrored=mirrored)
    point = 20 + 11j

    canvas.paint(ellipse(point, 3, 3), 1.0)

    rows, columns = np.indices(canvas.image.shape)
    weights = canvas.image / canvas.image.sum()
    found = (weights * columns).sum(), (weights * rows).sum()
    np.testing.assert_allclose(found, canvas.to_pixels(np.array([point]))[0], atol=0.02)
    column, row = np.round(found).astype(int)
    assert abs(canvas.body_points()[row, column] - point) < 1.3


def test_a_spline_goes_through_its_points_and_ends_at_the_last():
    points = np.array([0, 10 + 5j, 20 - 3j, 30 + 0j])

    curve = spline(points, closed=False, samples=8)

    np.testing.assert_allclose(curve[::8], points)


def test_growing_a_circle_makes_its_radius_larger_by_as_much():
    for circle in (ellipse(5j, 20, 20), ellipse(5j, 20, 20)[::-1]):
        np.testing.assert_allclose(abs(grow(circle, 3.0) - 5j), 23, atol=0.01)


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
    assert all(1.2 <= y == x <= 1.9 for y, x in spacings)
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


@pytest.mark.parametrize(
    "trouble",
    [{"noise": 0.15}, {"ghost": 0.12}, {"motion": 4.0}],
    ids=lambda t: [*t][0],
)
def test_what_goes_wrong_in_a_scan_hides_what_was_painted(trouble):
    canvas, heart = quiet("sa", 1)
    middle = complex(heart.landmarks.mean())
    usual = replace(draw_scan(rng(2), canvas.image.shape), banding=0.0, trimmed=False)

    def likeness(scan):
        image = acquire(canvas, scan, short_axis.COILS, middle, rng(3))
        return np.corrcoef(np.abs(canvas.image).ravel(), image.ravel())[0, 1]

    assert likeness(replace(usual, **trouble)) < likeness(usual) - 0.01


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


def quiet(view, seed, *, paint_only=True):
    """The painted signal of a subject before it is scanned, and the heart in it."""
    anatomy = short_axis if view == "sa" else four_chamber
    stream = rng(21, seed)
    heart = anatomy.draw_heart(stream)
    canvas = Canvas((256, 256), 1.2, complex(heart.landmarks.mean()))
    anatomy.paint(canvas, heart, draw_module.draw_tissue(canvas, stream), stream)
    return canvas, heart


def signal_at(canvas, points):
    x, y = np.round(canvas.to_pixels(np.asarray(points))).astype(int).T
    return canvas.image[y, x]


def test_an_rv_insertion_has_muscle_on_the_left_and_blood_on_the_right():
    muscle, blood = [], []
    for seed in range(12):
        canvas, heart = quiet("sa", seed)
        for insertion, towards in zip(heart.landmarks[:2], (1, -1), strict=True):
            # 4 mm inwards is the left ventricle's wall; 5 mm along the septum and
            # 9 mm out of it is the right ventricle.
            inwards = -insertion / abs(insertion)
            muscle.append(signal_at(canvas, [insertion + 4 * inwards])[0])
            inside = insertion + 5 * towards * heart.along + 9 * heart.away
            blood.append(signal_at(canvas, [inside])[0])

    assert np.median(blood) > 1.5 * np.median(muscle)


def test_an_rv_insertion_lies_on_both_ventricles():
    for seed in range(20):
        heart = short_axis.draw_heart(rng(3, seed))
        for insertion in heart.landmarks[:2]:
            assert abs(heart.lv_outside - insertion).min() < 0.6
            assert abs(heart.rv - insertion).min() < 1e-9


def test_the_lateral_reflection_is_the_rv_extreme_at_45_degrees():
    for seed in range(20):
        heart = short_axis.draw_heart(rng(3, seed), odd_pose=seed % 2 == 0)
        superior, inferior, reflection = heart.landmarks
        down = (inferior - superior) / abs(inferior - superior)
        # Away from the left ventricle, whose middle is the origin.
        away = 1j * down
        assert (away * np.conj(heart.rv.mean())).real > 0
        direction = (down + away) / np.sqrt(2)
        reach = (heart.rv * np.conj(direction)).real

        assert (reflection * np.conj(direction)).real == pytest.approx(reach.max())


def test_each_valve_lies_halfway_between_its_hinges_on_the_ventricles():
    for seed in range(20):
        heart = four_chamber.draw_heart(rng(3, seed))
        tricuspid, mitral, _ = heart.landmarks
        septal, lateral, mitral_septal, mitral_lateral = heart.hinges

        assert tricuspid == pytest.approx((septal + lateral) / 2)
        assert mitral == pytest.approx((mitral_septal + mitral_lateral) / 2)
        for hinge in (mitral_septal, mitral_lateral):
            assert abs(heart.lv_inside - hinge).min() < 1e-9
        assert abs(heart.rv - lateral).min() < 1e-9
        assert abs(heart.lv_outside - septal).min() < 1e-9


def test_the_apex_is_the_point_of_the_left_ventricle_farthest_from_its_valve():
    for seed in range(20):
        heart = four_chamber.draw_heart(rng(3, seed))
        _, mitral, apex = heart.landmarks
        far = np.abs(heart.lv_outside - mitral).max()

        assert abs(heart.lv_outside - apex).min() < 1e-9
        assert abs(apex - mitral) == pytest.approx(far, rel=0.02)


def test_there_is_blood_along_the_left_ventricle_and_none_beyond_its_apex():
    inside, beyond = [], []
    for seed in range(12):
        canvas, heart = quiet("4ch", seed)
        _, mitral, apex = heart.landmarks
        inside.extend(
            signal_at(canvas, mitral + (apex - mitral) * np.r_[0.3, 0.5, 0.8])
        )
        beyond.extend(signal_at(canvas, [apex + 2.0 * heart.axis]))

    assert np.median(inside) > 0.8
    assert np.percentile(inside, 10) > np.percentile(beyond, 75)


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

    assert len(files(folder)) == 2


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
