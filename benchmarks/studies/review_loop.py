"""Does the loop pay: error against points corrected, worst first and in random order.

    python benchmarks/studies/review_loop.py loop --data acdc_sa --minutes 5
        --seeds 3 --rounds 5

The expert's points are the human. It trains on some subjects. Then so many points as so
many subjects have are reviewed, in the order of the page's queue or at random, and it
trains on all of them, again and again. Those that are tested are always the same.
Run it again to go on where it was; the table is printed at the end.
"""

import argparse
import csv
import json
import subprocess
import sys
import uuid
from collections.abc import Callable
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
    options = parser.parse_args()
    load_tensorflow()
    expert = read_expert(options.data)
    tested, pool = split_subjects([*expert])
    write_table(options.output / "test", options.data, expert, tested)
    for seed in range(options.seeds):
        for order in ORDERS:
            arm = options.output / f"{order.replace(' ', '_')}_{seed}"
            run_arm(arm, options, expert, pool, order, seed)
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


def run_arm(
    arm: Path, options: Any, expert: dict, pool: list[str], order: str, seed: int
) -> None:
    """One order and seed, round after round."""
    rng = np.random.default_rng(seed)
    shuffled = [pool[index] for index in rng.permutation(len(pool))]
    first = shuffled[: options.subjects]
    points = {
        str((options.data / image).resolve()): placed(row)
        for subject in pool
        for image, row in expert[subject].items()
    }
    # So many points as so many subjects have in the mean.
    budget = options.subjects * sum(map(len, points.values())) // len(pool)
    project = Project(arm / "project", create=True)
    names = describe_names(expert)
    project.choose_landmarks(VIEW, names)
    if project.setting("inputs") is None:
        project.set("inputs", [*points])
        fill(project, "all", None, None, VIEW, Progress(), lambda *found: None)
    rows = project.store.rows("SELECT id, path FROM images")
    numbers = {row["path"]: row["id"] for row in rows}
    start = [
        numbers[str((options.data / image).resolve())]
        for subject in first
        for image in expert[subject]
    ]
    chance = [numbers[path] for path in points]
    rng.shuffle(chance)
    paths = {number: path for path, number in numbers.items()}
    for number in range(options.rounds):
        folder = arm / f"round_{number}"
        if (folder / "result.json").exists():
            continue
        if number == 0:
            review(project, start, points, paths, None)
        else:
            queue = worst_first(project) if order == ORDERS[0] else chance
            review(project, queue, points, paths, (number + 1) * budget)
        train(project, folder, options, seed)
        result = json.loads((folder / "evaluation" / "evaluation.json").read_text())
        overall = result["landmarks"]["overall"]["all"]
        found = {"points": reviewed(project), "mean_mm": overall["mean"]}
        (folder / "result.json").write_text(json.dumps(found))
        print(f"{arm.name}, round {number}: {found}", flush=True)


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


def worst_first(project: Project) -> list[int]:
    """The page's queue; what is not recognised comes last, as a queue of its own."""
    found: list[int] = []
    for group in ("recognised", "unrecognised"):
        part = page(project, EXPERT, Wanted(group=group), 0, 100_000)
        found += [item["id"] for item in part["items"]]
    return found


def review(
    project: Project,
    queue: list[int],
    points: dict[str, dict[str, tuple[float, float]]],
    paths: dict[int, str],
    until: int | None,
) -> None:
    """Puts the expert's points into images, until there are so many."""
    sql = "SELECT image FROM state WHERE landmark = '' AND status = 'done'"
    done = {row["image"] for row in project.store.rows(sql)}
    for image in queue:
        if image in done:
            continue
        if until is not None and reviewed(project) >= until:
            return
        row = project.store.row("SELECT content_hash FROM images WHERE id = ?", image)
        assert row is not None
        step = str(uuid.uuid4())
        about = (step, image, row["content_hash"], project.model_named())
        changes = [
            Change(
                *(str(uuid.uuid4()), *about, name, "move", "", "corrected"),
                *(*place, "", 0.0),
            )
            for name, place in points[paths[image]].items()
        ]
        changes.append(
            Change(
                *(str(uuid.uuid4()), *about, "", "done", "", "done"),
                *(None, None, "", 0.0),
            )
        )
        append(project.store, EXPERT, changes)


def train(project: Project, folder: Path, options: Any, seed: int) -> None:
    """Exports, trains, tests, and predicts the pool with the new model."""
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
    model = describe(models / f"phdnet_{VIEW}")
    from phdnet_tf.inference.predictor import Predictor

    project.choose_model(f"{folder.name}/1", model.checksums, model.version)
    load: Callable[[], Predictor] = lambda: Predictor(model.version)  # noqa: E731
    fill(project, "all", None, load, VIEW, Progress(), lambda *found: None)


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
    """Error of each round, its mean over the seeds and each by itself."""
    print("| round | order | points | mean error, mm | by seed |")
    print("| --- | --- | --- | --- | --- |")
    for number in range(rounds):
        for order in ORDERS:
            found = [
                json.loads(path.read_text())
                for seed in range(seeds)
                if (
                    path := output
                    / f"{order.replace(' ', '_')}_{seed}"
                    / f"round_{number}"
                    / "result.json"
                ).exists()
            ]
            if found:
                errors = [each["mean_mm"] for each in found]
                points = np.mean([each["points"] for each in found])
                print(
                    f"| {number} | {order} | {points:.0f} | {np.mean(errors):.2f} | "
                    f"{', '.join(f'{error:.2f}' for error in errors)} |"
                )


if __name__ == "__main__":
    main()
