"""How well the confidence of the paper's author foresees errors: the reference.

Reads the predictions that the author published (pykale/data, PHD-Net on 303 ASPIRE
short-axis subjects in eight folds), and says of them what `phdnet-tf evaluate` says of
a model: risk and coverage, and how often radii learnt on a fold's validation
predictions hold on its test predictions. Run it as

    python benchmarks/author_confidence.py FOLDER
"""

import csv
import sys
from pathlib import Path

import numpy as np

from phdnet_tf.confidence import LEVELS, learn_radii
from phdnet_tf.config import FOLDS
from phdnet_tf.evaluation import COVERAGE, LARGE_ERROR
from phdnet_tf.metrics import error_auroc, mean_interval, risk_coverage

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


def main(folder: Path) -> None:
    """Prints the tables as Markdown."""
    print("| method | points | mean | AURC | AUROC > 10 mm | mean of 56 % |")
    print("| --- | --- | --- | --- | --- | --- |")
    covered = ["| method | should hold | holds (95 % interval) | median |"]
    covered.append("| --- | --- | --- | --- |")
    for method, meaning in METHODS.items():
        errors, confidence, held, radii, subjects = [], [], [], [], []
        for landmark in range(3):
            validation = read(folder, "valid", landmark)
            test = read(folder, "test", landmark)
            for fold in range(FOLDS):
                learnt_rows, new_rows = (
                    [row for row in rows if int(row["Testing Fold"]) == fold]
                    for rows in (validation, test)
                )
                known, evidence = values(learnt_rows, method)
                learnt = learn_radii(
                    known[:, None],
                    np.log(evidence)[:, None, None],
                    [row["uid"] for row in learnt_rows],
                )
                new, trust = values(new_rows, method)
                expected = np.exp(
                    learnt.offsets[0] + np.log(trust) * learnt.slopes[0][0]
                )
                radius = expected[:, None] * np.array(learnt.quantiles[0])
                errors.append(new)
                confidence.append(trust)
                radii.append(radius)
                held.append(new[:, None] <= radius)
                subjects += [row["uid"] for row in new_rows]
        error = np.concatenate(errors)
        coverage, risk = risk_coverage(error, np.concatenate(confidence))
        kept = risk[np.searchsorted(coverage, COVERAGE)]
        auroc = error_auroc(error, np.concatenate(confidence), LARGE_ERROR)
        print(
            f"| {method}: {meaning} | {error.size} | {error.mean():.2f} | "
            f"{risk.mean():.2f} | {auroc:.3f} | {kept:.2f} |"
        )
        for index, level in enumerate(LEVELS):
            within = np.concatenate(held)[:, index].astype(float)
            low, high = mean_interval(within, np.array(subjects)) or (0.0, 1.0)
            median = np.median(np.concatenate(radii)[:, index])
            covered.append(
                f"| {method} | {level:.0%} | {within.mean():.1%} "
                f"({low:.1%} to {high:.1%}) | {median:.1f} mm |"
            )
    print("\n" + "\n".join(covered))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
