"""The networks of several benchmarks as one model: what an ensemble gains.

    phdnet-tf benchmark --view sa --data acdc_sa --system default --fold 2
        --time-limit 15 --output benchmark
    phdnet-tf benchmark --view sa --data acdc_sa --system default --fold 2
        --time-limit 15 --output benchmark_seed_1 --seed 1
    python benchmarks/studies/ensembles.py benchmark benchmark_seed_1 --view sa
        --data acdc_sa --output ensemble
    python benchmarks/studies/accuracy.py ensemble --view sa --data acdc_sa

Of every fold that all have finished, the default's networks are published as one, with
thresholds and radii learnt on the validation fold as `phdnet-tf train --members` does,
and tested. The output is a benchmark's folder, as far as `accuracy.py` reads it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from results import finished_folds, interval, print_header

from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.config import Config
from phdnet_tf.presets import VIEWS
from phdnet_tf.startup import load_tensorflow

SYSTEM = "default"


def main() -> None:
    """Publishes and tests the ensembles, and prints what changes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("benchmark", type=Path, nargs="+")
    parser.add_argument("--view", choices=VIEWS, required=True)
    parser.add_argument("--data", type=Path, help="default: the phantom")
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    options = parser.parse_args()
    if options.output.exists():
        raise SystemExit(
            f"{options.output}: expected a new folder. Received one that is there, "
            "maybe of other benchmarks: choose another --output."
        )
    load_tensorflow()
    from phdnet_tf.comparison.cross_validation import train_and_test
    from phdnet_tf.comparison.tables import Points, read_points
    from phdnet_tf.datasets.annotated import open_dataset
    from phdnet_tf.export.description import load_description
    from phdnet_tf.export.networks import load_network
    from phdnet_tf.export.versions import resolve_version
    from phdnet_tf.training.data import (
        cross_validation_folds,
        describe_data,
        seen_images,
    )
    from phdnet_tf.training.keeper import best_model
    from phdnet_tf.training.progress import Outcome
    from phdnet_tf.training.publish import publish_validated

    source = open_dataset(options.data, options.view)
    folds = finished_folds(options.benchmark, [SYSTEM])

    def member(folder: Path) -> tuple[Outcome, Config]:
        (model,) = (folder / "models").iterdir()
        description = load_description(resolve_version(model))
        if description["data"]["fingerprint"] != source.fingerprint:
            raise SystemExit(
                f"{folder}: expected a network of the data {source.name}. Received one "
                "of others: choose another --data."
            )
        (facts,) = description["training"]["members"]
        network = load_network(best_model(folder / "run"))
        return Outcome(model=network, **facts), Config.from_dict(description["config"])

    for fold in folds:
        folder = options.output / SYSTEM / f"fold_{fold}"
        members = [member(b / SYSTEM / f"fold_{fold}") for b in options.benchmark]
        outcomes = [outcome for outcome, _ in members]
        configs = [config for _, config in members]
        of_seed_0 = [
            replace(config, training=replace(config.training, seed=0))
            for config in configs
        ]
        seeds = {config.training.seed for config in configs}
        if of_seed_0.count(of_seed_0[0]) < len(members) or len(seeds) < len(members):
            raise SystemExit(
                f"fold {fold}: expected networks that differ in their seed, and in "
                f"nothing else. Received others, of the seeds {sorted(seeds)}: run the "
                "benchmarks with one version, and another --seed each."
            )
        parts = cross_validation_folds(fold)
        publish_validated(
            outcomes,
            configs[0],
            source.examples(parts.validation, source.landmarks),
            folder / "models",
            run="run",
            data=describe_data(source, parts),
            seen=seen_images(source, parts),
        )
        # It finds the model, and only tests it.
        train_and_test(SYSTEM, fold, configs[0], source, folder)

    def points(benchmark: Path) -> Points:
        return read_points(
            {(SYSTEM, fold): benchmark / SYSTEM / f"fold_{fold}" for fold in folds}
        )

    own = SYSTEM, SYSTEMS[SYSTEM].strategy
    together = points(options.output)
    errors = together.errors[own]
    print(
        f"{source.name}, test folds {', '.join(map(str, folds))}: {errors.size} "
        "points. In mm.\n"
    )
    print_header("", "mean", "worse than together [95 %]", "> 10 mm")
    print(f"| together | {errors.mean():.2f} | | {(errors > 10).mean():.1%} |")
    for benchmark in options.benchmark:
        alone = points(benchmark).errors[own]
        print(
            f"| {benchmark.name} | {alone.mean():.2f} | {(alone - errors).mean():+.2f} "
            f"{interval(alone - errors, together.subjects, '+.2f')} | "
            f"{(alone > 10).mean():.1%} |"
        )


if __name__ == "__main__":
    main()
