"""`phdnet-tf benchmark`: the paper's comparison, on the phantom or on own data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.amounts import Amount
from phdnet_tf.cli.workers import refuse_both, training_workers
from phdnet_tf.comparison.systems import SYSTEMS, system_config
from phdnet_tf.config import FOLDS
from phdnet_tf.startup import load_tensorflow

if TYPE_CHECKING:
    from phdnet_tf.comparison.side_by_side import Turn
    from phdnet_tf.datasets.annotated import AnnotatedDataset


@click.command()
@options.trained_view
@options.data
@click.option(
    "--system",
    "systems",
    type=click.Choice(list(SYSTEMS)),
    multiple=True,
    help="Compare this one; repeat for more. Default: all.",
)
@click.option(
    "--fold",
    "folds",
    type=options.FOLD,
    multiple=True,
    help="Test on this fold; repeat for more. Default: all eight.",
)
@click.option(
    "--time-limit",
    type=Amount(min=0, min_open=True),
    metavar="MINUTES",
    help="Train every system for this long on each fold. Default: the paper's epochs "
    "and patience, which take days without a GPU.",
)
@options.seed
@options.deterministic
@options.precision
@options.cache_memory
@options.training_workers
@options.scheduler
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("benchmark"),
    show_default=True,
    help="Folder of all runs, models, predictions and the report.",
)
def benchmark(
    view: str,
    data: Path | None,
    systems: tuple[str, ...],
    folds: tuple[int, ...],
    time_limit: float | None,
    seed: int,
    deterministic: bool,
    precision: str,
    cache_memory: float,
    workers: int | None,
    scheduler: str | None,
    output: Path,
) -> None:
    """Compare the systems of the paper, and the default here, fold by fold.

    For each test fold the fold before it validates and the other six train. The report
    (README.md, error_curves.png, report.json, predictions.csv) is written after every
    fold. Stopped or killed, it goes on where it was when called again; finished folds
    are kept. With --workers or --scheduler, networks are trained side by side, each as
    it would be alone.
    """
    refuse_both(workers, scheduler)
    load_tensorflow()
    from phdnet_tf.cli.open_data import open_dataset
    from phdnet_tf.comparison.benchmark_folder import write_report
    from phdnet_tf.comparison.claim import claim
    from phdnet_tf.comparison.cross_validation import is_finished
    from phdnet_tf.comparison.side_by_side import Turn, train_and_test_all
    from phdnet_tf.training.checks import require_images
    from phdnet_tf.training.data import cross_validation_folds

    with options.plain_errors():
        data = data and data.resolve()
        source = open_dataset(data, view)
        settings = {
            "view": view,
            "data": source.name,
            "fingerprint": source.fingerprint,
            "landmarks": list(source.landmarks),
            "time_limit": time_limit,
            "seed": seed,
            "deterministic": deterministic,
            "precision": precision,
        }
        chosen = sorted(set(folds)) or range(FOLDS)
        for fold in chosen:
            require_images(source, cross_validation_folds(fold))
        claim(output, settings, SYSTEMS)
        compared = dict.fromkeys(systems or SYSTEMS)
        configs = {
            name: system_config(
                name, view, source.landmarks, seed, deterministic, precision
            )
            for name in SYSTEMS
            # The report has those of earlier calls, too.
            if name in compared or (output / name).exists()
        }
        for name, config in configs.items():
            # A later version may train it otherwise.
            claim(output / name, {"recipe": config.to_dict()})
        turns = []
        for fold in chosen:
            for system in compared:
                config = configs[system]
                # Workers may be started in another folder.
                folder = (output / system / f"fold_{fold}").resolve()
                if is_finished(folder):
                    click.echo(f"{folder}: finished before", err=True)
                else:
                    seconds = time_limit and time_limit * 60
                    turns.append(Turn(system, fold, config, folder, seconds))

        def report() -> str:
            return write_report(output, settings, source, data)

        left = Counter(turn.fold for turn in turns)
        troubles = 0

        def note(turn: Turn, trouble: str | None) -> None:
            nonlocal troubles
            if trouble:
                troubles += 1
                known = (
                    "" if trouble.startswith(str(turn.folder)) else f"{turn.folder}: "
                )
                click.echo(f"{known}{trouble}", err=True)
                return
            left[turn.fold] -= 1
            if workers or scheduler:
                click.echo(f"{turn.folder}: finished", err=True)
            if not left[turn.fold]:
                report()

        try:
            if turns and (workers or scheduler):
                with training_workers(
                    workers,
                    scheduler,
                    networks=sum(
                        len(source.landmarks) if turn.config.model.one_each else 1
                        for turn in turns
                    ),
                    data=data,
                    view=view,
                    source=source,
                    cache_memory=cache_memory * 1e9,
                    deterministic=deterministic,
                ) as (engine, place):
                    for turn, trouble in train_and_test_all(engine, place, turns):
                        note(turn, trouble)
            else:
                for turn, trouble in _one_after_the_other(
                    turns, source, cache_memory * 1e9
                ):
                    note(turn, trouble)
        except KeyboardInterrupt:
            click.echo("\nStopped. The same command goes on from here.", err=True)
            raise click.exceptions.Exit(130) from None
        text = report()
    click.echo(text)
    if troubles:
        raise click.exceptions.Exit(1)


def _one_after_the_other(
    turns: list[Turn], source: AnnotatedDataset, cache_memory: float
) -> Iterator[tuple[Turn, str | None]]:
    from phdnet_tf.cli.progress_bars import training_display
    from phdnet_tf.comparison.cross_validation import train_and_test

    for turn in turns:
        click.echo(f"{turn.folder}: training", err=True)
        trouble = None
        try:
            with training_display() as display:
                train_and_test(
                    turn.system,
                    turn.fold,
                    turn.config,
                    source,
                    turn.folder,
                    time_limit=turn.time_limit,
                    cache_memory=cache_memory,
                    on_progress=display,
                )
        except ValueError as error:
            # The others do not depend on it.
            trouble = str(error)
        yield turn, trouble
