"""What `--workers`, `--scheduler` and `--cache-memory` ask for, and what is refused."""

import contextlib
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from support.command import run

import phdnet_tf.workers
from phdnet_tf.cli import workers
from phdnet_tf.comparison import cross_validation
from phdnet_tf.training import members


@pytest.mark.parametrize("command", ["train", "benchmark"])
def test_two_kinds_of_workers_are_refused(command):
    both = ["--workers", 2, "--scheduler", "tcp://node:8786"]

    told = run(command, "--view", "4ch", *both, code=2).stderr

    assert "Give one of --workers and --scheduler." in told


def test_without_dask_the_way_without_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    # As if no test before had imported it.
    monkeypatch.delitem(sys.modules, "phdnet_tf.workers.engine", raising=False)
    monkeypatch.delattr(phdnet_tf.workers, "engine", raising=False)

    with pytest.raises(
        click.ClickException, match=r"install 'phdnet-tf\[cluster\]'; or"
    ):
        with workers.connected(2, None, "do without"):
            pass


def test_a_scheduler_that_is_gone_is_told_with_how_to_go_on(monkeypatch):
    from phdnet_tf.workers import engine

    monkeypatch.setattr(engine, "joined_cluster", contextlib.nullcontext)

    with pytest.raises(click.ClickException, match="scheduler is gone.*--resume"):
        with workers.connected(1, "tcp://node:8786", ""):
            raise ConnectionError("the scheduler is gone")


def test_a_run_whose_scheduler_is_gone_can_be_resumed(data, tmp_path, monkeypatch):
    def gone(*arguments):
        raise click.ClickException("the scheduler is gone") from ConnectionError()

    # The package's own attribute of that name is the command.
    monkeypatch.setattr(sys.modules["phdnet_tf.cli.train"], "trainer_of", gone)
    given = ["--view", "4ch", "--data", data, "--runs", tmp_path, "--name", "a"]

    run("train", *given, code=1)

    assert (tmp_path / "4ch" / "a" / "run.json").exists()


@pytest.mark.parametrize(
    ("options", "threads", "memory"),
    [
        ({"workers": 2}, 4, 2e9),
        ({"workers": 3}, 2, 4e9 / 3),
        ({"workers": 20}, 1, 2e8),
        ({"workers": 20, "networks": 4}, 2, 1e9),
        # As one after the other, whose sums depend on it.
        ({"workers": 2, "deterministic": True}, 8, 2e9),
        ({"scheduler": "tcp://node:8786"}, None, 4e9),
        ({"scheduler": "tcp://node:8786", "deterministic": True}, 8, 4e9),
    ],
)
def test_local_workers_share_cores_and_memory(monkeypatch, options, threads, memory):
    from phdnet_tf.training.worker import THREADS
    from phdnet_tf.workers import engine

    monkeypatch.delenv(THREADS[0], raising=False)
    monkeypatch.setattr(workers, "cores", lambda: 8)
    for name in ("local_cluster", "joined_cluster"):
        monkeypatch.setattr(engine, name, contextlib.nullcontext)
    monkeypatch.setattr(
        engine, "listening", lambda client, show: contextlib.nullcontext("topic")
    )

    asked_for = {"workers": None, "scheduler": None, "networks": 99}
    asked_for |= {"deterministic": False} | options
    with workers.training_workers(
        data=Path("/data"),
        view="sa",
        source=SimpleNamespace(fingerprint="f"),
        cache_memory=4e9,
        **asked_for,
    ) as (_, place):
        pass

    assert place.cache_memory == pytest.approx(memory)
    assert (place.threads, place.fingerprint, place.topic) == (threads, "f", "topic")


def test_the_memory_of_images_is_what_was_asked_for(data, tmp_path, monkeypatch):
    budgets = []

    def train(*arguments, cache_memory, **options):
        budgets.append(cache_memory)
        raise KeyboardInterrupt

    monkeypatch.setattr(members, "train", train)
    given = ["--view", "4ch", "--data", data, "--cache-memory", "0.5"]

    run("train", *given, "--runs", tmp_path / "runs", code=130)
    run("benchmark", *given, "--output", tmp_path / "benchmark", code=130)

    assert budgets == [5e8, 5e8]


@pytest.mark.slow
def test_a_benchmark_on_workers_goes_on_from_one_without_and_reports(
    data, tmp_path, small, monkeypatch
):
    arguments = ["benchmark", "--view", "4ch", "--data", data, "--fold", 1]
    arguments += ["--system", "phdnet-small", "--time-limit", 0.02]
    arguments += ["--output", tmp_path]
    with monkeypatch.context() as patch:
        # Killed after its training.
        patch.setattr(cross_validation, "publish_validated", _interrupt)
        run(*arguments, code=130)
    log = (tmp_path / "phdnet-small/fold_1/run/log.csv").read_text()

    told = run(*arguments, "--workers", 1)

    assert "phdnet-small/fold_1: finished" in told.stderr
    assert "Some were trained and tested beside others" in told.output
    assert (tmp_path / "phdnet-small/fold_1/run/log.csv").read_text() == log
    # It stays said, whoever ends the turn.
    (tmp_path / "phdnet-small/fold_1/result.json").unlink()
    assert "tested beside others" in run(*arguments).output


def _interrupt(*arguments, **options):
    raise KeyboardInterrupt
