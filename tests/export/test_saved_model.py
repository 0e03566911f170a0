import json
import shutil
import subprocess
import sys

import pytest
from support.drawn import LANDMARKS, export_anew, random_model

from phdnet_tf.config import Config, ModelConfig
from phdnet_tf.export import saved_model
from phdnet_tf.export.checksums import CHECKSUMS, checksums

pytestmark = pytest.mark.slow


def test_the_folder_can_be_moved_and_needs_no_keras(version, tmp_path):
    moved = tmp_path / "elsewhere" / "7"
    shutil.copytree(version, moved)
    code = (
        "import sys; sys.modules['keras'] = sys.modules['phdnet_tf'] = None\n"
        "import tensorflow as tf\n"
        f"f = tf.saved_model.load({str(moved)!r}).signatures['serving_default']\n"
        "print(sorted(f(image=tf.ones([1, 50, 60]), pixel_spacing=tf.ones([1, 2]))))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    names = ["confidence", "error_radius_mm", "high_confidence", "landmarks"]
    assert str([*names, "recognised"]) in done.stdout, done.stderr


def test_each_weight_is_written_once(version):
    data = sum(file.stat().st_size for file in version.glob("variables/*.data*"))
    config = Config("sa", ModelConfig(LANDMARKS))

    assert data < 4 * random_model(config).count_params() + 20_000


def test_a_failed_export_leaves_no_version(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(OSError, match="No space left"):
        export_anew(tmp_path)

    assert not list((tmp_path / "phdnet_sa").iterdir())


def test_a_damaged_model_is_refused_in_one_line(version, tmp_path):
    broken = tmp_path / "1"
    shutil.copytree(version, broken)
    (broken / "saved_model.pb").write_bytes(b"not a model")
    # As another version of TensorFlow may have exported it.
    (broken / CHECKSUMS).write_text(checksums(broken))

    with pytest.raises(ValueError, match="expected a complete SavedModel") as error:
        saved_model.load_signatures(broken)

    assert "\n" not in str(error.value)
