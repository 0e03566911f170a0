import shutil

import pytest
from support.batch import STUB, Stub, planned

from phdnet_tf import __version__
from phdnet_tf.batch import worker
from phdnet_tf.batch.layout import MANIFEST
from phdnet_tf.batch.manifest import claim, describe_model
from phdnet_tf.batch.worker import do_shard


def test_a_model_that_is_no_longer_the_same_is_refused(tmp_path):
    folder, _ = planned(tmp_path, ["a"])
    (folder / MANIFEST).unlink()
    version = tmp_path / "models" / "phdnet_sa" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    (version / "phdnet.json").write_text('{"view": "sa", "landmarks": []}')
    claim(folder, [describe_model(version)], "sa", None, None, 4)
    (version / "saved_model.pb").write_bytes(b"other")

    with pytest.raises(ValueError, match=r"sa/1: expected the model that the batch"):
        do_shard(folder, 0)

    shutil.rmtree(version)
    with pytest.raises(ValueError, match="expected a model, or a folder of its"):
        do_shard(folder, 0)


def test_a_worker_of_another_version_is_refused(tmp_path):
    folder, _ = planned(tmp_path, ["a"])
    text = (folder / MANIFEST).read_text()
    assert f'"{__version__}"' in text
    (folder / MANIFEST).write_text(text.replace(f'"{__version__}"', '"0.0.1"'))

    with pytest.raises(ValueError, match=r"expected the phdnet-tf 0\.0\.1"):
        do_shard(folder, 0)


def test_a_worker_follows_the_manifest_that_is_there_now(tmp_path, monkeypatch):
    folder, _ = planned(tmp_path, ["a"])
    seen = []
    monkeypatch.setattr(worker, "load_tensorflow", lambda: None)
    monkeypatch.setattr(worker, "describe_model", lambda path: STUB)
    monkeypatch.setattr(
        "phdnet_tf.inference.predictor.Predictor", lambda path: Stub(tmp_path / "f")
    )
    monkeypatch.setattr(
        worker, "run_shard", lambda folder, shard, manifest, *_: seen.append(manifest)
    )

    do_shard(folder, 0)
    [(*_, sandbox)] = worker._ready.values()
    assert sandbox._seconds > 30  # A drive that pauses costs no image.
    do_shard(folder, 0)
    (folder / MANIFEST).unlink()
    other = claim(folder, [STUB], "sa", "all", None, 1)
    do_shard(folder, 0)
    [(*_, last)] = worker._ready.values()
    last.close()
    worker._ready.clear()

    assert sandbox.process_id is None

    assert seen[0] is seen[1] and seen[0] != seen[2] == other
