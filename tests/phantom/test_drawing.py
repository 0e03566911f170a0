import numpy as np
import pytest

from phdnet_tf.phantom.drawing import Canvas, ellipse, grow, spline


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
