import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf import geometry

both = pytest.mark.parametrize(
    "call", [lambda f: f, tf.function], ids=["eager", "graph"]
)


@both
def test_patch_centres_lie_between_pixels(call):
    centres = call(geometry.patch_centres)(tf.constant(2), tf.constant(3))

    assert centres.shape == (2, 3, 2)
    np.testing.assert_allclose(centres[0, 0], [3.5, 3.5])
    np.testing.assert_allclose(centres[1, 2], [19.5, 11.5])  # x before y


@both
def test_a_displacement_comes_back_from_its_code(call):
    small = np.linspace(0, 2, 401)
    displacement = np.concatenate([small, np.linspace(2, 512, 2041)]).astype("f4")
    displacement = np.concatenate([-displacement, displacement])

    code = call(geometry.encode_displacement)(displacement)
    back = call(geometry.decode_displacement)(code)

    np.testing.assert_allclose(back, displacement, rtol=2e-6, atol=1e-6)


def test_the_code_is_the_signed_logarithm():
    displacement = np.array([-3.0, -0.5, 0.0, 1.0, 511.0], "f4")

    code = geometry.encode_displacement(displacement)

    np.testing.assert_allclose(code, [-2, -np.log2(1.5), 0, 1, 9], rtol=1e-6)


@both
@pytest.mark.parametrize(("height", "width"), [(256, 216), (100, 333), (512, 512)])
def test_image_to_canvas_and_back_is_exact(call, height, width):
    rng = np.random.default_rng(0)
    points = rng.uniform(0, [width, height], (2, 50, 2)).astype("f4")
    spacing = np.array([[1.5, 0.7], [0.9375, 1.95]], "f4")

    canvas = call(geometry.image_to_canvas)(points, height, width, spacing)
    back = call(geometry.canvas_to_image)(canvas, height, width, spacing)

    np.testing.assert_allclose(back, points, atol=1e-4)


def test_the_image_centre_is_the_canvas_centre_and_millimetres_are_kept():
    spacing = np.array([[2.0, 1.0]], "f4")  # rows 2 mm apart, columns 1 mm
    points = np.array([[[9.5, 4.5], [10.5, 5.5]]], "f4")  # the centre of 10 x 20

    canvas = geometry.image_to_canvas(points, 10, 20, spacing).numpy()[0]

    np.testing.assert_allclose(canvas[0], [255.5, 255.5])
    np.testing.assert_allclose((canvas[1] - canvas[0]) * 0.9375, [1, 2], rtol=1e-4)


@both
def test_the_canvas_shows_the_image_where_the_coordinates_say(call):
    images = np.zeros((2, 60, 90), "f4")
    images[0, 20, 70] = images[1, 50, 10] = 1
    spacing = np.array([[1.875, 1.875], [3.75, 1.875]], "f4")  # 2 or 4 canvas pixels
    points = np.array([[[70, 20]], [[10, 50]]], "f4")

    canvas = call(geometry.canvas_from_image)(images, spacing).numpy()[..., 0]
    expected = geometry.image_to_canvas(points, 60, 90, spacing).numpy()[:, 0]

    assert canvas.shape == (2, 512, 512)
    grid = np.arange(512)
    for picture, (x, y) in zip(canvas, expected, strict=True):
        mass = picture.sum()
        np.testing.assert_allclose((picture.sum(axis=0) @ grid) / mass, x, atol=1e-3)
        np.testing.assert_allclose((picture.sum(axis=1) @ grid) / mass, y, atol=1e-3)


def test_normalised_air_is_zero_and_the_unit_does_not_matter():
    rng = np.random.default_rng(1)
    image = rng.gamma(2, 100, (3, 40, 50)).astype("f4")

    normalised = geometry.normalise(image).numpy()

    np.testing.assert_allclose(normalised.min(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(
        geometry.normalise(image * 7 + 30), normalised, atol=1e-4
    )
    # Stored values may be of any size.
    np.testing.assert_allclose(geometry.normalise(image * 1e17), normalised, rtol=1e-4)


@pytest.mark.parametrize("call", [lambda f: f, tf.function], ids=["eager", "graph"])
def test_the_unit_of_intensities_is_their_mean_weighted_by_themselves(call):
    # Above the darkest, 5, are 1 twice and 4 once: (1 + 1 + 16) / (1 + 1 + 4) = 3.
    image = tf.constant([[[5.0, 6.0], [6.0, 9.0]]])

    found = call(geometry.normalise)(image)

    np.testing.assert_allclose(found, [[[0, 1 / 3], [1 / 3, 4 / 3]]], rtol=1e-6)


def test_air_around_the_body_changes_no_intensity():
    rng = np.random.default_rng(2)
    body = rng.gamma(2, 100, (1, 40, 50)).astype("f4")
    body[0, 0, 0] = 0
    wide = np.pad(body, [(0, 0), (30, 70), (20, 90)])

    normalised = geometry.normalise(wide).numpy()[:, 30:70, 20:70]

    np.testing.assert_allclose(normalised, geometry.normalise(body), rtol=1e-5)


def test_an_empty_image_stays_empty():
    assert not geometry.normalise(np.full((1, 8, 8), 5, "f4")).numpy().any()


def test_coarser_pictures_are_means_and_not_samples():
    # Lines one pixel wide: a sampled picture would be all 0 or all 1.
    lines = np.tile([0.0, 1.0], 256).astype("f4")
    picture = np.broadcast_to(lines, (1, 512, 512))[..., None]

    coarse = geometry.coarser(tf.constant(picture), 2).numpy()

    assert coarse.shape == (1, 256, 256, 1)
    np.testing.assert_array_equal(coarse, 0.5)
    np.testing.assert_array_equal(geometry.coarser(tf.constant(picture), 1), picture)


def test_a_coarser_canvas_does_not_alias():
    # 0.9375 mm lines on the canvas's own grid.
    lines = np.tile([0.0, 1.0], 256).astype("f4")
    images = np.broadcast_to(lines, (1, 512, 512))

    canvas = geometry.canvas_from_image(
        tf.constant(images), tf.constant([[0.9375, 0.9375]]), 2
    )

    np.testing.assert_allclose(canvas, 0.5, atol=1e-5)
