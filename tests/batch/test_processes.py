"""Real processes, ended by real signals."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.batch import (
    do_with_stub,
    failed,
    files_of,
    images,
    planned,
    wait_for,
)

from phdnet_tf.batch.run import slice_of
from phdnet_tf.workers.processes import MAX_DEATHS, run_here

pytestmark = pytest.mark.slow

SCRIPT = """
import functools, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
if __name__ == "__main__":
    from phdnet_tf.workers.processes import run_here
    from support.batch import do_with_stub
    task = functools.partial(do_with_stub, Path(sys.argv[2]))
    list(run_here(task, range(3)))
"""


def go(folder, manifest):
    task = functools.partial(do_with_stub, folder)
    return list(run_here(task, slice_of(manifest, folder)))


def test_whatever_ends_a_process_every_image_is_there_once(tmp_path):
    # At "f_term_twice" two processes are told to end, and take their marks away.
    names = ["a", "b_abort", "c", "d_kill_once", "e", "f_term_twice"]
    folder, manifest = planned(tmp_path, names)

    results = go(folder, manifest)

    assert [shard for shard, _ in results] == [0, 1, 2]
    assert images(folder) == files_of([name for name in names if name != "b_abort"])
    # The study that ends its process every time, and no other.
    assert failed(folder, manifest) == ["b_abort_0.dcm"]
    assert go(folder, manifest) == []


def test_a_process_that_cannot_start_its_work_is_given_up():
    [(shard, words)] = run_here(os._exit, [7])

    assert shard == 7
    assert words.startswith(f"its process was ended {MAX_DEATHS} times. Perhaps there")


def test_an_error_is_told_and_the_next_shard_is_done():
    results = dict(run_here(_raise_at_1, [1, 2]))

    assert results == {1: "/data/parts: No space left on device", 2: {"images": 2}}


def _raise_at_1(shard):
    if shard == 1:
        raise OSError(28, "No space left on device", "/data/parts")
    return {"images": shard}


def test_a_rerun_goes_on_after_all_processes_were_killed(tmp_path):
    folder, manifest = planned(tmp_path, ["a", "b", "c", "d_slow", "e_slow", "f_abort"])
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    tests = Path(__file__).parents[1]
    parent = subprocess.Popen([sys.executable, script, tests, folder])
    wait_for(lambda: (tmp_path / "flags" / "d_slow.0").exists())
    parent.kill()
    parent.wait()
    before = images(folder)

    # The child does not outlive it, and blames no study for that.
    wait_for(lambda: not list((folder / "started").iterdir()))
    assert images(folder) == before == files_of("ab")

    assert [shard for shard, _ in go(folder, manifest)] == [1, 2]
    assert images(folder) == files_of(["a", "b", "c", "d_slow", "e_slow"])
    assert failed(folder, manifest) == ["f_abort_0.dcm"]
