"""What parts of the default's training and reading are worth, on development folds.

    python benchmarks/studies/ablation.py acdc_sa ablation --epochs 6

Every variant trains on folds 2 to 7, on as many crops, and is tested on folds 0 and 1;
fold 0 chooses its epoch. All look once, with weighted votes, but for the one that says
otherwise. Finished variants are kept; --variant chooses some, so that several processes
can share the work.
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results import interval, print_header

TRAINING = [2, 3, 4, 5, 6, 7]
VALIDATION = [0]
TEST = [0, 1]

MILD = {"crops.rotation": 20.0, "crops.scale": 0.15, "crops.stretch": 0.0}
REFERENCE = "default"
LOOKS = "three looks"
"""Reads the reference's network another way, and trains nothing."""

VARIANTS: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    LOOKS: {"model.strategy": "augmented"},
    "smaller deformations": MILD,
    "smaller deformations, batches of 32": MILD | {"training.batch_size": 32},
}


def settings(landmarks: tuple[str, ...], epochs: int, changes: dict[str, Any]):
    """The default settings with some changed: {"training.batch_size": 32}."""
    from phdnet_tf.presets import make_config

    config = make_config("default", "sa", landmarks, strategy="weighted")
    parts: dict[str, dict[str, Any]] = {}
    for name, value in {"training.epochs": epochs, **changes}.items():
        part, field = name.split(".")
        parts.setdefault(part, {})[field] = value
    changed = {p: replace(getattr(config, p), **v) for p, v in parts.items()}
    return replace(config, **changed)


def folder_of(output: Path, name: str) -> Path:
    """Where a variant's weights and errors are kept."""
    return output / name.replace(" ", "_").replace(",", "")


def claim(folder: Path, config: Any) -> None:
    """Makes a variant's folder, or makes sure that it is of the same settings."""
    file, current = folder / "settings.json", json.dumps(config.to_dict(), indent=2)
    if folder.exists() and (not file.exists() or file.read_text() != current):
        raise SystemExit(
            f"{folder}: expected the settings of this version. Received others: choose "
            "another output."
        )
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(current)


def run(name: str, data: Path, output: Path, epochs: int) -> None:
    """Trains and tests a variant, and keeps its errors, unless that has been done."""
    from phdnet_tf.datasets.annotated import open_dataset
    from phdnet_tf.evaluation.predictions import predict_examples
    from phdnet_tf.export.graph import ServedGraph
    from phdnet_tf.export.networks import load_network
    from phdnet_tf.presets import USUAL_ORIENTATIONS
    from phdnet_tf.training.keeper import best_model
    from phdnet_tf.training.loop import train

    source = open_dataset(data, "sa")
    landmarks = source.landmarks
    config = settings(landmarks, epochs, VARIANTS[name])
    folder = folder_of(output, name)
    claim(folder, config)
    if (folder / "errors.npz").exists():
        return
    if name == LOOKS:
        trained = folder_of(output, REFERENCE)
        claim(trained, settings(landmarks, epochs, VARIANTS[REFERENCE]))
        if not (trained / "errors.npz").exists():
            raise SystemExit(
                f"{trained}: expected a finished variant. Received none: run it first, "
                f"with --variant {REFERENCE}."
            )
        model = load_network(best_model(trained))
        seconds = float(np.load(trained / "errors.npz")["seconds"])
    else:
        outcome = train(
            config,
            source.examples(TRAINING, landmarks),
            source.examples(VALIDATION, landmarks),
            folder,
        )
        model, seconds = outcome.model, outcome.seconds / outcome.steps
    served = ServedGraph([model], config, [0.0] * len(landmarks))
    usual = USUAL_ORIENTATIONS[config.view]
    found = predict_examples(served.explain, source.examples(TEST, landmarks), usual)
    np.savez(
        folder / "unfinished.npz",
        subjects=found.subjects,
        confidence=found.confidence,
        evidence=found.evidence,
        seconds=seconds,
        **found.errors_by,
    )
    os.replace(folder / "unfinished.npz", folder / "errors.npz")


def radii(errors: Any, evidence: Any, subjects: Any) -> Any:
    """50 % radii, those of every other subject learnt on the rest, mm."""
    from phdnet_tf.trust.radii import learn_radii

    found = np.empty_like(errors)
    half = np.isin(subjects, np.unique(subjects)[::2])
    for own in (half, ~half):
        learnt = learn_radii(errors[~own], evidence[~own], list(subjects[~own]))
        expected = np.exp(learnt.offset + evidence[own] @ np.array(learnt.slopes))
        found[own] = expected * np.array(learnt.quantiles)[:, 0]
    return found


def print_table(output: Path) -> None:
    """Prints all finished variants as Markdown."""
    from phdnet_tf.evaluation.metrics import summarise
    from phdnet_tf.evaluation.summary import ranked

    print_header(
        *("variant", "s a step", "mean ± sd", "difference [95 %]", "> 20 mm"),
        *("smoothing", "simple", "by confidence: AUROC > 10 mm", "mean of 56 %"),
        *("by radius: AUROC", "of 56 %"),
    )
    reference = None
    for name in VARIANTS:
        file = folder_of(output, name) / "errors.npz"
        if not file.exists():
            continue
        kept = np.load(file)
        errors = kept[VARIANTS[name].get("model.strategy", "weighted")]
        known = np.isfinite(errors)
        facts = summarise(errors)
        trust = (
            kept["confidence"],
            -radii(errors, kept["evidence"], kept["subjects"]),
        )
        orders = [ranked(errors[known], each[known]) for each in trust]
        difference = ""
        if reference is not None:
            change = errors - reference
            subjects = np.repeat(kept["subjects"][:, None], errors.shape[1], 1)
            difference = (
                f"{np.nanmean(change):+.2f} {interval(change, subjects, '+.2f')}"
            )
        if name == REFERENCE:
            reference = errors
        others = [f"{np.nanmean(kept[way]):.2f}" for way in ("smoothing", "simple")]
        print(
            f"| {name} | {kept['seconds']:.2f} | "
            f"{facts['mean']:.2f} ± {facts['std']:.2f} | {difference} | "
            f"{facts['beyond_20']:.1%} | {' | '.join(others)} | "
            + " | ".join(
                # Where all points are more than 10 mm off, or none, there is no AUROC.
                f"{order['auroc_10'] or np.nan:.3f} | {order['mean_at_56']:.2f}"
                for order in orders
            )
            + " |"
        )


def main() -> None:
    """Runs what is not finished, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--variant", choices=VARIANTS, action="append")
    options = parser.parse_args()
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(options.threads)
    from phdnet_tf.startup import load_tensorflow

    load_tensorflow()
    output = options.output / f"{options.epochs}_epochs"
    for name in options.variant or VARIANTS:
        run(name, options.data, output, options.epochs)
    print_table(output)


if __name__ == "__main__":
    main()
