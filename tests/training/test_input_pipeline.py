import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf import geometry
from phdnet_tf.config import CropConfig, ModelConfig
from phdnet_tf.decoding import peak
from phdnet_tf.presets import make_config
from phdnet_tf.training import crops, input_pipeline

STILL = CropConfig(rotation=0, scale=0, gain=0, gamma=0)
MODEL = ModelConfig(("a", "b"))


def spot_images(count=6, seed=0):
    """Images of any size and spacing with a soft bright spot at each landmark."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        height, width = rng.integers(150, 300, 2)
        spacing = rng.uniform(0.8, 1.8, 2)
        landmarks = rng.uniform(40, 110, (2, 2))
        y, x = np.mgrid[:height, :width]
        image = np.full((height, width), 0.1)
        for px, py in landmarks:
            # Round in millimetres, 4 mm wide, so that interpolation hardly matters.
            squared = ((x - px) * spacing[1]) ** 2 + ((y - py) * spacing[0]) ** 2
            image += np.exp(-squared / 32)
        if number % 3 == 2:
            landmarks[1] = np.nan
        yield {
            "image": image.astype("f4"),
            "pixel_spacing": spacing.astype("f4"),
            "landmarks": landmarks.astype("f4"),
        }


@pytest.fixture(scope="module")
def examples():
    signature = {
        "image": tf.TensorSpec([None, None], tf.float32),
        "pixel_spacing": tf.TensorSpec([2], tf.float32),
        "landmarks": tf.TensorSpec([None, 2], tf.float32),
    }
    data = tf.data.Dataset.from_generator(spot_images, output_signature=signature)
    return input_pipeline.normalised(data)


def batches(examples, seed=0, first=0, crops=None, number=3):
    stream = input_pipeline.training_batches(
        examples, 6, MODEL, crops or CropConfig(), 4, seed, first
    )
    return list(stream.take(number).as_numpy_iterator())


def test_the_landmark_stays_on_its_spot_through_every_augmentation(examples):
    crops = CropConfig(near_landmark=1, rotation=180, scale=0.3, stretch=0.3)
    checked = 0
    for number, example in enumerate(examples.take(6)):
        for trial in range(8):
            image, points = crops.random_crop(
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
    _, points = crops.random_crop(example, STILL, tf.constant([0, 0], tf.int64))

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
        corner, *others = crops.random_crop(example, crops, seed)[1].numpy()
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
            _, points = crops.random_crop(
                example, crops, tf.constant([0, trial], tf.int64)
            )
            found.append(((points > -1) & (points < 128)).numpy().all(axis=1).any())
        return np.mean(found)

    assert inside(near=1) == 1
    assert inside(near=0) < 0.8


def test_the_same_seed_gives_the_same_crops_and_another_seed_others(examples):
    first, again, other = (batches(examples, seed) for seed in (3, 3, 4))

    for one, two in zip(first, again, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, two)
    assert not np.array_equal(first[0][0], other[0][0])


def test_a_stream_taken_up_later_goes_on_as_it_would_have(examples):
    whole = batches(examples, number=5)
    rest = batches(examples, first=3, number=2)

    for one, two in zip(whole[3:], rest, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, two)


def test_no_two_crops_of_an_image_are_the_same(examples):
    near = CropConfig(near_landmark=1)  # elsewhere two crops may be all air
    drawn = batches(examples, crops=near, number=6)
    images = np.concatenate([batch[0] for batch in drawn])

    assert len({image.tobytes() for image in images}) == len(images)


def test_batches_have_crops_labels_and_weights(examples):
    images, labels, weights = batches(examples)[0]

    assert images.shape == (4, 128, 128, 1)
    assert labels["heatmap"].shape == weights["heatmap"].shape == (4, 16, 16, 2)
    assert labels["displacement"].shape == (4, 16, 16, 2, 2)
    assert weights["displacement"].shape == (4, 16, 16, 2)


@pytest.mark.parametrize("network", ["hourglass", "unet"])
def test_a_landmark_stays_on_its_spot_in_whole_images(examples, network):
    config = make_config(network, "sa", ("a", "b"))
    crops = CropConfig(shift=20)
    checked = 0
    stream = input_pipeline.training_batches(
        examples, 6, config.model, crops, 2, seed=1
    )
    for images, labels, weights in stream.take(6).as_numpy_iterator():
        assert images.shape == (2, 256, 256, 1)
        heat, weight = labels["heatmap"], weights["heatmap"]
        points, height = peak.peak(heat, 256 // heat.shape[1])
        known = (weight > 0).all(axis=(1, 2)) & (np.asarray(height) > 0.5)
        for index, landmark in zip(*np.nonzero(known), strict=True):
            px, py = np.asarray(points)[index, landmark]
            y, x = np.mgrid[:256, :256]
            near = np.hypot(x - px, y - py) < 5
            rest = images[index, ..., 0]
            spot = np.where(near, rest - rest[near].min(), 0)
            centre = np.array([(spot * x).sum(), (spot * y).sum()]) / spot.sum()
            others = np.asarray(points)[index, 1 - landmark] - [px, py]
            if np.abs(others).max() > 20 and 8 < min(px, py) < max(px, py) < 248:
                np.testing.assert_allclose(centre, [px, py], atol=0.4)
                checked += 1
    assert checked >= 6


def test_whole_images_move_by_the_shift_at_most(examples):
    example = next(iter(examples))
    still = CropConfig(rotation=0, scale=0, shift=0)
    moved = CropConfig(rotation=0, scale=0, shift=30)
    seeds = [tf.constant([0, trial], tf.int64) for trial in range(20)]
    _, middle = crops.random_whole(example, still, 2, seeds[0])
    drawn = [crops.random_whole(example, moved, 2, seed)[1] for seed in seeds]

    shifts = 2 * np.abs(np.stack(drawn) - middle.numpy())
    assert shifts.max() <= 30 + 1e-3
    assert shifts.max(axis=(0, 1)).min() > 15


def test_an_image_without_any_landmark_is_cropped_anywhere():
    example = {
        "image": tf.random.uniform([50, 60]),
        "pixel_spacing": tf.constant([1.0, 1.0]),
        "landmarks": tf.fill([2, 2], np.nan),
    }

    image, points = crops.random_crop(
        example, CropConfig(near_landmark=1), tf.constant([0, 0], tf.int64)
    )

    assert np.isfinite(image).all() and np.isnan(points).all()


def test_validation_of_whole_images_has_its_labels_on_the_same_canvas(examples):
    for network in ("hourglass", "unet"):
        model = make_config(network, "sa", ("a", "b")).model
        images, labels, _ = next(
            iter(input_pipeline.validation_batches(examples, 6, model))
        )
        heat = labels["heatmap"]

        found, _ = peak.peak(heat, 512 // heat.shape[1])

        example = next(iter(examples))
        height, width = example["image"].shape
        expected = geometry.image_to_canvas(
            example["landmarks"][None], height, width, example["pixel_spacing"][None]
        )
        assert images.shape == (4, 256, 256, 1)
        np.testing.assert_allclose(found[0], expected[0], atol=0.05)


def test_validation_covers_every_image_once_on_whole_canvases(examples):
    data = input_pipeline.validation_batches(examples, 6, MODEL)
    images, labels, weights = next(iter(data))
    example = next(iter(examples))

    assert sum(len(batch[0]) for batch in data) == 6 and len(data) == 2
    assert images.shape == (4, 512, 512, 1)
    height, width = example["image"].shape
    for index, (x, y) in enumerate(example["landmarks"].numpy()):
        scale = example["pixel_spacing"].numpy()[::-1] / 0.9375
        on_canvas = ([x, y] - (np.array([width, height]) - 1) / 2) * scale + 255.5
        column, row = np.floor((on_canvas + 0.5) / 8).astype(int)
        heat = labels["heatmap"].numpy()[0, :, :, index]
        assert np.unravel_index(heat.argmax(), heat.shape) == (row, column)
        assert weights["displacement"].numpy()[0, row, column, index] == 1
