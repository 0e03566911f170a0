import numpy as np
import pytest

from phdnet_tf.outputs.framing import close_up, side_letters


def test_a_close_up_is_125_mm_around_the_points():
    points = np.array([[100.0, 90.0], [120.0, 110.0]])

    left, top, right, bottom = close_up(points, (2.0, 1.0), (200, 400))

    # 125 mm are 125 pixels in x and 62.5 in y, around (110, 100).
    assert (left, right) == (110 - 62.5, 110 + 62.5)
    assert (top, bottom) == (100 - 31.25, 100 + 31.25)


def test_points_far_apart_are_all_shown_with_a_margin():
    points = np.array([[50.0, 100.0], [250.0, 100.0]])

    left, top, right, bottom = close_up(points, (1.0, 1.0), (400, 400))

    assert (left, right) == (30, 270) and bottom - top == 240


def test_a_close_up_at_the_edge_is_moved_into_the_image():
    left, top, right, bottom = close_up(
        np.array([[3.0, 297.0]]), (1.0, 1.0), (300, 300)
    )

    assert (left, top, right, bottom) == (-0.5, 174.5, 124.5, 299.5)


def test_a_small_image_is_shown_whole():
    assert close_up(np.array([[5.0, 5.0]]), (1.0, 1.0), (60, 90)) == (
        *(-0.5, -0.5, 89.5, 59.5),
    )


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [
        # Rows run to the left of the patient, columns to the back.
        ((1, 0, 0, 0, 1, 0), ("R", "A", "L", "P")),
        # Coronal: columns run to the feet.
        ((1, 0, 0, 0, 0, -1), ("R", "H", "L", "F")),
        ((-1, 0, 0, 0, -1, 0), ("L", "P", "R", "A")),
        # Half way between left and back, and to the feet.
        ((0.7071, 0.7071, 0, 0, 0, -1), ("RA", "H", "LP", "F")),
    ],
)
def test_the_sides_are_named_as_dicom_does(orientation, letters):
    assert side_letters(orientation) == letters


@pytest.mark.parametrize("orientation", [None, (1, 0, 0, 1, 0, 0)])
def test_without_an_orientation_no_side_is_named(orientation):
    assert side_letters(orientation) is None
