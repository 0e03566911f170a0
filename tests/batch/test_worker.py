import shutil

import pytest
from support.batch import planned

from phdnet_tf.batch.layout import MANIFEST
from phdnet_tf.batch.manifest import claim, describe_model
from phdnet_tf.batch.worker import do_shard


def test_a_model_that_is_no_longer_the_same_is_refused(tmp_path):
    folder, _ = planned(tmp_path, ["a"])
    (folder / MANIFEST).unlink()
    version = tmp_path / "models" / "phdnet_sa" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    (version / "phdnet.json").write_text('{"view": "sa"}')
    claim(folder, [describe_model(version)], "sa", None, None, 4)
    (version / "saved_model.pb").write_bytes(b"other")

    with pytest.raises(ValueError, match=r"sa/1: expected the model that the batch"):
        do_shard(folder, 0)

    shutil.rmtree(version)
    with pytest.raises(ValueError, match="expected a model, or a folder of its"):
        do_shard(folder, 0)
