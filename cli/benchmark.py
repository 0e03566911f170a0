"""`phdnet-tf benchmark`: the paper's comparison, on the phantom or on own data."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from phdnet_tf.cli import options
from phdnet_tf.comparison.systems import SYSTEMS, system_config
from phdnet_tf.config import FOLDS
from phdnet_tf.startup import load_tensorflow


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
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Train every system for this long on each fold. Default: the paper's epochs "
    "and patience, which take days without a GPU.",
)
@options.seed
@options.deterministic
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
    output: Path,
) -> None:
    """Compare the systems of the paper, and the default here, fold by fold.

    For each test fold the fold before it validates and the other six train. The report
    (README.md, error_curves.png, report.json, predictions.csv) is written after every
    fold. Stopped or killed, it goes on where it was when called again; finished folds
    are kept.
    """
    load_tensorflow()
    from phdnet_tf.cli.open_data import open_dataset
    from phdnet_tf.cli.progress_bars import training_display
    from phdnet_tf.comparison.benchmark_folder import write_report
    from phdnet_tf.comparison.claim import claim
    from phdnet_tf.comparison.cross_validation import is_finished, train_and_test

    with options.plain_errors():
        source = open_dataset(data, view)
        settings = {
            "view": view,
            "data": source.name,
            "fingerprint": source.fingerprint,
            "landmarks": list(source.landmarks),
            "time_limit": time_limit,
            "seed": seed,
            "deterministic": deterministic,
        }
        claim(output, settings)
        configs = {
            name: system_config(name, view, source.landmarks, seed, deterministic)
            for name in systems or SYSTEMS
        }
        for name, config in configs.items():
            # A later version may train it otherwise.
            claim(output / name, {"recipe": config.to_dict()})
        for fold in sorted(set(folds)) or range(FOLDS):
            for system, config in configs.items():
                folder = output / system / f"fold_{fold}"
                if is_finished(folder):
                    click.echo(f"{folder}: finished before", err=True)
                    continue
                click.echo(f"{folder}: training", err=True)
                try:
                    with training_display() as display:
                        train_and_test(
                            system,
                            fold,
                            config,
                            source,
                            folder,
                            time_limit=time_limit and time_limit * 60,
                            on_progress=display,
                        )
                except KeyboardInterrupt:
                    click.echo(
                        "\nStopped. The same command goes on from here.", err=True
                    )
                    raise click.exceptions.Exit(130) from None
            report = write_report(
                output, settings, source, shlex.join(["phdnet-tf", *sys.argv[1:]])
            )
    click.echo(report)
