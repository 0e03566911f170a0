import keras
import numpy as np
import pytest
import tensorflow as tf

from phdnet_tf.models.normalisation import FusedBatchNormalization


def random_layer(kind, rng):
    layer = kind(momentum=0.9)
    layer.build((None, None, None, 3))
    layer.set_weights(rng.uniform(0.5, 2, (4, 3)) * [[-1, 1, 1], *[[1, 1, 1]] * 3])
    return layer


@pytest.mark.parametrize("training", [True, False])
def test_it_is_keras_normalisation_to_rounding(training):
    layers = [
        random_layer(kind, np.random.default_rng(0))
        for kind in (FusedBatchNormalization, keras.layers.BatchNormalization)
    ]
    x = tf.constant(np.random.default_rng(1).normal(3, 2, (2, 5, 4, 3)), tf.float32)
    results = []
    for layer in layers:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            loss = tf.reduce_sum(y**3)
        results.append([y, tape.gradient(loss, x), *layer.get_weights()])

    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)


def test_the_moving_statistics_are_the_biased_ones():
    layer = FusedBatchNormalization(momentum=0.75)
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 1)).astype("f4")

    layer(x, training=True)

    mean, variance = layer.get_weights()[2:]
    np.testing.assert_allclose(mean, x.mean() / 4, rtol=1e-5)
    np.testing.assert_allclose(variance, 0.75 + x.var() / 4, rtol=1e-5)


def test_several_devices_leave_it_to_keras(monkeypatch):
    called = []
    usual = keras.layers.BatchNormalization.call

    def note(self, *args, **kwargs):
        called.append(1)
        return usual(self, *args, **kwargs)

    monkeypatch.setattr(keras.layers.BatchNormalization, "call", note)
    layer = FusedBatchNormalization()
    layer.build((None, None, None, 1))
    layer(tf.zeros([1, 2, 2, 1]), training=True)
    assert not called

    cpu = tf.config.list_logical_devices("CPU")[0].name
    strategy = tf.distribute.MirroredStrategy([cpu])
    monkeypatch.setattr(
        type(strategy), "num_replicas_in_sync", property(lambda self: 2)
    )
    with strategy.scope():
        layer(tf.zeros([1, 2, 2, 1]), training=True)

    assert called
