"""Images that are turned or mirrored and say so, and are turned to the usual way."""

import numpy as np
import pytest
from support.cines import oblique

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.turning import TURNS, Turn, turn_to_usual
from phdnet_tf.presets import USUAL_ORIENTATIONS

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# Three columns, two rows; 1 is at the patient's right front.
PIXELS = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
UPSIDE_DOWN = Turn(reversed_y=True)


def image(orientation=AXIAL, pixels=PIXELS):
    return MRImage(pixels, (2.0, 0.5), (10.0, 20.0, 30.0), orientation)


def back_to_axial(orientation):
    return turn_to_usual(orientation, [AXIAL])


@pytest.mark.parametrize(
    ("orientation", "pixels"),
    [
        # x goes to the left, y to the back: as it should.
        ((1, 0, 0, 0, 1, 0), [[1, 2, 3], [4, 5, 6]]),
        # x goes to the right: the columns are reversed.
        ((-1, 0, 0, 0, 1, 0), [[3, 2, 1], [6, 5, 4]]),
        # y goes to the front: the rows are.
        ((1, 0, 0, 0, -1, 0), [[4, 5, 6], [1, 2, 3]]),
        ((-1, 0, 0, 0, -1, 0), [[6, 5, 4], [3, 2, 1]]),
        # x goes to the back and y to the left: rows are columns.
        ((0, 1, 0, 1, 0, 0), [[1, 4], [2, 5], [3, 6]]),
        # x goes to the back, y to the right: and what becomes x, y is reversed.
        ((0, 1, 0, -1, 0, 0), [[4, 1], [5, 2], [6, 3]]),
        ((0, -1, 0, 1, 0, 0), [[3, 6], [2, 5], [1, 4]]),
        ((0, -1, 0, -1, 0, 0), [[6, 3], [5, 2], [4, 1]]),
    ],
)
def test_each_of_eight_ways_is_turned_as_its_header_says(orientation, pixels):
    turn = back_to_axial(orientation)

    turned = turn.image(image(orientation))

    np.testing.assert_array_equal(turned.pixels, pixels)
    assert turned.orientation == AXIAL
    transposed = len(pixels) == 3
    assert turned.pixel_spacing == ((0.5, 2.0) if transposed else (2.0, 0.5))


def test_a_point_is_where_it_was_in_pixels_and_in_the_patient():
    # x goes to the back, y to the right. Pixel 6 is at (2, 1), and by hand 2 * 0.5 mm
    # to the back and 1 * 2 mm to the right of the corner.
    lying = image((0, 1, 0, -1, 0, 0))
    turn = back_to_axial(lying.orientation)
    turned = turn.image(lying)

    # In [[4, 1], [5, 2], [6, 3]] it is at (0, 2).
    np.testing.assert_array_equal(turn.points(np.array([2.0, 1]), (2, 3)), [0, 2])
    np.testing.assert_array_equal(turn.back(np.array([0.0, 2]), (2, 3)), [2, 1])
    for where, point in ((lying, [2, 1]), (turned, [0, 2])):
        place = where.patient_positions(np.array(point))
        np.testing.assert_allclose(place, [10 - 2, 20 + 1, 30], atol=1e-6)


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_back_undoes_every_turn(turn):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 900, (7, 5)).astype("f4")
    own = image(oblique(), pixels)
    turned = turn.image(own)
    points = np.array([[0, 0], [4, 6], [1.25, 3.5]])

    there = turn.points(points, own.pixels.shape)

    np.testing.assert_allclose(turn.back(there, own.pixels.shape), points)
    for (x, y), (tx, ty) in zip(
        points[:2].astype(int), there[:2].astype(int), strict=True
    ):
        assert turned.pixels[ty, tx] == own.pixels[y, x]
    np.testing.assert_allclose(
        turned.patient_positions(there), own.patient_positions(points), atol=1e-5
    )


@pytest.mark.parametrize("turn", TURNS, ids=str)
@pytest.mark.parametrize("view", ["sa", "4ch"])
def test_however_an_image_lies_it_is_turned_the_same_way(view, turn):
    # Some degrees from the usual way, as hearts are.
    for usual in USUAL_ORIENTATIONS[view]:
        x, y = np.reshape(usual, (2, 3))
        x = x + 0.3 * y / np.linalg.norm(y)
        x /= np.linalg.norm(x)
        y = y - (x @ y) * x
        own = image((*x, *(y / np.linalg.norm(y))))

        lying = turn.image(own)
        again = turn_to_usual(lying.orientation, USUAL_ORIENTATIONS[view])

        np.testing.assert_array_equal(again.image(lying).pixels, own.pixels)


# As scanners write them: a short axis of a public challenge, and one tilted more.
@pytest.mark.parametrize(
    "orientation",
    [
        (0.7418, 0.6651, 0.0858, 0.0603, 0.0612, -0.9963),
        (0.6817, 0.5866, -0.4372, -0.2303, -0.3947, -0.8895),
    ],
)
def test_a_short_axis_as_scanners_show_it_stays_as_it_lies(orientation):
    x, y = np.reshape(orientation, (2, 3))
    y = y - (x @ y) * x

    turn = turn_to_usual((*x, *(y / np.linalg.norm(y))), USUAL_ORIENTATIONS["sa"])

    assert turn == Turn()


@pytest.mark.parametrize("towards", range(0, 360, 15))
@pytest.mark.parametrize("view", ["sa", "4ch"])
def test_a_heart_that_lies_30_degrees_off_the_usual_way_is_not_turned(view, towards):
    x, y = np.reshape(USUAL_ORIENTATIONS[view][1], (2, 3))
    way, angle = np.radians(towards), np.radians(30)
    axis = np.cos(way) * x + np.sin(way) * y
    # Rodrigues: the plane is tilted about a line within it.
    tilted = [
        np.cos(angle) * one
        + np.sin(angle) * np.cross(axis, one)
        + (1 - np.cos(angle)) * (axis @ one) * axis
        for one in (x, y)
    ]

    assert turn_to_usual(np.ravel(tilted), USUAL_ORIENTATIONS[view]) == Turn()


def test_a_four_chamber_plane_near_the_axial_one_is_not_turned_upside_down():
    # Tilted about x, as a scanner writes it: 64 degrees from axial.
    orientation = (1, 0, 0, 0, -0.8988, -0.4384)

    assert turn_to_usual(orientation, USUAL_ORIENTATIONS["4ch"]) == Turn()


@pytest.mark.parametrize(("degrees", "turn"), [(0.9, Turn()), (1.1, UPSIDE_DOWN)])
def test_only_what_is_axial_within_a_degree_is_what_a_converter_wrote(degrees, turn):
    slope = np.radians(degrees)
    orientation = (1, 0, 0, 0, np.cos(slope), np.sin(slope))

    assert turn_to_usual(orientation, USUAL_ORIENTATIONS["4ch"]) == turn


@pytest.mark.parametrize(
    "orientation",
    [
        None,
        (0, 0, 0, 0, 0, 0),
        (np.nan,) * 6,
        (-1, 0, 0, -1, 0, 0),
        (-2, 0, 0, 0, 2, 0),
    ],
)
def test_what_tells_no_directions_is_left_as_it_lies(orientation):
    assert back_to_axial(orientation) == Turn()


def test_where_nothing_is_usual_nothing_is_turned():
    assert turn_to_usual((-1, 0, 0, 0, 1, 0), ()) == Turn()


def test_of_an_image_without_header_the_turned_one_has_none():
    turned = Turn(reversed_x=True).image(MRImage(PIXELS, (2.0, 0.5)))

    assert turned.position is None and turned.orientation is None
    np.testing.assert_array_equal(turned.pixels[0], [3, 2, 1])
