"""Workers: processes on this machine, or those of a Dask scheduler."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phdnet_tf.config import FOLDS
from phdnet_tf.startup import cores

if TYPE_CHECKING:
    from phdnet_tf.datasets.annotated import AnnotatedDataset
    from phdnet_tf.training.members import Trainer
    from phdnet_tf.training.settings import RunSettings
    from phdnet_tf.training.worker import Workplace


def refuse_both(workers: int | None, scheduler: str | None) -> None:
    """Refuses two kinds of workers at once.

    Raises:
        click.UsageError: If both are asked for.
    """
    if workers and scheduler:
        raise click.UsageError("Give one of --workers and --scheduler.")


@contextmanager
def connected(
    workers: int,
    scheduler: str | None,
    otherwise: str,
) -> Iterator[Any]:
    """The workers of a scheduler, or else processes on this machine.

    Args:
        workers: How many processes.
        scheduler: Its address, or None.
        otherwise: What to do without Dask, if it is not installed.

    Yields:
        Dask's client.

    Raises:
        click.ClickException: If Dask is not installed, or the scheduler goes away.
        ValueError: If no scheduler answers.
    """
    try:
        from phdnet_tf.workers import engine
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed. Install the extra, pip install "
            f"'phdnet-tf[cluster]'; or {otherwise}."
        ) from error
    where = (
        engine.joined_cluster(scheduler) if scheduler else engine.local_cluster(workers)
    )
    with where as client:
        try:
            yield client
        except ConnectionError as error:
            raise click.ClickException(
                f"{error}. Finished work is kept. Start a scheduler, and run the same "
                "command again, 'train' with --resume."
            ) from error


@contextmanager
def training_workers(
    workers: int | None,
    scheduler: str | None,
    *,
    networks: int,
    data: Path | None,
    view: str,
    source: AnnotatedDataset,
    cache_memory: float,
    deterministic: bool,
) -> Iterator[tuple[Any, Workplace]]:
    """Workers that train, and a line now and then of how each of them goes on.

    Args:
        workers: How many processes on this machine, or None.
        scheduler: The address of a scheduler, or None.
        networks: How many there are to train; no more processes are started.
        data: The folder of the data, or None for the phantom.
        view: Name of the view.
        source: The data.
        cache_memory: Most bytes of decoded images to hold in memory: of all processes
            on this machine together, or of each worker of the scheduler.
        deterministic: Whether the same seed has to give the same numbers.

    Yields:
        `engine.run_on` with its client, and what the workers have to work with.

    Raises:
        click.ClickException: As for `connected`.
        ValueError: Likewise.
    """
    from phdnet_tf.cli.open_data import open_dataset
    from phdnet_tf.cli.progress_bars import show_training

    workers = workers and min(workers, networks)
    with connected(
        workers or 1, scheduler, "leave out --workers and --scheduler"
    ) as client:
        from phdnet_tf.training.worker import THREADS, Workplace
        from phdnet_tf.workers.engine import listening, run_on

        threads = max(1, cores() // workers) if workers else None
        if deterministic:
            # As many as a training alone has, for their number changes the last bits.
            threads = int(os.environ.get(THREADS[0]) or cores())
        with listening(client, show_training) as topic:
            place = Workplace(
                open_source=functools.partial(open_dataset, data, view),
                fingerprint=source.fingerprint,
                cache_memory=cache_memory / (workers or 1),
                threads=threads,
                topic=topic,
            )
            yield functools.partial(run_on, client), place


@contextmanager
def trainer_of(
    settings: RunSettings,
    source: AnnotatedDataset,
    workers: int | None,
    scheduler: str | None,
    cache_memory: float,
) -> Iterator[Trainer]:
    """How the networks of a run are trained: one after the other, or side by side.

    Args:
        settings: The run's.
        source: The data.
        workers: As for `training_workers`.
        scheduler: Likewise.
        cache_memory: Likewise.

    Yields:
        What `train_members` and `train_crossfit` take.

    Raises:
        click.ClickException: As for `training_workers`.
        ValueError: Likewise.
    """
    if workers or scheduler:
        model = settings.config.model
        each = len(model.landmarks) if model.one_each else 1
        crossfit = settings.validation_fold is None
        parts = FOLDS + (settings.test_fold is None) if crossfit else 1
        with training_workers(
            workers,
            scheduler,
            networks=settings.members * each * parts,
            data=Path(settings.data) if settings.data else None,
            view=settings.config.view,
            source=source,
            cache_memory=cache_memory,
            deterministic=settings.config.training.deterministic,
        ) as (engine, place):
            from phdnet_tf.training.side_by_side import side_by_side

            yield functools.partial(side_by_side, engine, place)
        return
    from phdnet_tf.cli.progress_bars import training_display
    from phdnet_tf.training.members import one_after_the_other

    def announce(folder: Path, number: int, networks: int) -> None:
        if networks > 1:
            click.echo(f"Network {number} of {networks}, {folder}:", err=True)

    with training_display() as display:
        yield functools.partial(
            one_after_the_other,
            source,
            cache_memory=cache_memory,
            on_progress=display,
            on_network=announce,
        )
