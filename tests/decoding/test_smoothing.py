import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf.decoding.simple import simple
from phdnet_tf.decoding.smoothing import HEAT_STD, WEIGHTED_STD, smooth
from phdnet_tf.geometry import encode_displacement, patch_centres
from phdnet_tf.training.labels import patch_labels


def perfect_heads(points, rows, columns):
    labels, _ = patch_labels(np.asarray(points, "f4"), rows, columns, "gaussian", 2.0)
    return labels["heatmap"], labels["displacement"]


def random_heads(rows=20, columns=24, landmarks=2, seed=0):
    rng = np.random.default_rng(seed)
    heat = rng.normal(0.2, 0.3, (3, rows, columns, landmarks)).astype("f4")
    code = rng.normal(0, 2, (3, rows, columns, landmarks, 2)).astype("f4")
    return heat, code


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (64, 40), (24, 48), (16, 16)])
def test_perfect_heads_give_back_the_landmark(rows, columns):
    right, bottom = columns * 8 - 1, rows * 8 - 1
    rng = np.random.default_rng(0)
    corners = [[0, 0], [right, 0], [0, bottom], [right, bottom]]
    edges = [[-0.5, -0.5], [right + 0.5, bottom + 0.5], [right / 2, -0.5], [0, 11.3]]
    inside = rng.uniform(0, [right, bottom], (192, 2))
    points = np.concatenate([corners, edges, inside]).reshape(-1, 4, 2)

    found = smooth(*perfect_heads(points, rows, columns))
    direct, _ = simple(*perfect_heads(points, rows, columns))

    assert np.abs(found.landmarks - points).max() <= 0.51
    np.testing.assert_allclose(direct, points, atol=1e-3)


def test_smoothing_is_the_papers_equations():
    """Equations 2 and 3, patch by patch and pixel by pixel in NumPy."""
    heat, code = random_heads()
    found = smooth(heat, code)

    rows, columns = heat.shape[1:3]
    displacement = np.sign(code) * (2 ** np.abs(code) - 1)
    pixels = np.arange(128)
    for image in range(3):
        for landmark in range(2):
            positive = np.maximum(heat[image, :, :, landmark], 0)
            sums = {
                (top, left): positive[top : top + 16, left : left + 16].sum()
                for top in range(rows - 15)
                for left in range(columns - 15)
            }
            top, left = max(sums, key=sums.get)
            np.testing.assert_array_equal(
                found.corner[image, landmark], [left * 8, top * 8]
            )
            votes = np.zeros((128, 128))
            for i in range(16):
                for j in range(16):
                    dx, dy = displacement[image, top + i, left + j, landmark]
                    x, y = 8 * j + 3.5 + dx, 8 * i + 3.5 + dy
                    votes += np.exp(
                        -((pixels - x) ** 2 + (pixels[:, None] - y) ** 2) / 2
                    )
            area = positive[top : top + 16, left : left + 16]
            mirrored = np.pad(area, 16, mode="symmetric")
            patches = np.arange(-16, 32)
            kernel = np.exp(
                -((((pixels[:, None] - 3.5) / 8 - patches) / HEAT_STD) ** 2) / 2
            )
            kernel /= kernel.sum(axis=1, keepdims=True)
            expected = votes * (kernel @ mirrored @ kernel.T)

            smoothed = found.candidate_map[image, landmark].numpy()
            np.testing.assert_allclose(smoothed, expected, rtol=1e-3, atol=1e-5)
            y, x = np.unravel_index(smoothed.argmax(), smoothed.shape)
            np.testing.assert_array_equal(
                found.landmarks[image, landmark], [left * 8 + x, top * 8 + y]
            )
            np.testing.assert_allclose(
                found.confidence[image, landmark], expected.max(), rtol=1e-3
            )


@pytest.mark.parametrize("strategy", [smooth, simple])
def test_transposed_heads_give_transposed_landmarks(strategy):
    heat, code = random_heads()

    found, confidence, *_ = strategy(heat, code)
    turned, turned_confidence, *_ = strategy(
        heat.transpose(0, 2, 1, 3), code.transpose(0, 2, 1, 3, 4)[..., ::-1]
    )

    np.testing.assert_allclose(turned, found.numpy()[..., ::-1], atol=1e-4)
    np.testing.assert_allclose(turned_confidence, confidence, rtol=1e-4)


def test_images_and_landmarks_do_not_see_each_other():
    heat, code = random_heads()

    together = smooth(heat, code)
    alone = smooth(heat[1:2, ..., 1:], code[1:2, ..., 1:, :])

    np.testing.assert_array_equal(together.landmarks[1, 1], alone.landmarks[0, 0])
    np.testing.assert_allclose(together.confidence[1, 1], alone.confidence[0, 0])


def test_a_consensus_of_votes_overrules_a_single_hot_patch():
    """The misidentification that candidate smoothing is for (section 3.2)."""
    heat, code = (np.array(head) for head in perfect_heads([[[60.0, 60.0]]], 32, 32))
    heat[0, 12, 12, 0] = 1.3  # a lone mistake of the heatmap head, pointing at itself
    code[0, 12, 12, 0] = 0

    wrong, _ = simple(heat, code)
    right = smooth(heat, code).landmarks

    np.testing.assert_allclose(wrong[0, 0], [99.5, 99.5])
    assert np.abs(right[0, 0] - [60, 60]).max() <= 0.51


def test_two_negatives_make_no_peak():
    heat = np.full((1, 16, 16, 1), -1, "f4")
    code = encode_displacement(
        np.broadcast_to(50.0 - patch_centres(16, 16), (16, 16, 2))
    )

    found = smooth(heat, code[None, :, :, None])

    assert found.confidence.numpy() == 0


def test_agreement_is_confidence():
    heat, code = (np.array(head) for head in perfect_heads([[[60.0, 60.0]]], 16, 16))
    scattered = code + np.random.default_rng(0).normal(0, 1, code.shape).astype("f4")

    assert smooth(heat, code).confidence > 5 * smooth(heat, scattered).confidence


def test_the_same_function_runs_inside_another_graph():
    heads = random_heads()

    direct = smooth(*heads)
    nested = tf.function(lambda h, d: smooth(h, d))(*heads)

    np.testing.assert_array_equal(nested.landmarks, direct.landmarks)


def test_weighted_votes_count_as_much_as_their_heat():
    """As equations 2 and 3, in NumPy, with each vote times its patch's heat."""
    heat, code = random_heads(16, 16, 1)
    plain = smooth(heat, code).candidate_map.numpy()
    found = smooth(heat, code, weighted=True)

    displacement = np.sign(code) * (2 ** np.abs(code) - 1)
    pixels = np.arange(128)
    y, x = pixels[:, None], pixels
    for image in range(3):
        positive = np.maximum(heat[image, :, :, 0], 0)
        votes, narrow = np.zeros((2, 128, 128))
        for i in range(16):
            for j in range(16):
                dx, dy = displacement[image, i, j, 0]
                squared = (x - 8 * j - 3.5 - dx) ** 2 + (y - 8 * i - 3.5 - dy) ** 2
                votes += positive[i, j] * np.exp(-squared / (2 * WEIGHTED_STD**2))
                narrow += np.exp(-squared / 2)
        seen = narrow > 1e-3  # where the unweighted map tells the smoothed heat
        expected = votes[seen] * plain[image, 0][seen] / narrow[seen]
        np.testing.assert_allclose(
            found.candidate_map[image, 0].numpy()[seen], expected, rtol=2e-3, atol=1e-5
        )


@pytest.mark.parametrize("place", [(60.0, 60.0), (61.3, 58.8), (70.5, 66.2)])
def test_weighted_votes_find_a_fraction_of_a_pixel(place):
    heads = perfect_heads([[list(place)]], 32, 32)

    found = smooth(*heads, weighted=True).landmarks

    np.testing.assert_allclose(found[0, 0], place, atol=0.1)


def test_the_maps_of_several_networks_are_averaged_over_one_area():
    first, second = random_heads(16, 16, seed=1), random_heads(16, 16, seed=2)
    both = [np.concatenate(heads) for heads in zip(first, second, strict=True)]

    found = smooth(*both, members=2)

    maps = [smooth(*heads).candidate_map.numpy() for heads in (first, second)]
    np.testing.assert_allclose(
        found.candidate_map, (maps[0] + maps[1]) / 2, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        found.confidence, found.candidate_map.numpy().max(axis=(2, 3)), rtol=1e-6
    )


def test_the_area_of_several_networks_is_that_of_their_mean_heat():
    heat, code = np.zeros((2, 40, 16, 1), "f4"), np.zeros((2, 40, 16, 1, 2), "f4")
    heat[0, 2:6] = 1.0  # one network is sure of the upper end,
    heat[1, 30:34] = 1.5  # the other surer of the lower one

    found = smooth(heat, code, members=2)

    top = found.corner[0, 0, 1] / 8
    assert 18 <= top <= 30
