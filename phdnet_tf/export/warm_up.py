"""Writes the requests that TF Serving runs before it puts a version into service."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

WARM_UP = (
    "assets.extra/tf_serving_warmup_requests"  # the name that TF Serving looks for
)


def write_warm_up(path: Path) -> None:
    """Writes the requests that TF Serving runs before it puts a version into service.

    The canvas has one size, so a small image runs the same operations as a large one.
    """
    image = tf.random.stateless_uniform([1, 64, 64], seed=(0, 0)) * 1000
    encoded = tf.io.encode_png(tf.cast(image[0, ..., None], tf.uint16))
    spacing = tf.constant([[1.5, 1.5]])
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature, inputs in (
            ("serving_default", {"image": image, "pixel_spacing": spacing}),
            ("png", {"image_bytes": encoded[None], "pixel_spacing": spacing}),
        ):
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            records.write(record.SerializeToString())
