"""`phdnet-tf benchmark`: the paper's comparison, on the phantom or on own data."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.startup import load_tensorflow
from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.config import FOLDS
from phdnet_tf.presets import VIEWS, make_config

if TYPE_CHECKING:
    from phdnet_tf.datasets.annotated import AnnotatedDataset

SETTINGS = "benchmark.json"


@click.command()
@click.option("--view", type=click.Choice(list(VIEWS)), required=True)
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
    output: Path,
) -> None:
    """Compare the systems of the paper, and the default here, fold by fold.

    For each test fold the fold before it validates and the other six train. The report
    (README.md, error_curves.png, report.json, predictions.csv) is written after every
    fold. Stopped or killed, it goes on where it was when called again; finished folds
    are kept.
    """
    load_tensorflow()
    from phdnet_tf.cli.data import open_dataset
    from phdnet_tf.cli.progress import training_display
    from phdnet_tf.comparison.cross_validation import is_finished, run

    with options.plain_errors():
        source = open_dataset(data, view)
        settings = {
            "view": view,
            "data": source.name,
            "fingerprint": source.fingerprint,
            "landmarks": list(source.landmarks),
            "time_limit": time_limit,
            "seed": seed,
        }
        _claim(output, settings)
        for name in systems or SYSTEMS:
            own = SYSTEMS[name]
            config = make_config(
                own.preset, view, source.landmarks, own.mapping, own.strategy, seed
            )
            # Another version may train it otherwise.
            _claim(output / name, {"recipe": config.to_dict()})
        for fold in sorted(set(folds)) or range(FOLDS):
            for system in systems or SYSTEMS:
                folder = output / system / f"fold_{fold}"
                if is_finished(folder):
                    click.echo(f"{folder}: finished before", err=True)
                    continue
                click.echo(f"{folder}: training", err=True)
                try:
                    with training_display() as display:
                        run(
                            system,
                            fold,
                            view,
                            source.landmarks,
                            source,
                            folder,
                            seed=seed,
                            time_limit=time_limit and time_limit * 60,
                            on_progress=display,
                        )
                except KeyboardInterrupt:
                    click.echo(
                        "\nStopped. The same command goes on from here.", err=True
                    )
                    raise click.exceptions.Exit(130) from None
            report = _report(output, settings, source)
    click.echo(report)


def _claim(folder: Path, settings: dict[str, Any]) -> None:
    """Makes a folder, or makes sure that it is of the same settings."""
    file = folder / SETTINGS
    # Folds of a version that did not tell its settings are of unknown ones.
    if file.exists() or any(folder.glob("fold_*")):
        earlier = json.loads(file.read_text()) if file.exists() else {}
        # As JSON has them: a tuple becomes a list.
        current = json.loads(json.dumps(settings))
        changed = [name for name in current if earlier.get(name) != current[name]]
        if changed:
            raise click.ClickException(
                f"{folder} holds a benchmark with another {', '.join(changed)}. Choose "
                "another --output."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings, indent=2) + "\n")


def _report(output: Path, settings: dict[str, Any], source: AnnotatedDataset) -> str:
    """Writes the report of the folds that all systems have finished, and returns it."""
    import platform
    from importlib.metadata import version

    from phdnet_tf.comparison import tables
    from phdnet_tf.comparison.cross_validation import PREDICTIONS, RESULT, is_finished
    from phdnet_tf.comparison.report import markdown
    from phdnet_tf.evaluation.plots import save_error_curves
    from phdnet_tf.training.publish import PACKAGES

    finished = {
        (system, fold): folder
        for system in SYSTEMS
        for fold in range(FOLDS)
        if is_finished(folder := output / system / f"fold_{fold}")
    }
    systems = [name for name in SYSTEMS if any(s == name for s, _ in finished)]
    common = [
        fold for fold in range(FOLDS) if all((s, fold) in finished for s in systems)
    ]
    if not common:
        return (
            f"{output}: no report yet, for {', '.join(systems)} have no fold in "
            "common. Run them on the same --fold."
        )
    compared = {
        (system, fold): finished[system, fold] for system in systems for fold in common
    }
    points = tables.read_points(compared)
    limit = settings["time_limit"]
    protocol = (
        f"Every system is trained for {limit:g} minutes on each fold, on one machine."
        if limit
        else "Every system is trained with the epochs and patience of its preset."
    )
    report = {
        "title": f"Benchmark: {source.name}",
        "protocol": [
            f"View {settings['view']}, test folds {', '.join(map(str, common))} of "
            f"{FOLDS}, by subject: {source.count(common)} images. For each, the fold "
            "before it validates and six train. " + protocol,
            f"Seed {settings['seed']}.",
        ],
        "settings": settings,
        "folds": common,
        **tables.compare(points),
        "costs": [json.loads((f / RESULT).read_text()) for f in compared.values()],
        "command": shlex.join(["phdnet-tf", *sys.argv[1:]]),
        "versions": {name: version(name) for name in PACKAGES},
        "machine": f"{platform.machine()}, {_cores()} cores, {_accelerator()}",
    }
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    text = markdown(report)
    (output / "README.md").write_text(text)
    save_error_curves(output / "error_curves.png", tables.curves(points))
    lines: list[str] = []
    for folder in compared.values():
        header, *rows = (folder / PREDICTIONS).read_text().splitlines()
        lines += rows
    (output / PREDICTIONS).write_text("\n".join([header, *lines]) + "\n")
    return text


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _accelerator() -> str:
    import tensorflow as tf

    return f"{len(tf.config.list_physical_devices('GPU'))} GPUs"
