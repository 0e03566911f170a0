"""How well the confidence of the paper's author foresees errors: the reference.

Reads the predictions that the author published (pykale/data, PHD-Net on 303 ASPIRE
short-axis subjects in eight folds), and says of them what `phdnet-tf evaluate` says of
a model: risk and coverage, and how often radii learnt on a fold's validation
predictions hold on its test predictions.

    python benchmarks/studies/author_confidence.py phdnet_uncertainty/SA
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import tensorflow as tf
from results import interval, print_header

from phdnet_tf.config import FOLDS
from phdnet_tf.evaluation.summary import ranked
from phdnet_tf.export.graph import error_radii
from phdnet_tf.trust.radii import LEVELS, learn_radii

PIXEL = 0.9375
"""Side of the author's pixels, in mm."""

METHODS = {
    "S-MHA": "one network, peak of the smoothed map",
    "E-MHA": "five networks, peak of the mean map",
    "E-CPV": "five networks, variance of their points",
}


def read(folder: Path, part: str, landmark: int) -> list[dict[str, str]]:
    """The rows of a landmark's validation or test predictions."""
    path = folder / f"uncertainty_pairs_{part}_t{landmark}.csv"
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def values(rows: list[dict[str, str]], method: str) -> tuple[np.ndarray, np.ndarray]:
    """Errors in mm, and confidence: of a variance, less is more."""
    errors = np.array([float(row[f"{method} Error"]) * PIXEL for row in rows])
    stated = np.array([float(row[f"{method} Uncertainty"]) for row in rows])
    return errors, 1 / np.maximum(stated, 1e-6) if method == "E-CPV" else stated


def evidence(confidence: np.ndarray) -> np.ndarray:
    """What radii are learnt from, the larger the worse: float[N, 1, 1]."""
    return -np.log(confidence)[:, None, None]


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with uncertainty_pairs_*.csv")
    folder = parser.parse_args().folder
    print_header("method", "points", "mean", "AURC", "AUROC > 10 mm", "mean of 56 %")
    covered = []
    for method, meaning in METHODS.items():
        errors, confidence, radii, subjects = [], [], [], []
        for landmark in range(3):
            validation = read(folder, "valid", landmark)
            test = read(folder, "test", landmark)
            for fold in range(FOLDS):
                known_rows, new_rows = (
                    [row for row in rows if int(row["Testing Fold"]) == fold]
                    for rows in (validation, test)
                )
                known, trust = values(known_rows, method)
                names = [row["uid"] for row in known_rows]
                learnt = learn_radii(known[:, None], evidence(trust), names)
                new, trust = values(new_rows, method)
                errors.append(new)
                confidence.append(trust)
                found = error_radii(tf.constant(evidence(trust), tf.float32), learnt)
                radii.append(found.numpy()[:, 0])
                subjects += [row["uid"] for row in new_rows]
        error, radius = np.concatenate(errors), np.concatenate(radii)
        order = ranked(error, np.concatenate(confidence))
        print(
            f"| {method}: {meaning} | {error.size} | {error.mean():.2f} | "
            f"{order['aurc']:.2f} | {order['auroc_10']:.3f} | "
            f"{order['mean_at_56']:.2f} |"
        )
        for index, level in enumerate(LEVELS):
            within = (error <= radius[:, index]).astype(float)
            covered.append(
                f"| {method} | {level:.0%} | {within.mean():.1%} "
                f"{interval(within, np.array(subjects), '.1%')} | "
                f"{np.median(radius[:, index]):.1f} mm |"
            )
    print()
    print_header("method", "should hold", "holds [95 %]", "median")
    print("\n".join(covered))


if __name__ == "__main__":
    main()
