"""Accuracy and confidence of the systems of a benchmark, all its folds together.

    phdnet-tf benchmark --view sa --data acdc_sa --system default --system phdnet
        --system unet --fold 2 --fold 3 --fold 4 --time-limit 15
    python benchmarks/studies/accuracy.py benchmark --view sa --data acdc_sa

The models that the benchmark kept predict their own test folds again, for the error
radii and the recognition, which its table of predictions does not have.
"""

import argparse
from pathlib import Path

import numpy as np
from results import draws, error_cells, finished_folds, interval, print_header

from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.presets import USUAL_ORIENTATIONS, VIEWS
from phdnet_tf.startup import load_tensorflow


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--view", choices=VIEWS, required=True)
    parser.add_argument("--data", type=Path, help="default: the phantom")
    parser.add_argument(
        "--system", choices=SYSTEMS, action="append", help="default: all that are there"
    )
    options = parser.parse_args()
    load_tensorflow()
    from phdnet_tf.datasets.annotated import open_dataset
    from phdnet_tf.evaluation.predictions import Predictions, join, predict_examples
    from phdnet_tf.evaluation.summary import radii_coverage, ranked, rankings
    from phdnet_tf.export.saved_model import load_signatures
    from phdnet_tf.export.versions import resolve_version

    source = open_dataset(options.data, options.view)
    landmarks = source.landmarks

    def predict(system: str, fold: int) -> Predictions:
        models = options.benchmark / system / f"fold_{fold}" / "models"
        (model,) = models.iterdir()
        explain = load_signatures(resolve_version(model))["explain"]
        usual = USUAL_ORIENTATIONS.get(options.view, ())
        return predict_examples(explain, source.examples([fold], landmarks), usual)

    systems = [
        name
        for name in SYSTEMS
        if (options.benchmark / name).is_dir() and name in (options.system or SYSTEMS)
    ]
    folds = finished_folds([options.benchmark], systems)
    parts = {s: [predict(s, fold) for fold in folds] for s in systems}
    found = {s: join(each) for s, each in parts.items()}
    some = found[systems[0]]
    fold_of = np.repeat(folds, [len(part.images) for part in parts[systems[0]]])
    subjects = np.repeat(np.array(some.subjects)[:, None], len(landmarks), 1)
    known = np.isfinite(some.errors)
    print(
        f"{source.name}, test folds {', '.join(map(str, folds))}: {len(some.images)} "
        f"images of {len(set(some.subjects))} subjects, {known.sum()} points. In mm.\n"
    )

    print_header(
        "system", "mean ± sd [95 %]", "median", "≤ 10 mm", "> 20 mm", "recognised"
    )
    for name, each in found.items():
        for strategy, errors in each.errors_by.items():
            own = strategy == SYSTEMS[name].strategy
            print(
                f"| {SYSTEMS[name].label if own else f'... {strategy}'} | "
                f"{error_cells(errors, subjects)} | "
                f"{f'{each.recognised.mean():.1%}' if own else ''} |"
            )

    ways = {s: found[s].errors for s in systems}
    own = systems[-1]
    ways |= {
        f"{own}, {strategy}": errors
        for strategy, errors in found[own].errors_by.items()
        if strategy != SYSTEMS[own].strategy
    }
    print()
    print_header(f"compared with {own}", "mean", "difference [95 %]", "by fold")
    for name, errors in ways.items():
        change = errors - ways[own]
        by_fold = [
            f"{fold}: {errors[chosen].mean():.2f}, {change[chosen].mean():+.2f} "
            f"{interval(change[chosen], subjects[chosen], '+.2f')}"
            for fold in folds
            for chosen in [known & (fold_of == fold)[:, None]]
        ]
        print(
            f"| {name} | {np.nanmean(errors):.2f} | {np.nanmean(change):+.2f} "
            f"{interval(change, subjects, '+.2f')} | {'; '.join(by_fold)} |"
        )

    drawn = draws(subjects[:, 0])

    def trust(errors: np.ndarray, values: np.ndarray) -> list[str]:
        """The figures of `ranked`, with 95 % bootstrap intervals by subject."""
        facts = ranked(errors[known], values[known])
        samples = [ranked(errors[d][known[d]], values[d][known[d]]) for d in drawn]
        told = []
        for key, form in (("aurc", ".2f"), ("auroc_10", ".3f"), ("mean_at_56", ".2f")):
            # Where no error is beyond 10 mm there is no AUROC.
            if facts[key] is None:
                told.append("")
                continue
            several = [each[key] for each in samples if each[key] is not None]
            low, high = np.percentile(several, [2.5, 97.5])
            told.append(f"{facts[key]:{form}} [{low:{form}}, {high:{form}}]")
        return told

    print()
    print_header("system, order of trust", "AURC", "AUROC > 10 mm", "mean of 56 %")
    for name, each in found.items():
        for order, values in rankings(each).items():
            print(
                f"| {name}, {order.replace('_', ' ')} | "
                f"{' | '.join(trust(each.errors, values))} |"
            )

    print()
    print_header("system, order of trust", "AUROC > 10 mm by fold")
    for name, each in found.items():
        for order, values in rankings(each).items():
            told = []
            for fold in folds:
                chosen = known & (fold_of == fold)[:, None]
                auroc = ranked(each.errors[chosen], values[chosen])["auroc_10"]
                told.append(f"{fold}: {'none' if auroc is None else f'{auroc:.2f}'}")
            print(f"| {name}, {order.replace('_', ' ')} | {'; '.join(told)} |")

    print()
    print_header(
        "system", "landmark", "mean", "radius", "holds [95 %]", "median radius"
    )
    for name, each in found.items():
        means = dict(zip(landmarks, np.nanmean(each.errors, axis=0), strict=True))
        means["overall"] = np.nanmean(each.errors)
        for landmark, levels in radii_coverage(each, landmarks).items():
            for level in levels:
                low, high = level["interval"] or (np.nan, np.nan)
                print(
                    f"| {name} | {landmark} | {means[landmark]:.2f} | "
                    f"{level['level']:.0%} | {level['coverage']:.1%} [{low:.1%}, "
                    f"{high:.1%}] | {level['median_mm']:.1f} |"
                )


if __name__ == "__main__":
    main()
