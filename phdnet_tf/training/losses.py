"""The paper's loss, L_A = L_d + L_h (equation 1), as one Keras loss for each head.

The weights of patches and landmarks come as `sample_weight`, float32[B, h, w, L], from
`labels.patch_labels`. Both losses are means over all patches, whatever their weight. A
landmark that is not annotated therefore adds nothing to the loss.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="phdnet_tf")
class HeatmapLoss(keras.losses.Loss):
    """L_h: squared error of the heatmap, one value per patch and landmark."""

    def __init__(
        self, reduction: str = "sum_over_batch_size", name: str = "heatmap_loss"
    ) -> None:
        """The arguments are Keras's."""
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> object:
        """Squared error of each patch: float32[B, h, w, L] twice -> the same shape."""
        return ops.square(y_true - y_pred)


@keras.saving.register_keras_serializable(package="phdnet_tf")
class ContainsLoss(keras.losses.Loss):
    """L_h of the baseline [9], which classifies: cross-entropy of "holds the landmark".

    The network returns logits. The exported model has their sigmoid, a probability.
    """

    def __init__(
        self, reduction: str = "sum_over_batch_size", name: str = "contains_loss"
    ) -> None:
        """The arguments are Keras's."""
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> object:
        """Cross-entropy of each patch: float32[B, h, w, L] twice -> the same shape."""
        return ops.binary_crossentropy(y_true, y_pred, from_logits=True)


@keras.saving.register_keras_serializable(package="phdnet_tf")
class DisplacementLoss(keras.losses.Loss):
    """L_d: mean squared error of the coded (x, y), one value per patch and landmark."""

    def __init__(
        self, reduction: str = "sum_over_batch_size", name: str = "displacement_loss"
    ) -> None:
        """The arguments are Keras's."""
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> object:
        """Mean squared errors: float32[B, h, w, L, 2] twice -> float32[B, h, w, L]."""
        return ops.mean(ops.square(y_true - y_pred), axis=-1)
