"""What the studies share: the errors that a benchmark kept, and tables of them."""

import csv
from pathlib import Path

import numpy as np

from phdnet_tf.config import FOLDS

RESAMPLES = 500
"""Draws of subjects for the intervals of AURC, AUROC and the mean of the most sure."""


def finished_folds(benchmarks: list[Path], systems: list[str]) -> list[int]:
    """The folds in which all systems of all benchmarks are finished: one or more.

    Raises:
        SystemExit: If there is none.
    """
    from phdnet_tf.comparison.cross_validation import is_finished

    folds = [
        fold
        for fold in range(FOLDS)
        if all(is_finished(b / s / f"fold_{fold}") for b in benchmarks for s in systems)
    ]
    if not systems or not folds:
        raise SystemExit(
            f"{', '.join(map(str, benchmarks))}: expected a fold in which all systems "
            f"are finished ({', '.join(systems) or 'one or more'}). Received none: "
            "run 'phdnet-tf benchmark' with them on the same --fold."
        )
    return folds


def kept_predictions(
    benchmark: Path, system: str, strategy: str, folds: list[int]
) -> list[dict[str, str]]:
    """The rows that a benchmark kept of a system's test folds, all of which it must.

    Raises:
        SystemExit: If a fold is not finished.
    """
    from phdnet_tf.comparison.cross_validation import PREDICTIONS, is_finished

    folders = [benchmark / system / f"fold_{fold}" for fold in folds]
    for fold, folder in zip(folds, folders, strict=True):
        if not is_finished(folder):
            raise SystemExit(
                f"{folder}: expected a finished fold. Received none: run "
                f"'phdnet-tf benchmark --system {system} --fold {fold}' first."
            )
    rows = []
    for folder in folders:
        with (folder / PREDICTIONS).open(newline="") as file:
            rows += [row for row in csv.DictReader(file) if row["strategy"] == strategy]
    return rows


def draws(subjects: np.ndarray) -> list[np.ndarray]:
    """Bootstrap samples: numbers of rows, all of each subject that is drawn."""
    rows = [np.flatnonzero(subjects == name) for name in np.unique(subjects)]
    rng = np.random.default_rng(0)
    return [
        np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))])
        for _ in range(RESAMPLES)
    ]


def interval(values: np.ndarray, subjects: np.ndarray, form: str = ".2f") -> str:
    """The 95 % interval of the mean, by subject, in brackets; NaN is left out."""
    from phdnet_tf.evaluation.metrics import mean_interval

    known = np.isfinite(values)
    bounds = mean_interval(values[known], subjects[known])
    low, high = bounds or (np.nan, np.nan)
    return f"[{low:{form}}, {high:{form}}]"


def error_cells(errors: np.ndarray, subjects: np.ndarray) -> str:
    """Four cells of a table, of errors in mm; NaN, not annotated, is left out.

    The mean with its standard deviation and interval, the median, the shares of at most
    10 and of more than 20 mm.
    """
    from phdnet_tf.evaluation.metrics import summarise

    facts = summarise(errors)
    return (
        f"{facts['mean']:.2f} ± {facts['std']:.2f} {interval(errors, subjects)} | "
        f"{facts['median']:.2f} | {facts['sdr_10']:.1%} | {facts['beyond_20']:.1%}"
    )


def print_header(*columns: str) -> None:
    """Prints the first two lines of a Markdown table."""
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
