import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf import geometry
from phdnet_tf.config import CropConfig, ModelConfig
from phdnet_tf.decoding import peak
from phdnet_tf.presets import make_config
from phdnet_tf.training import input_pipeline
from phdnet_tf.training.kept import Kept

MODEL = ModelConfig(("a", "b"))


def batches(examples, seed=0, first=0, crops=None, number=3):
    stream = input_pipeline.training_batches(
        examples, MODEL, crops or CropConfig(), 4, seed, first
    )
    return list(stream.take(number).as_numpy_iterator())


def validation(examples, model):
    drawn = Kept(input_pipeline.canvases(examples.in_order(), model))
    return input_pipeline.validation_batches(drawn, model)


def test_the_same_seed_gives_the_same_crops_and_another_seed_others(examples):
    first, again, other = (batches(examples, seed) for seed in (3, 3, 4))

    for one, two in zip(first, again, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, two)
    assert not np.array_equal(first[0][0], other[0][0])


def test_what_is_learnt_from_is_turned_the_usual_way_round():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 9, (30, 20)).astype("f4")
    points = np.array([[3, 7], [np.nan, np.nan]], "f4")
    # x goes to the back, y to the right: what is (x, y) = (3, 7) lies 3 rows down, and
    # 7 columns from the last of 30, in the picture in which x goes to the left.
    example = {
        "image": pixels,
        "pixel_spacing": np.array([1.5, 1.25], "f4"),
        "orientation": np.array([0, 1, 0, -1, 0, 0], "f4"),
        "landmarks": points,
    }
    data = tf.data.Dataset.from_tensors(example)

    [found] = input_pipeline.normalised(data, [(1, 0, 0, 0, 1, 0)])
    [left] = input_pipeline.normalised(data, ())

    turned = left["image"].numpy().T[:, ::-1]
    np.testing.assert_allclose(found["image"], turned, rtol=1e-6)
    np.testing.assert_array_equal(found["pixel_spacing"], [1.25, 1.5])
    np.testing.assert_array_equal(found["landmarks"][0], [29 - 7, 3])
    assert np.isnan(found["landmarks"][1]).all()
    np.testing.assert_array_equal(left["landmarks"], points)


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
    stream = input_pipeline.training_batches(examples, config.model, crops, 2, seed=1)
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


def test_validation_of_whole_images_has_its_labels_on_the_same_canvas(examples):
    for network in ("hourglass", "unet"):
        model = make_config(network, "sa", ("a", "b")).model
        images, labels, _ = next(iter(validation(examples, model)))
        heat = labels["heatmap"]

        found, _ = peak.peak(heat, 512 // heat.shape[1])

        example = next(iter(examples.in_order()))
        height, width = example["image"].shape
        expected = geometry.image_to_canvas(
            example["landmarks"][None], height, width, example["pixel_spacing"][None]
        )
        assert images.shape == (4, 256, 256, 1)
        np.testing.assert_allclose(found[0], expected[0], atol=0.05)


def test_validation_covers_every_image_once_on_whole_canvases(examples):
    data = validation(examples, MODEL)
    images, labels, weights = next(iter(data))
    example = next(iter(examples.in_order()))

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
