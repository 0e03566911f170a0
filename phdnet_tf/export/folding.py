"""Folds batch normalisation into the convolutions before it, for served models."""

import keras
import numpy as np
from keras import layers, ops

CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose)


@keras.saving.register_keras_serializable(package="phdnet_tf")
class ScaleAndOffset(layers.Layer):
    """Batch normalisation after training, [B, H, W, C]: x * scale + offset."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the two weights, float32[C]."""
        channels = input_shape[-1:]
        self.scale = self.add_weight(shape=channels, name="scale")
        self.offset = self.add_weight(shape=channels, name="offset")

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Float32[B, H, W, C] -> the same shape."""
        return inputs * ops.cast(self.scale, inputs.dtype) + ops.cast(
            self.offset, inputs.dtype
        )


def fold_normalisation(network: keras.Model) -> keras.Model:
    """A network for inference, with its batch normalisation folded.

    If only the batch normalisation uses a convolution's output, it is folded into the
    convolution's weights. Otherwise it becomes a scale and an offset.

    Args:
        network: A trained functional model of this package.

    Returns:
        A model with the same inputs and outputs and its own weights. It agrees with
        `network(images, training=False)` up to rounding. It cannot be trained further,
        because it has no batch normalisation.
    """
    folded: dict[str, layers.BatchNormalization] = {}
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            [node] = layer._inbound_nodes
            [before] = {each.operation for each in node.parent_nodes}
            alone = len(before._outbound_nodes) == 1
            if isinstance(before, CONVOLUTIONS) and alone:
                folded[before.name] = layer
    taken_in = {layer.name for layer in folded.values()}

    def clone(layer: layers.Layer) -> layers.Layer:
        if layer.name in taken_in:
            return layers.Identity(name=layer.name, dtype="float32")
        if isinstance(layer, layers.BatchNormalization):
            return ScaleAndOffset(name=layer.name, dtype="float32")
        settings = layer.get_config()
        if "dtype" in settings:
            # What trained in half the precision answers in all of it.
            settings["dtype"] = "float32"
        if layer.name in folded:
            settings["use_bias"] = True
        return type(layer).from_config(settings)

    def call(layer: layers.Layer, *inputs: object, **settings: object) -> object:
        # What took a normalisation's place knows no mask; nothing here has one.
        settings.pop("mask", None)
        return layer(*inputs, **settings)

    answer = keras.models.clone_model(network, clone_function=clone, call_function=call)
    for layer in network.layers:
        own = answer.get_layer(layer.name)
        if layer.name in folded:
            scale, offset = _scale_and_offset(folded[layer.name])
            kernel = ops.convert_to_numpy(layer.kernel)
            bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else 0.0
            if isinstance(layer, layers.Conv2DTranspose):
                # Its kernel has the output channels before the input's.
                kernel = kernel * scale[:, None]
            else:
                kernel = kernel * scale
            own.set_weights([kernel, bias * scale + offset])
        elif isinstance(own, ScaleAndOffset):
            own.set_weights(list(_scale_and_offset(layer)))
        elif layer.name not in taken_in:
            own.set_weights(layer.get_weights())
    return answer


def _scale_and_offset(layer: layers.BatchNormalization) -> tuple[np.ndarray, ...]:
    """The layer's scale and offset, float64[C] each."""
    gamma, beta, mean, variance = (
        ops.convert_to_numpy(weight).astype(np.float64)
        for weight in (
            layer.gamma,
            layer.beta,
            layer.moving_mean,
            layer.moving_variance,
        )
    )
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return scale, beta - mean * scale
