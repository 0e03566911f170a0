"""How far labels jump from slice to slice, and how errors are foreseen without those.

    phdnet-tf benchmark --view sa --data acdc_sa --system default --fold 2
        --time-limit 15 --output benchmark
    python benchmarks/studies/labels.py benchmark --data acdc_sa

Labels that are derived from masks, slice by slice, can leap where the anatomy does not.
A label's jump is its distance from the middle of the labels in the two slices beside
it, at the same time of the cycle, in mm; where only one slice is beside it, from that
one, which tends to be farther, so that each kind has its own order. No network has a
say in it.
"""

import argparse
import re
from pathlib import Path

import numpy as np
from results import draws, finished_folds, kept_predictions, print_header

from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.config import FOLDS
from phdnet_tf.startup import load_tensorflow

SYSTEM = "default"
KEPT = (1.0, 0.95, 0.9, 0.8)
"""Shares of the labels to keep, those that jump least."""


def jumps(places: dict[tuple[str, int], np.ndarray]) -> dict[tuple, np.ndarray]:
    """How far labels are from those beside them.

    Args:
        places: float[L, 2], mm, by stack (subject and time) and number of the slice.

    Returns:
        float[L, 2] by the same keys: the jump, and the number of slices beside. NaN
        where there is none.
    """
    found = {}
    for (stack, number), own in places.items():
        beside = [
            places[stack, other]
            for other in (number - 1, number + 1)
            if (stack, other) in places
        ]
        middle = np.mean(beside, axis=0) if beside else np.full_like(own, np.nan)
        distance = np.linalg.norm(own - middle, axis=-1)
        found[stack, number] = np.stack(
            [distance, np.full_like(distance, len(beside))], axis=-1
        )
    return found


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", type=Path)
    parser.add_argument(
        "--data", type=Path, required=True, help="from 'phdnet-tf dataset import acdc'"
    )
    options = parser.parse_args()
    load_tensorflow()
    from phdnet_tf.datasets.annotated import open_dataset
    from phdnet_tf.evaluation.summary import ranked

    def key(image: str) -> tuple[str, int]:
        stack, number = re.fullmatch(r"(.*)_slice(\d+)\.dcm", image).groups()
        return stack, int(number)

    source = open_dataset(options.data, "sa")
    places = {
        key(example["image_id"].numpy().decode()): example["landmarks"].numpy()
        * example["pixel_spacing"].numpy()[::-1]
        for example in source.examples(list(range(FOLDS)), source.landmarks)
    }
    jump = jumps(places)

    folds = finished_folds([options.benchmark], [SYSTEM])
    strategy = SYSTEMS[SYSTEM].strategy
    rows = kept_predictions(options.benchmark, SYSTEM, strategy, folds)
    order = {name: k for k, name in enumerate(source.landmarks)}
    errors = np.array([float(row["error_mm"]) for row in rows])
    confidence = np.array([float(row["confidence"]) for row in rows])
    subjects = np.array([row["subject"] for row in rows])
    own = np.array([jump[key(row["image"])][order[row["landmark"]]] for row in rows])

    every = np.concatenate(list(jump.values()))
    print_header("slices beside", "labels", "median jump", "of 19 in 20 less than")
    rank = np.zeros(len(rows))
    for number in (1, 2):
        alike = np.sort(every[(every[:, 1] == number) & np.isfinite(every[:, 0]), 0])
        mine = own[:, 1] == number
        rank[mine] = np.searchsorted(alike, own[mine, 0]) / alike.size
        median, most = np.percentile(alike, [50, 95])
        print(f"| {number} | {alike.size} | {median:.1f} mm | {most:.1f} mm |")

    drawn = draws(subjects)
    known = np.isfinite(errors)

    def auroc(chosen: np.ndarray) -> float:
        """NaN where there is no error beyond 10 mm, or nothing else."""
        found = ranked(errors[chosen], confidence[chosen])["auroc_10"]
        return np.nan if found is None else found

    print()
    print_header("kept", "points", "> 10 mm", "mean", "AUROC > 10 mm", "rise")
    before = [auroc(d[known[d]]) for d in drawn]
    for share in KEPT:
        kept = known & (rank <= share)
        after = np.array([auroc(d[kept[d]]) for d in drawn])
        low, high = np.nanpercentile(after, [2.5, 97.5])
        least, most = np.nanpercentile(after - before, [2.5, 97.5])
        print(
            f"| {share:.0%} | {kept.sum()} | {(errors[kept] > 10).sum()} | "
            f"{errors[kept].mean():.2f} | "
            f"{auroc(kept):.3f} [{low:.3f}, {high:.3f}] | "
            f"{auroc(kept) - auroc(known):+.3f} [{least:+.3f}, {most:+.3f}] |"
        )


if __name__ == "__main__":
    main()
