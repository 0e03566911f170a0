from dataclasses import replace

import numpy as np
import tensorflow as tf

from phdnet_tf.config import CropConfig
from phdnet_tf.training.crops import random_crop, random_whole

STILL = CropConfig(rotation=0, scale=0, gain=0, gamma=0)


def test_the_landmark_stays_on_its_spot_through_every_augmentation(images):
    crops = CropConfig(near_landmark=1, rotation=180, scale=0.3, stretch=0.3)
    checked = 0
    for number, example in enumerate(images.take(6)):
        for trial in range(8):
            image, points = random_crop(
                example, crops, tf.constant([trial, number], tf.int64)
            )
            image, points = image.numpy()[..., 0], points.numpy()
            y, x = np.mgrid[:128, :128]
            for px, py in points[np.isfinite(points).all(axis=1)]:
                others = points[np.abs(points - [px, py]).sum(axis=1) > 0]
                if (
                    not (16 < px < 112 and 16 < py < 112)
                    or (np.linalg.norm(others - [px, py], axis=1) < 60).any()
                ):
                    continue
                near = np.hypot(x - px, y - py) < 12
                weight = np.where(near, image - image[near].min(), 0)
                centre = (weight * x).sum(), (weight * y).sum()
                np.testing.assert_allclose(
                    np.divide(centre, weight.sum()), [px, py], atol=0.3
                )
                checked += 1
    assert checked > 10


def test_a_crop_without_augmentation_has_the_canvas_resolution(images):
    example = next(iter(images))
    _, points = random_crop(example, STILL, tf.constant([0, 0], tf.int64))

    between = (example["landmarks"][1] - example["landmarks"][0]).numpy()
    millimetres = between * example["pixel_spacing"].numpy()[::-1]
    np.testing.assert_allclose(
        (points[1] - points[0]) * 0.9375, millimetres, rtol=1e-4, atol=1e-4
    )


def test_a_stretch_changes_lengths_and_keeps_the_area(images):
    example = dict(next(iter(images)))
    example["landmarks"] = tf.constant([[40.0, 40.0], [90.0, 40.0], [40.0, 100.0]])

    def triangle(stretch, trial):
        crops = CropConfig(rotation=0, scale=0, stretch=stretch)
        seed = tf.constant([0, trial], tf.int64)
        corner, *others = random_crop(example, crops, seed)[1].numpy()
        return np.stack(others) - corner

    still = triangle(0, 0)
    drawn = [triangle(0.2, trial) for trial in range(40)]
    areas = np.linalg.det(drawn) / np.linalg.det(still)
    lengths = np.linalg.norm(drawn, axis=2) / np.linalg.norm(still, axis=1)

    np.testing.assert_allclose(areas, 1, rtol=1e-4)
    # Both sides are stretched at times and shrunk at others, never beyond a fifth or
    # its inverse of 0.8.
    assert (lengths.max(axis=0) > 1.1).all() and (lengths.min(axis=0) < 0.9).all()
    assert lengths.max() < 1 / 0.8 + 1e-3 and lengths.min() > 0.8 - 1e-3


def test_crops_near_a_landmark_contain_it_and_others_lie_anywhere(images):
    example = next(iter(images))

    def inside(near):
        crops = CropConfig(near_landmark=near, rotation=0, scale=0)
        found = []
        for trial in range(60):
            _, points = random_crop(example, crops, tf.constant([0, trial], tf.int64))
            found.append(((points > -1) & (points < 128)).numpy().all(axis=1).any())
        return np.mean(found)

    assert inside(near=1) == 1
    assert inside(near=0) < 0.8


def test_whole_images_move_by_the_shift_at_most(images):
    example = next(iter(images))
    still = CropConfig(rotation=0, scale=0, shift=0)
    moved = CropConfig(rotation=0, scale=0, shift=30)
    seeds = [tf.constant([0, trial], tf.int64) for trial in range(20)]
    _, middle = random_whole(example, still, 2, seeds[0])
    drawn = [random_whole(example, moved, 2, seed)[1] for seed in seeds]

    shifts = 2 * np.abs(np.stack(drawn) - middle.numpy())
    assert shifts.max() <= 30 + 1e-3
    assert shifts.max(axis=(0, 1)).min() > 15


def test_an_image_without_any_landmark_is_cropped_anywhere():
    example = {
        "image": tf.random.uniform([50, 60]),
        "pixel_spacing": tf.constant([1.0, 1.0]),
        "landmarks": tf.fill([2, 2], np.nan),
    }

    image, points = random_crop(
        example, CropConfig(near_landmark=1), tf.constant([0, 0], tf.int64)
    )

    assert np.isfinite(image).all() and np.isnan(points).all()


FLAT = {
    "image": tf.ones([400, 480]),
    "pixel_spacing": tf.constant([1.2, 0.9375]),
    "landmarks": tf.constant([[200.0, 180.0], [260.0, 230.0], [np.nan, np.nan]]),
}


def cut_whole(cut, trial, example=FLAT):
    """Where a flat image's pixels begin and end on the canvas, and its landmarks."""
    crops = CropConfig(rotation=0, scale=0, gain=0, gamma=0, shift=0, cut=cut)
    seed = tf.constant([1, trial], tf.int64)
    image, points = random_whole(example, crops, 1, seed)
    lit = image.numpy()[..., 0]
    columns, rows = (np.flatnonzero(lit.max(axis=axis) > 0.5) for axis in (0, 1))
    assert set(np.unique(lit[rows[1] : rows[-1], columns[1] : columns[-1]])) == {1.0}
    begin, end = [columns[0], rows[0]], [columns[-1], rows[-1]]
    return np.array([begin, end]), points.numpy()


def test_a_cut_image_ends_15_to_100_mm_beyond_the_landmarks():
    found = [cut_whole(1, trial) for trial in range(40)]

    margins = np.array(
        [
            [np.nanmin(points, axis=0) - ends[0], ends[1] - np.nanmax(points, axis=0)]
            for ends, points in found
        ]
    ) * (0.9375)
    assert margins.min() > 15 - 1.5 and margins.max() < 100 + 1.5
    # Each side by a draw of its own.
    assert (margins.min(axis=0) < 30).all() and (margins.max(axis=0) > 85).all()
    sides = margins.reshape(len(found), 4).T
    assert np.abs(np.corrcoef(sides) - np.eye(4)).max() < 0.6
    # The landmarks are as far apart as ever, 60 x 0.9375 and 50 x 1.2 mm.
    apart = np.array([points[1] - points[0] for _, points in found]) * 0.9375
    np.testing.assert_allclose(apart, np.tile([56.25, 60], (40, 1)), rtol=1e-5)


def test_a_cut_never_reaches_beyond_the_image():
    corner = {**FLAT, "landmarks": tf.constant([[3.0, 2.0], [476.0, 397.0]])}
    whole, still = cut_whole(0, 0, corner)

    for trial in range(5):
        ends, points = cut_whole(1, trial, corner)
        np.testing.assert_array_equal(ends, whole)
        np.testing.assert_array_equal(points, still)


def test_the_share_of_cut_images_is_what_it_says():
    whole, _ = cut_whole(0, 0)

    cut = [(cut_whole(0.3, trial)[0] != whole).any() for trial in range(100)]

    assert 0.15 < np.mean(cut) < 0.45


def test_an_image_without_any_landmark_is_not_cut():
    bare = {**FLAT, "landmarks": tf.fill([2, 2], np.nan)}

    np.testing.assert_array_equal(cut_whole(1, 0, bare)[0], cut_whole(0, 0, bare)[0])


def test_a_crop_of_a_cut_image_shows_its_landmark_where_it_is():
    y, x = np.mgrid[:400, :480]
    spot = np.exp(-((x - 260) ** 2 + (y - 230) ** 2) / 32).astype("f4")
    example = {**FLAT, "image": tf.constant(spot)}
    example["landmarks"] = tf.constant([[260.0, 230.0]])
    crops = CropConfig(near_landmark=1, rotation=0, scale=0, gain=0, gamma=0, cut=1)
    for trial in range(8):
        seed = tf.constant([1, trial], tf.int64)
        image, points = random_crop(example, crops, seed)

        brightest = np.unravel_index(image.numpy().argmax(), (128, 128))
        np.testing.assert_allclose(brightest[::-1], points[0], atol=1)


def test_what_is_drawn_newly_moves_no_crop(images):
    # Shares and sizes of nearly nothing: the numbers are drawn, and change nothing.
    still = CropConfig(rotation=35, scale=0.25, stretch=0.2)
    drawn = replace(
        still, exposure=1e-9, curve=1e-9, shading=1e-9, noise=1e-9, cut=1e-9
    )
    for trial, example in enumerate(images.take(4)):
        seed = tf.constant([trial, 7], tf.int64)
        for draw in (random_crop, lambda e, c, s: random_whole(e, c, 2, s)):
            image, points = draw(example, still, seed)
            other, others = draw(example, drawn, seed)
            np.testing.assert_allclose(image, other, atol=1e-5)
            np.testing.assert_array_equal(points, others)
