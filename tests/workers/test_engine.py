"""What trainings ask of workers; `tests/batch` has what archives do."""

import functools
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from distributed import LocalCluster
from support import pieces
from support.batch import wait_for

from phdnet_tf.workers import engine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client():
    with engine.local_cluster(1) as client:
        yield client


def test_what_has_waited_goes_first_and_messages_are_heard(client, tmp_path):
    told, done = [], []

    def then(number, result):
        assert result == {"square": number**2}
        return [7] if number == 1 else []

    with engine.listening(client, told.append) as topic:
        task = functools.partial(pieces.tell_number, topic, tmp_path / "go")
        for number, _ in engine.run_on(client, task, [1, 2, 3, 4], then):
            done.append(number)
            (tmp_path / "go").touch()
        wait_for(lambda: len(told) == 5)

    assert done == [1, 2, 7, 3, 4]
    assert [message["number"] for message in told] == done


def test_what_dask_logs_of_deaths_is_kept_back_whatever_its_own_levels(caplog):
    loggers = [logging.getLogger(f"distributed{name}") for name in ("", ".client")]
    loggers[1].setLevel(logging.WARNING)

    with engine._quiet():
        for logger in loggers:
            logger.error("a long traceback")
    loggers[1].error("afterwards")

    assert [record.message for record in caplog.records] == ["afterwards"]


def test_a_piece_ends_when_whoever_asked_for_it_has_left(client, tmp_path):
    task = functools.partial(pieces.until_nobody_waits, tmp_path)
    with engine.joined_cluster(client.scheduler.address) as other:
        other.submit(task, 0, pure=False).add_done_callback(print)
        wait_for((tmp_path / "begun").exists)
        assert not (tmp_path / "ended").exists()

    wait_for((tmp_path / "ended").exists)


def test_ctrl_c_ends_workers_that_leave_nothing_half_done(tmp_path):
    paths = os.pathsep.join(sys.path)
    process = subprocess.Popen(
        [sys.executable, str(Path(pieces.__file__)), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        # A terminal gives Ctrl-C to all processes of the group.
        start_new_session=True,
    )
    wait_for((tmp_path / "begun").exists)

    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT, errors.decode()
    assert (tmp_path / "ended").exists()
    # Of the client, and of nobody else.
    assert errors.decode().count("Traceback") == 1
    wait_for(lambda: not is_there(process.pid))


def is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_that_is_told_to_end_blames_no_study(tmp_path):
    def marks():
        return [path.read_text().strip() for path in (tmp_path / "started").glob("*")]

    with engine.local_cluster(1) as client:
        future = client.submit(functools.partial(pieces.at_a_study, tmp_path), 0)
        wait_for(lambda: marks() == ["7"])
        del future

    assert marks() == []


def test_workers_of_several_threads_are_refused():
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        pytest.raises(ValueError, match="--nthreads 1"),
        engine.joined_cluster(cluster.scheduler_address),
    ):
        pass
