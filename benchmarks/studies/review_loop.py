"""Does the loop pay: error against points corrected, worst first and in random order.

    python benchmarks/studies/review_loop.py loop --data acdc_sa --minutes 5
        --seeds 3 --rounds 5 --processes 2

The expert's points are the human. It trains on some subjects. Then so many points as so
many subjects have are reviewed, in the order of the page's queue or at random, and it
trains on all of them, again and again. Those that are tested are always the same. Both
orders begin with the same subjects and the same training.
Run it again to go on where it was; the table is printed at the end.
"""

import argparse
import csv
import functools
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.files import OutputFolder
from phdnet_tf.review.changes import Change
from phdnet_tf.review.export import select, write_folder
from phdnet_tf.review.filling import Progress, fill
from phdnet_tf.review.models import describe
from phdnet_tf.review.pictures import Pictures
from phdnet_tf.review.project import Project
from phdnet_tf.review.queue import Wanted, page
from phdnet_tf.review.trail import Lane, append
from phdnet_tf.startup import load_tensorflow

VIEW = "sa"
EXPERT = Lane("reader", "expert")
ORDERS = ("worst first", "random")
TESTED = 4
"""One subject in so many is tested, and never reviewed."""


def main() -> None:
    """Runs what has not been run, and prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="acdc_sa")
    parser.add_argument("--minutes", type=float, default=5.0, help="of a training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subjects", type=int, default=12, help="of a round")
    parser.add_argument("--precision", default="bfloat16", help="of the trainings")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    options = parser.parse_args()
    options.output = options.output.resolve()
    expert = read_expert(options.data)
    tested, _ = split_subjects([*expert])
    write_table(options.output / "test", options.data, expert, tested)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        # TensorFlow reads it when a process begins.
        os.environ[name] = "1"
    seeds = range(options.seeds)
    arms = [(seed, order) for seed in seeds for order in ORDERS]
    with ProcessPoolExecutor(
        options.processes, multiprocessing.get_context("spawn"), load_tensorflow
    ) as pool:
        [*pool.map(functools.partial(run_start, options), seeds)]
        [*pool.map(functools.partial(run_arm, options), arms)]
    print_table(options.output, options.seeds, options.rounds)


def read_expert(data: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Rows of the table, by subject and image."""
    subjects: dict[str, dict[str, dict[str, str]]] = {}
    with (data / "landmarks.csv").open() as file:
        for row in csv.DictReader(file):
            subjects.setdefault(row["subject"], {})[row["image"]] = row
    return subjects


def split_subjects(subjects: list[str]) -> tuple[list[str], list[str]]:
    """Those that are tested, and the others."""
    tested = subjects[::TESTED]
    return tested, [subject for subject in subjects if subject not in tested]


def write_table(folder: Path, data: Path, expert: dict, subjects: list[str]) -> None:
    """A folder of some subjects, whose images are links."""
    if folder.exists():
        return
    folder.mkdir(parents=True)
    (folder / "DICOM").symlink_to((data / "DICOM").resolve())
    rows = [row for subject in subjects for row in expert[subject].values()]
    with (folder / "landmarks.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)


def run_start(options: Any, seed: int) -> None:
    """The training on the first subjects, with which both orders begin."""
    start = options.output / f"start_{seed}"
    if (start / "round_0" / "result.json").exists():
        return
    expert = read_expert(options.data)
    points = points_of_pool(options.data, expert)
    project = Project(start / "project", create=True)
    project.choose_landmarks(VIEW, describe_names(expert))
    if project.setting("inputs") is None:
        project.set("inputs", [*points])
        fill(project, "all", None, None, VIEW, Progress(), lambda *found: None)
    first = shuffled(expert, seed)[: options.subjects]
    images = [
        str((options.data / image).resolve())
        for subject in first
        for image in expert[subject]
    ]
    review(project, images, points, None)
    train(project, start / "round_0", options, seed, predict=True)


def run_arm(options: Any, part: tuple[int, str]) -> None:
    """One order and seed, round after round."""
    seed, order = part
    arm = options.output / f"{order.replace(' ', '_')}_{seed}"
    expert = read_expert(options.data)
    points = points_of_pool(options.data, expert)
    chance = [*points]
    np.random.default_rng(seed).shuffle(chance)
    # So many points as so many subjects have in the mean.
    subjects = len(split_subjects([*expert])[1])
    budget = options.subjects * sum(map(len, points.values())) // subjects
    if not arm.exists():
        start = options.output / f"start_{seed}" / "project"
        shutil.copytree(start, arm.with_suffix(".part") / "project", dirs_exist_ok=True)
        arm.with_suffix(".part").rename(arm)
    project = Project(arm / "project")
    for number in range(1, options.rounds):
        folder = arm / f"round_{number}"
        if (folder / "result.json").exists():
            continue
        by_queue = order == ORDERS[0]
        queue = worst_first(project) if by_queue else chance
        review(project, queue, points, (number + 1) * budget)
        train(project, folder, options, seed, predict=by_queue)


def shuffled(expert: dict, seed: int) -> list[str]:
    """The subjects that may be reviewed, in random order."""
    _, pool = split_subjects([*expert])
    return [pool[index] for index in np.random.default_rng(seed).permutation(len(pool))]


def points_of_pool(
    data: Path, expert: dict
) -> dict[str, dict[str, tuple[float, float]]]:
    """The expert's points of the images that may be reviewed, by path."""
    _, pool = split_subjects([*expert])
    return {
        str((data / image).resolve()): placed(row)
        for subject in pool
        for image, row in expert[subject].items()
    }


def describe_names(expert: dict) -> list[str]:
    """The landmarks of the table."""
    row = next(iter(next(iter(expert.values())).values()))
    return [name[:-2] for name in row if name.endswith("_x")]


def placed(row: dict[str, str]) -> dict[str, tuple[float, float]]:
    """The expert's points of an image."""
    return {
        name[:-2]: (float(value), float(row[f"{name[:-2]}_y"]))
        for name, value in row.items()
        if name.endswith("_x") and value
    }


def reviewed(project: Project) -> int:
    """How many points the expert has placed."""
    sql = "SELECT COUNT(*) AS n FROM state WHERE status = 'corrected'"
    return project.store.rows(sql)[0]["n"]


def worst_first(project: Project) -> list[str]:
    """The page's queue; what is not recognised comes last, as a queue of its own."""
    rows = project.store.rows("SELECT id, path FROM images")
    paths = {row["id"]: row["path"] for row in rows}
    found: list[str] = []
    for group in ("recognised", "unrecognised"):
        part = page(project, EXPERT, Wanted(group=group), 0, 100_000)
        found += [paths[item["id"]] for item in part["items"]]
    return found


def review(
    project: Project,
    queue: list[str],
    points: dict[str, dict[str, tuple[float, float]]],
    until: int | None,
) -> None:
    """Puts the expert's points into images, until there are so many."""
    sql = "SELECT image FROM state WHERE landmark = '' AND status = 'done'"
    done = {row["image"] for row in project.store.rows(sql)}
    for path in queue:
        row = project.store.row(
            "SELECT id, content_hash FROM images WHERE path = ?", path
        )
        assert row is not None
        image = row["id"]
        if image in done:
            continue
        if until is not None and reviewed(project) >= until:
            return
        step = str(uuid.uuid4())
        about = (step, image, row["content_hash"], project.model_named())
        changes = [
            Change(
                *(str(uuid.uuid4()), *about, name, "move", "", "corrected"),
                *(*place, "", 0.0),
            )
            for name, place in points[path].items()
        ]
        changes.append(
            Change(
                *(str(uuid.uuid4()), *about, "", "done", "", "done"),
                *(None, None, "", 0.0),
            )
        )
        append(project.store, EXPERT, changes)


def train(
    project: Project, folder: Path, options: Any, seed: int, predict: bool
) -> None:
    """Exports, trains, tests, and may predict the pool with the new model."""
    data = folder / "data"
    with Sandbox() as sandbox, OutputFolder(data, True, print) as output:
        pictures = Pictures(project, sandbox, None)
        write_folder(project, select(project, None), pictures, output, True)
    add_folds(data / "landmarks.csv")
    models = folder / "models"
    command(
        "train",
        "--view",
        VIEW,
        "--data",
        data,
        "--models",
        models,
        "--runs",
        folder / "runs",
        "--seed",
        seed,
        "--time-limit",
        options.minutes,
        "--precision",
        options.precision,
    )
    command(
        "evaluate",
        "--data",
        options.output / "test",
        "--models",
        models,
        "--output",
        folder / "evaluation",
        "--overwrite",
    )
    if predict:
        model = describe(models / f"phdnet_{VIEW}")
        from phdnet_tf.inference.predictor import Predictor

        project.choose_model(f"{folder.name}/1", model.checksums, model.version)
        load: Callable[[], Predictor] = lambda: Predictor(model.version)  # noqa: E731
        fill(project, "all", None, load, VIEW, Progress(), lambda *found: None)
    result = json.loads((folder / "evaluation" / "evaluation.json").read_text())
    overall = result["landmarks"]["overall"]["all"]
    found = {
        "points": reviewed(project),
        "mean_mm": overall["mean"],
        "median_mm": overall["median"],
    }
    (folder / "result.json").write_text(json.dumps(found))
    print(f"{folder}: {found}", flush=True)


def add_folds(table: Path) -> None:
    """Of the subjects every fourth is for validation, the others are learnt from."""
    with table.open() as file:
        rows = list(csv.DictReader(file))
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    for row in rows:
        index = subjects.index(row["subject"])
        row["fold"] = "0" if index % 4 == 0 else str(1 + index % 7)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def command(*arguments: object) -> None:
    """Runs `phdnet-tf`."""
    program = [sys.executable, "-c", "from phdnet_tf.cli import main; main()"]
    subprocess.run(
        [*program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL
    )


def print_table(output: Path, seeds: int, rounds: int) -> None:
    """Error of each round: its mean over the seeds, and each by itself."""
    print("| order | points | mean error, mm | by seed | median, mm | by seed |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number in range(rounds):
        for order in ORDERS if number else ("the first subjects",):
            name = order.replace(" ", "_") if number else "start"
            found = [
                json.loads(path.read_text())
                for seed in range(seeds)
                if (
                    path := output
                    / f"{name}_{seed}"
                    / f"round_{number}"
                    / "result.json"
                ).exists()
            ]
            if not found:
                continue
            points = np.mean([each["points"] for each in found])
            cells = [order, f"{points:.0f}"]
            for key in ("mean_mm", "median_mm"):
                errors = [each[key] for each in found]
                cells += [
                    f"{np.mean(errors):.2f}",
                    ", ".join(f"{error:.2f}" for error in errors),
                ]
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
