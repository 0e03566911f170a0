import numpy as np
import tensorflow as tf

from phdnet_tf.config import CropConfig
from phdnet_tf.training.crops import random_crop, random_whole

STILL = CropConfig(rotation=0, scale=0, gain=0, gamma=0)


def test_the_landmark_stays_on_its_spot_through_every_augmentation(examples):
    crops = CropConfig(near_landmark=1, rotation=180, scale=0.3, stretch=0.3)
    checked = 0
    for number, example in enumerate(examples.take(6)):
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


def test_a_crop_without_augmentation_has_the_canvas_resolution(examples):
    example = next(iter(examples))
    _, points = random_crop(example, STILL, tf.constant([0, 0], tf.int64))

    between = (example["landmarks"][1] - example["landmarks"][0]).numpy()
    millimetres = between * example["pixel_spacing"].numpy()[::-1]
    np.testing.assert_allclose(
        (points[1] - points[0]) * 0.9375, millimetres, rtol=1e-4, atol=1e-4
    )


def test_a_stretch_changes_lengths_and_keeps_the_area(examples):
    example = dict(next(iter(examples)))
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


def test_crops_near_a_landmark_contain_it_and_others_lie_anywhere(examples):
    example = next(iter(examples))

    def inside(near):
        crops = CropConfig(near_landmark=near, rotation=0, scale=0)
        found = []
        for trial in range(60):
            _, points = random_crop(example, crops, tf.constant([0, trial], tf.int64))
            found.append(((points > -1) & (points < 128)).numpy().all(axis=1).any())
        return np.mean(found)

    assert inside(near=1) == 1
    assert inside(near=0) < 0.8


def test_whole_images_move_by_the_shift_at_most(examples):
    example = next(iter(examples))
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
