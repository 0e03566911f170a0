import json

import pytest
import tensorflow as tf
from support.drawn import LANDMARKS

from phdnet_tf.export import description

pytestmark = pytest.mark.slow


def test_the_model_tells_what_it_is(version, signatures):
    describe = signatures["describe"]
    fields = tf.constant(["landmarks", "description", "view"])

    values = [json.loads(value) for value in describe(field=fields)["value"].numpy()]

    assert values == [list(LANDMARKS), description.load_description(version), "sa"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected one of view, "):
        describe(field=tf.constant(["nope"]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"expected 32 at most"):
        describe(field=tf.constant(["description"] * 33))
