import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

pytestmark = pytest.mark.slow


def test_the_warm_up_requests_are_those_of_tf_serving_and_run(version, signatures):
    file = version / "assets.extra" / "tf_serving_warmup_requests"

    names = []
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        names.append(request.model_spec.signature_name)
        outputs = signatures[names[-1]](
            **{k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
        )
        assert outputs["landmarks"].shape == (1, 2, 2)
    assert names == ["serving_default", "png"]
