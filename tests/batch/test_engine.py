"""A real cluster on this machine, whose processes are ended by real signals."""

import functools
import json
import os
import subprocess
import sys

import pytest
from distributed import Scheduler
from support.batch import (
    do_with_stub,
    failed,
    files_of,
    images,
    part_bytes,
    planned,
    wait_for,
)

from phdnet_tf.batch.run import slice_of
from phdnet_tf.workers import engine

pytestmark = pytest.mark.slow


def go(client, folder, manifest):
    task = functools.partial(do_with_stub, folder)
    return dict(engine.run_on(client, task, slice_of(manifest, folder)))


def test_whatever_ends_or_stops_a_worker_every_image_is_there_once(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(engine, "SILENCE", "4s")
    # A worker that is stopped does not hear that it has to end: Dask waits for 24 s.
    patient = functools.partialmethod(Scheduler.restart_workers, timeout=4)
    monkeypatch.setattr(Scheduler, "restart_workers", patient)
    names = ["a", "b_abort", "c", "d_kill_once", "e", "f_freeze_once", "g", "h"]
    folder, manifest = planned(tmp_path, names)
    other, same = planned(tmp_path / "calm", ["a", "g", "h"], shard_images=2)

    with engine.local_cluster(2) as client:
        results = go(client, folder, manifest)
        go(client, other, same)

    assert {n: c["images"] for n, c in results.items()} == {0: 2, 1: 4, 2: 4, 3: 4}
    assert images(folder) == files_of([name for name in names if name != "b_abort"])
    assert failed(folder, manifest) == ["b_abort_0.dcm"]
    assert list((folder / "started").iterdir()) == []

    # One worker, or none of Dask's at all: the same bytes.
    two = part_bytes(other, 3)
    for shard in range(3):
        (other / "parts" / f"part-{shard:05d}.parquet").unlink()
        do_with_stub(other, shard)
    assert part_bytes(other, 3) == two


def test_an_error_of_a_shard_is_told_and_the_others_are_done():
    with engine.local_cluster(1) as client:
        results = dict(engine.run_on(client, _raise_at_1, [1, 2]))

    assert results == {1: "no model", 2: {"images": 2}}


def _raise_at_1(shard):
    if shard == 1:
        raise ValueError("no model.")
    return {"images": shard}


def test_a_rerun_goes_on_after_the_scheduler_was_killed(tmp_path):
    folder, manifest = planned(tmp_path, ["a", "b_slow", "c_slow"], shard_images=2)
    paths = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": paths}

    def start(*arguments):
        command = [sys.executable, "-m", "dask", *arguments]
        return subprocess.Popen(
            command, env=environment, stderr=subprocess.DEVNULL, cwd=tmp_path
        )

    file = tmp_path / "scheduler.json"
    arguments = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    scheduler = start("scheduler", *arguments, "--scheduler-file", str(file))
    worker = None
    try:
        wait_for(file.exists)
        worker = start(
            *("worker", "--scheduler-file", str(file), "--nthreads", "1"),
            *("--no-dashboard", "--no-nanny", "--death-timeout", "5"),
        )
        address = json.loads(file.read_text())["address"]
        with engine.joined_cluster(address) as client:
            results = engine.run_on(
                client, functools.partial(do_with_stub, folder), [0, 1, 2]
            )
            assert next(results)[0] == 0
            wait_for(lambda: (tmp_path / "flags" / "b_slow.0").exists())
            scheduler.kill()
            with pytest.raises(ConnectionError, match="the scheduler is gone"):
                list(results)
    finally:
        for process in (scheduler, worker):
            if process is not None:
                process.kill()
                process.wait()

    for shard in slice_of(manifest, folder):
        do_with_stub(folder, shard)
    assert images(folder) == files_of(["a", "b_slow", "c_slow"])
    assert failed(folder, manifest) == []


def test_an_address_without_a_scheduler_is_told(monkeypatch):
    monkeypatch.setattr(engine, "START_SECONDS", 0.5)

    with pytest.raises(ValueError, match=r"tcp://127\.0\.0\.1:1: expected a Dask"):
        with engine.joined_cluster("tcp://127.0.0.1:1"):
            pass
