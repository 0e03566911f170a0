import keras
import numpy as np
import tensorflow as tf

from phdnet_tf.models.phdnet import build_phdnet
from phdnet_tf.training.labels import patch_labels
from phdnet_tf.training.losses import ContainsLoss, DisplacementLoss, HeatmapLoss


def test_the_heatmap_loss_is_the_weighted_mean_squared_error():
    rng = np.random.default_rng(0)
    true, predicted, weight = rng.random((3, 2, 4, 5, 3)).astype("f4")

    loss = HeatmapLoss()(true, predicted, sample_weight=weight)

    np.testing.assert_allclose(
        loss, np.mean(weight * (true - predicted) ** 2), rtol=1e-5
    )


def test_the_displacement_loss_is_the_weighted_mean_squared_error_of_x_and_y():
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=(2, 2, 4, 5, 3, 2)).astype("f4")
    weight = rng.random((2, 4, 5, 3)).astype("f4")

    loss = DisplacementLoss()(true, predicted, sample_weight=weight)

    squared = ((true - predicted) ** 2).mean(axis=-1)
    np.testing.assert_allclose(loss, np.mean(weight * squared), rtol=1e-5)


def test_losses_survive_serialisation():
    for loss in (HeatmapLoss(), DisplacementLoss()):
        restored = keras.losses.deserialize(keras.losses.serialize(loss))
        assert type(restored) is type(loss)


def gradients(model, images, landmarks):
    labels, weights = patch_labels(np.asarray(landmarks, "f4"), 2, 2, "gaussian", 2.0)
    with tf.GradientTape() as tape:
        outputs = model(images, training=False)
        loss = HeatmapLoss()(
            labels["heatmap"], outputs["heatmap"], sample_weight=weights["heatmap"]
        ) + DisplacementLoss()(
            labels["displacement"],
            outputs["displacement"],
            sample_weight=weights["displacement"],
        )
    return tape.gradient(loss, [v.value for v in model.trainable_variables])


def test_a_nan_landmark_changes_no_gradient():
    keras.utils.set_random_seed(0)
    model = build_phdnet(2)
    images = np.random.default_rng(0).random((2, 16, 16, 1)).astype("f4")
    some = [[[3, 4], [np.nan, np.nan]], [[9, 9], [np.nan, 5]]]
    shared, lone = gradients(model, images, some), {}

    # The second landmark's own heads learn nothing from it ...
    for variable, gradient in zip(model.trainable_variables, shared, strict=True):
        assert np.isfinite(gradient).all(), variable.path
        lone[variable.path] = np.abs(gradient)
    assert lone["heatmap/kernel"][..., 0].max() > 0
    assert lone["heatmap/kernel"][..., 1].max() == 0
    assert lone["displacement_xy/kernel"][..., [1, 3]].max() == 0

    # ... and the shared layers learn exactly what the first landmark alone teaches.
    for head in ("heatmap", "displacement_xy"):
        layer = model.get_layer(head)
        kernel, bias = layer.get_weights()
        kernel[..., 1::2] = 50
        layer.set_weights([kernel, bias])
    for before, after, variable in zip(
        shared,
        gradients(model, images, some),
        model.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(before, after, atol=1e-7, err_msg=variable.path)


def test_the_baselines_loss_is_the_weighted_cross_entropy_of_logits():
    rng = np.random.default_rng(0)
    true = (rng.random((2, 4, 5, 3)) < 0.2).astype("f4")
    logits, weight = rng.normal(size=(2, 2, 4, 5, 3)).astype("f4")
    weight = np.abs(weight)

    loss = ContainsLoss()(true, logits, sample_weight=weight)

    probability = 1 / (1 + np.exp(-logits))
    entropy = -np.log(np.where(true == 1, probability, 1 - probability))
    np.testing.assert_allclose(loss, np.mean(weight * entropy), rtol=1e-5)
