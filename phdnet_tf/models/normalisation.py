"""Batch normalisation by TensorFlow's fused kernel, which Keras 3 does not use."""

import keras
import tensorflow as tf

MOMENTUM = 0.9
"""PyTorch's default, and therefore the author's. Keras's 0.99 lags a hundred steps
behind, which is long in a short training."""


@keras.saving.register_keras_serializable(package="phdnet_tf")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalisation of [B, H, W, C], in one kernel while training.

    It has Keras's weights, arguments and arithmetic. Keras itself does the work where
    the kernel cannot: at inference, in a backend other than TensorFlow, and on several
    devices, whose statistics Keras synchronises.
    """

    def call(
        self,
        inputs: keras.KerasTensor,
        training: bool | None = None,
        mask: keras.KerasTensor | None = None,
    ) -> keras.KerasTensor:
        """Float32[B, H, W, C] -> the same shape; see Keras's `BatchNormalization`."""
        if (
            not (training and self.trainable)
            or keras.backend.backend() != "tensorflow"
            or tf.distribute.get_strategy().num_replicas_in_sync > 1
        ):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
        )
        # The kernel gives the unbiased variance; Keras keeps the biased one.
        count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], variance.dtype)
        variance *= (count - 1) / count
        for moving, batch in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs


def normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Batch normalisation and a rectifier, as after every convolution.

    Args:
        x: float32[B, H, W, C].
        name: Start of the layers' names.

    Returns:
        float32[B, H, W, C].
    """
    x = FusedBatchNormalization(
        momentum=MOMENTUM, synchronized=_several_devices(), name=f"{name}_normalisation"
    )(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _several_devices() -> bool:
    return tf.distribute.get_strategy().num_replicas_in_sync > 1
