"""What cross-fitting says of a model: every image, by networks that did not learn it.

    phdnet-tf train --view sa --data acdc_relabelled --calibrate crossfit --name hearts
    python benchmarks/studies/crossfit.py runs/sa/hearts --labels acdc_sa --group group

Thresholds, radii and recognition of a fold are learnt from the errors of the other
folds. "One fold" learns them from the fold before alone, as a training with a
validation fold does. With --labels, the same points are measured against other
landmarks of these images; with --group, images are told apart by a column of their
table.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from results import draws, error_cells, print_header

from phdnet_tf.startup import load_tensorflow


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--labels", type=Path, help="folder of the same images")
    parser.add_argument("--group", metavar="COLUMN", help="of the table of the images")
    options = parser.parse_args()
    load_tensorflow()
    from phdnet_tf.datasets.annotated import open_dataset
    from phdnet_tf.evaluation.metrics import point_errors
    from phdnet_tf.evaluation.predictions import Predictions, join, predict_examples
    from phdnet_tf.evaluation.summary import radii_coverage, ranking_figures, rankings
    from phdnet_tf.export.graph import ServedGraph
    from phdnet_tf.export.networks import load_network
    from phdnet_tf.presets import USUAL_ORIENTATIONS
    from phdnet_tf.training.calibration import (
        calibrate,
        calibrated,
        calibrated_by_the_others,
    )
    from phdnet_tf.training.keeper import best_model
    from phdnet_tf.training.settings import load_settings

    settings = load_settings(options.run)
    config, landmarks = settings.config, settings.config.model.landmarks
    source = open_dataset(settings.data and Path(settings.data), config.view)
    usual = USUAL_ORIENTATIONS.get(config.view, ())

    def predict(part: Path) -> Predictions:
        states = sorted(part.rglob("state.npz"))
        networks = [load_network(best_model(state.parent)) for state in states]
        graph = ServedGraph(networks, config, [0.0] * len(landmarks))
        fold = int(part.name.removeprefix("without_"))
        return predict_examples(
            graph.explain, source.examples([fold], landmarks), usual
        )

    folders = sorted(options.run.glob("without_*"))
    folds = [int(folder.name.removeprefix("without_")) for folder in folders]
    parts = [predict(folder) for folder in folders]
    ways = {
        "seven folds": calibrated_by_the_others(parts),
        "one fold": join(
            [
                calibrated(part, calibrate(parts[number - 1]))
                for number, part in enumerate(parts)
            ]
        ),
    }
    found = ways["seven folds"]
    fold_of = np.repeat(folds, [len(part.images) for part in parts])
    subjects = np.repeat(np.array(found.subjects)[:, None], len(landmarks), 1)
    print(
        f"{source.name}, {len(found.images)} images of {len(set(found.subjects))} "
        f"subjects, each fold by networks of the others. In mm.\n"
    )

    labels = {source.name: found.errors}
    if options.labels:
        other = open_dataset(options.labels, config.view)
        truth, spacing = {}, {}
        for example in other.examples(folds, landmarks).as_numpy_iterator():
            name = example["image_id"].decode()
            truth[name], spacing[name] = example["landmarks"], example["pixel_spacing"]
        labels[other.name] = point_errors(
            found.points,
            np.stack([truth[name] for name in found.images]),
            np.stack([spacing[name] for name in found.images]),
        )
    print_header("labels", "landmark", "mean ± sd [95 %]", "median", "≤ 10", "> 20")
    for name, errors in labels.items():
        for index, landmark in enumerate(landmarks):
            cells = error_cells(errors[:, index], subjects[:, index])
            print(f"| {name} | {landmark} | {cells} |")
        print(f"| {name} | overall | {error_cells(errors, subjects)} |")

    print()
    groups = {f"fold {fold}": fold_of == fold for fold in folds}
    if options.group:
        with (Path(settings.data) / "landmarks.csv").open(newline="") as file:
            column = {row["image"]: row[options.group] for row in csv.DictReader(file)}
        group_of = np.array([column[name] for name in found.images])
        groups |= {name: group_of == name for name in np.unique(group_of)}
    print_header(
        *("images", "number", "subjects", "mean ± sd [95 %]", "median", "≤ 10", "> 20"),
        *("90 % radii hold", "recognised", "high confidence"),
    )
    for name, own in groups.items():
        errors = found.errors[own]
        within = (errors <= found.radii[own, :, 1])[np.isfinite(errors)]
        print(
            f"| {name} | {own.sum()} | {len(np.unique(subjects[own]))} | "
            f"{error_cells(errors, subjects[own])} | {within.mean():.1%} | "
            f"{found.recognised[own].mean():.1%} | "
            f"{found.high_confidence[own].mean():.1%} |"
        )

    print()
    print_header(
        "learnt from", "landmark", "90 % radii hold [95 %]", "median radius", "by fold"
    )
    for way, each in ways.items():
        within = each.errors <= each.radii[..., 1]
        for number, (landmark, levels) in enumerate(
            radii_coverage(each, landmarks).items()
        ):
            [level] = [level for level in levels if level["level"] == 0.9]
            low, high = level["interval"]
            chosen = within[:, number] if number < len(landmarks) else within
            by_fold = [f"{chosen[fold_of == fold].mean():.0%}" for fold in folds]
            print(
                f"| {way} | {landmark} | {level['coverage']:.1%} [{low:.1%}, "
                f"{high:.1%}] | {level['median_mm']:.1f} | {' '.join(by_fold)} |"
            )

    print()
    print_header("order of trust", "macro AUROC > 10 mm [95 %]", "by landmark")
    drawn = draws(subjects[:, 0])
    for order, values in rankings(found).items():
        facts = ranking_figures(found.errors, values, landmarks)
        several = [
            ranking_figures(found.errors[rows], values[rows], landmarks)["macro"]
            for rows in drawn
        ]
        low, high = np.percentile([each["auroc_10"] for each in several], [2.5, 97.5])
        own = [f"{facts[name]['auroc_10']:.3f}" for name in landmarks]
        print(
            f"| {order.replace('_', ' ')} | {facts['macro']['auroc_10']:.3f} "
            f"[{low:.3f}, {high:.3f}] | {' '.join(own)} |"
        )


if __name__ == "__main__":
    main()
