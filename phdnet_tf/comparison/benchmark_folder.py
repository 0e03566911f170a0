"""The report of what is finished in the folder of a benchmark."""

import json
import platform
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tensorflow as tf

from phdnet_tf.comparison.cross_validation import PREDICTIONS, RESULT, is_finished
from phdnet_tf.comparison.report import markdown
from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.comparison.tables import compare, curves, read_points
from phdnet_tf.config import FOLDS, PRECISIONS
from phdnet_tf.evaluation.plots import save_error_curves
from phdnet_tf.files import whole_file
from phdnet_tf.startup import cores
from phdnet_tf.training.data import AnnotatedImages
from phdnet_tf.training.publish import PACKAGES


def write_report(
    output: Path, settings: dict[str, Any], source: AnnotatedImages, data: Path | None
) -> str:
    """Writes the report of the folds that all systems have finished.

    Args:
        output: Folder of the benchmark; README.md, error_curves.png, report.json and
            predictions.csv are written to it.
        settings: What the benchmark was started with: "view", "time_limit" in minutes
            or None, "seed", "deterministic", "precision" and whatever else.
        source: The data.
        data: Folder of the data, of which only the name is told; None for the phantom.

    Returns:
        The report, or why there is none yet.

    Raises:
        ValueError: If the systems did not predict the same points.
        OSError: If a file cannot be written.
    """
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
    if not systems:
        return f"{output}: no report yet, for nothing is finished."
    if not common:
        return (
            f"{output}: no report yet, for {', '.join(systems)} have no fold in "
            "common. Run them on the same --fold."
        )
    compared = {
        (system, fold): finished[system, fold] for system in systems for fold in common
    }
    points = read_points(compared)
    costs = [json.loads((f / RESULT).read_text()) for f in compared.values()]
    beside = any(cost.get("beside_others") for cost in costs)
    report = {
        "title": f"Benchmark: {source.name}",
        "protocol": [
            f"View {settings['view']}. Test fold{'s' * (len(common) > 1)} "
            f"{', '.join(map(str, common))} of "
            f"{FOLDS}, with {source.count(common)} images. Folds are split by subject. "
            "For each test fold, the fold before it validates and the other six train. "
            f"{_protocol(settings['time_limit'], beside)}",
            f"Seed {settings['seed']}. Trained with {settings['precision']}.",
        ],
        "settings": settings,
        "folds": common,
        **compare(points),
        "costs": costs,
        "command": _command(output, settings, systems, common, data),
        "versions": {name: version(name) for name in PACKAGES},
        "machine": _machine(),
    }
    text = markdown(report)
    with whole_file(output / "report.json") as path:
        path.write_text(json.dumps(report, indent=2) + "\n")
    with whole_file(output / "README.md") as path:
        path.write_text(text)
    with whole_file(output / "error_curves.png") as path:
        save_error_curves(path, curves(points))
    lines: list[str] = []
    for folder in compared.values():
        header, *rows = (folder / PREDICTIONS).read_text().splitlines()
        lines += rows
    with whole_file(output / PREDICTIONS) as path:
        path.write_text("\n".join([header, *lines]) + "\n")
    return text


def _command(
    output: Path,
    settings: dict[str, Any],
    systems: list[str],
    folds: list[int],
    data: Path | None,
) -> str:
    """What makes the report again, in whatever parts it was made."""
    words = ["phdnet-tf", "benchmark", "--view", settings["view"]]
    words += ["--data", data.name] if data else []
    for option, chosen, every in (
        ("--fold", folds, range(FOLDS)),
        ("--system", systems, SYSTEMS),
    ):
        if len(chosen) < len(every):
            words += [word for one in chosen for word in (option, str(one))]
    if settings["time_limit"] is not None:
        words += ["--time-limit", f"{settings['time_limit']:g}"]
    if settings["seed"]:
        words += ["--seed", str(settings["seed"])]
    words += ["--deterministic"] * settings["deterministic"]
    if settings["precision"] != PRECISIONS[0]:
        words += ["--precision", settings["precision"]]
    return shlex.join([*words, "--output", output.name])


def _protocol(minutes: float | None, beside_others: bool) -> str:
    text = "Every system is trained with the epochs and patience of its preset."
    if minutes is not None:
        text = f"Every system is trained for {minutes:g} minutes on each fold"
        text += "." if beside_others else ", on one machine."
    if beside_others:
        text += (
            " Some were trained and tested beside others, whose work their times and "
            "latencies include."
        )
    return text


def _machine() -> str:
    accelerators = len(tf.config.list_physical_devices("GPU"))
    return f"{platform.machine()}, {cores()} cores, {accelerators} GPUs"
