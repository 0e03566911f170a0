import shutil
import subprocess

import pytest

from phdnet_tf.export import checksums, networks, saved_model

pytestmark = pytest.mark.slow


def test_a_version_tells_whether_it_is_complete(version, tmp_path):
    copy = tmp_path / "1"
    shutil.copytree(version, copy)
    checksums.require_complete(copy)
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=copy)
    assert checked.returncode == 0

    weights = next(copy.glob("variables/*.data*"))
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1])
    with pytest.raises(ValueError, match=r"different 'variables/variables\.data"):
        checksums.require_complete(copy)
    weights.unlink()
    with pytest.raises(ValueError, match=r"missing .*'variables/variables\.data"):
        checksums.require_complete(copy)
    with pytest.raises(ValueError, match=r"missing .*'variables/variables\.data"):
        saved_model.load_signatures(copy)
    with pytest.raises(ValueError, match=r"missing .*'variables/variables\.data"):
        networks.load_networks(copy)
    weights.write_bytes(kept)
    (copy / ".DS_Store").touch()
    checksums.require_complete(copy)
    sums = (copy / "SHA256SUMS").read_text()
    for part in (sums[: sums.index("\n") + 1], ""):
        (copy / "SHA256SUMS").write_text(part)
        with pytest.raises(ValueError, match=r"another one, '.*'"):
            checksums.require_complete(copy)
    (copy / "SHA256SUMS").unlink()
    with pytest.raises(ValueError, match="expected SHA256SUMS"):
        checksums.require_complete(copy)
