import numpy as np
import pytest

from phdnet_tf.models.phdnet import build_phdnet


@pytest.mark.parametrize("landmarks", [1, 3])
def test_heads_have_a_value_for_every_patch_of_any_image(landmarks):
    model = build_phdnet(landmarks)

    for rows, columns in [(16, 16), (5, 9)]:
        image = np.zeros((2, rows * 8, columns * 8, 1), "f4")
        outputs = model(image)
        assert outputs["heatmap"].shape == (2, rows, columns, landmarks)
        assert outputs["displacement"].shape == (2, rows, columns, landmarks, 2)


def test_the_papers_network_has_about_60_thousand_parameters():
    # By hand: 3x3 convolutions 9 x 32 and five of 9 x 32 x 32, two branches of 32 x 64
    # and 64 x 96, offsets and scales of the normalisations, heads of 96 + 1 and 2 x 97.
    convolutions = 9 * 32 + 5 * 9 * 32 * 32 + 2 * (32 * 64 + 64 * 96)
    normalisations = 2 * (6 * 32 + 2 * (64 + 96))
    heads = 97 + 2 * 97
    model = build_phdnet(1)

    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)

    assert trainable == convolutions + normalisations + heads
    assert round(trainable / 1e6, 2) == 0.06


@pytest.mark.parametrize(
    ("shape", "first", "last"),
    [
        # Patch 16 covers 128 to 135. In the paper's network it sees 70 pixels.
        ({}, 97, 166),
        # A dilation of 2 adds 2 patches, 16 pixels, either way.
        ({"dilations": (2,)}, 81, 182),
        # By hand, from the patch back: pixels 32 and 33 after the second block, 31 to
        # 34 before its convolution, 62 to 69 and 61 to 70 likewise, and 4 pixels from
        # 2 x 61 - 1 to 2 x 70 + 2 for the first.
        ({"filters": (8, 8, 8), "strided": True}, 121, 142),
    ],
)
def test_a_patch_sees_as_much_as_its_convolutions_reach(shape, first, last):
    model = build_phdnet(1, **shape)
    # All weights positive and no offsets: whatever is seen has an effect.
    for variable in model.variables:
        positive = any(
            word in variable.path for word in ("kernel", "gamma", "variance")
        )
        variable.assign(np.full(variable.shape, 0.1 * positive))
    columns = [first - 1, first, last, last + 1]
    images = np.zeros((4, 256, 256, 1), "f4")
    images[range(4), :, columns] = 1

    heat = np.asarray(model(images)["heatmap"])[:, 16, 16, 0]

    assert (heat > 0).tolist() == [False, True, True, False]
