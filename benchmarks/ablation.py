"""What each part of the default settings is worth, on development folds.

    python benchmarks/ablation.py acdc_sa ablation --epochs 10

Every variant trains on folds 2 to 7, on as many crops, and is tested on folds 0 and 1;
fold 0 chooses its epoch. All look once, with weighted votes, but those that augment.
Finished variants are kept; --variant chooses some, so that several processes can share
the work.
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

TRAINING = [2, 3, 4, 5, 6, 7]
VALIDATION = [0]
TEST = [0, 1]

WEIGHT = "training.displacement_weight"
MILD = {"crops.rotation": 20.0, "crops.scale": 0.15, "crops.stretch": 0.0}
BEFORE: dict[str, Any] = MILD | {"training.batch_size": 32}
"""What the default's training was before smaller batches and larger deformations."""

THREE = {"model.filters": (16, 32, 80)}
SLIM = {"model.filters": (16, 32, 64, 64)}
WIDER = {
    "model.filters": (24, 48, 96, 96),
    "model.dilations": (1, 2, 4, 8, 4, 1),
}
POOLED = {
    "model.filters": (32, 48, 64, 96, 96, 96),
    "model.dilations": (2, 4, 8, 1),
    "model.strided": False,
}
AUGMENTED = {"model.strategy": "augmented"}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "test-time augmentation": AUGMENTED,
    "smaller deformations": MILD,
    "before": BEFORE,
    "before: test-time augmentation": BEFORE | AUGMENTED,
    "before: 64 wide": BEFORE | SLIM,
    "before: three convolutions first": BEFORE | THREE,
    "before: 64 wide, displacements 0.2": BEFORE | SLIM | {WEIGHT: 0.2},
    "before: three convolutions first, displacements 0.2": BEFORE
    | THREE
    | {WEIGHT: 0.2},
    "before: wider, displacements 0.2": BEFORE | WIDER | {WEIGHT: 0.2},
    "before: first layer pooled, displacements 0.2": BEFORE | POOLED | {WEIGHT: 0.2},
    "before: seed 1": BEFORE | {"training.seed": 1},
    "before: seed 2": BEFORE | {"training.seed": 2},
    "before: the three seeds as one model": BEFORE,
    "before: ... with test-time augmentation": BEFORE | AUGMENTED,
    "before: U-Net": BEFORE
    | {
        "model.network": "unet",
        "model.strategy": "peak",
        "model.heatmap_std": 4.0,
        "training.batch_size": 4,
        "training.epoch_size": 800,
    },
    "before: learning rate 0.001, constant": BEFORE
    | {"training.learning_rate": 0.001, "training.falling": False},
    "before: narrower heat": BEFORE | {"model.heatmap_std": 1.5},
    "before: wider heat": BEFORE | {"model.heatmap_std": 2.5},
    "before: no rotation and scale": BEFORE
    | {"crops.rotation": 0.0, "crops.scale": 0.0},
    "before: more rotation and scale": BEFORE
    | {"crops.rotation": 30.0, "crops.scale": 0.25},
    "before: no change of contrast": BEFORE | {"crops.gain": 0.0, "crops.gamma": 0.0},
    "before: crops anywhere": BEFORE | {"crops.near_landmark": 0.3},
}
SEEDS = ("before", "before: seed 1", "before: seed 2")
MEMBERS = {
    "test-time augmentation": ("default",),
    "before: test-time augmentation": ("before",),
    "before: the three seeds as one model": SEEDS,
    "before: ... with test-time augmentation": SEEDS,
}
"""Variants that are made of others, which come first, and train nothing."""


def settings(landmarks: tuple[str, ...], epochs: int, changes: dict[str, Any]):
    """The default settings with some changed: {"model.strided": False}."""
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
    return output / name.replace(" ", "_").replace(":", "")


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
    import keras
    import numpy as np

    from phdnet_tf.datasets.annotated import open_dataset
    from phdnet_tf.evaluation.predictions import predict_examples
    from phdnet_tf.export.graph import ServedGraph
    from phdnet_tf.training.loop import train

    source = open_dataset(data, "sa")
    landmarks = source.landmarks
    config = settings(landmarks, epochs, VARIANTS[name])
    folder = folder_of(output, name)
    claim(folder, config)
    if (folder / "errors.npz").exists():
        return
    if name in MEMBERS:
        members = [folder_of(output, member) for member in MEMBERS[name]]
        for member, own in zip(members, MEMBERS[name], strict=True):
            claim(member, settings(landmarks, epochs, VARIANTS[own]))
            if not (member / "errors.npz").exists():
                raise SystemExit(
                    f"{member}: expected a finished variant. Run it first."
                )
        models = [
            keras.models.load_model(member / "best.keras", compile=False)
            for member in members
        ]
        seconds = sum(float(np.load(m / "errors.npz")["seconds"]) for m in members)
    else:
        outcome = train(
            config,
            source.examples(TRAINING, landmarks),
            source.examples(VALIDATION, landmarks),
            folder,
        )
        models = [outcome.model]
        seconds = outcome.seconds / outcome.steps
    served = ServedGraph(models, config, [0.0] * len(landmarks))
    found = predict_examples(served.explain, source.examples(TEST, landmarks))
    np.savez(
        folder / "unfinished.npz",
        subjects=found.subjects,
        confidence=found.confidence,
        evidence=found.evidence,
        parameters=sum(model.count_params() for model in models),
        seconds=seconds,
        **found.errors_by,
    )
    os.replace(folder / "unfinished.npz", folder / "errors.npz")


def radii(errors: Any, evidence: Any, subjects: Any) -> Any:
    """50 % radii, those of every other subject learnt on the rest, mm."""
    import numpy as np

    from phdnet_tf.trust.radii import learn_radii

    found = np.empty_like(errors)
    half = np.isin(subjects, np.unique(subjects)[::2])
    for own in (half, ~half):
        learnt = learn_radii(errors[~own], evidence[~own], list(subjects[~own]))
        expected = np.exp(learnt.offset + evidence[own] @ np.array(learnt.slopes))
        found[own] = expected * np.array(learnt.quantiles)[:, 0]
    return found


def table(output: Path) -> str:
    """All finished variants, as Markdown; those of before are compared with that."""
    import numpy as np

    from phdnet_tf.evaluation.metrics import mean_interval, summarise
    from phdnet_tf.evaluation.summary import ranked

    lines = [
        "| variant | parameters | s a step | mean ± sd | difference [95 %] | > 20 mm "
        "| smoothing | simple | by confidence: AUROC > 10 mm | mean of 56 % "
        "| by radius: AUROC | of 56 % |",
        "| --- " * 12 + "|",
    ]
    references: dict[str, Any] = {}
    for name in VARIANTS:
        file = folder_of(output, name) / "errors.npz"
        if not file.exists():
            continue
        kept = np.load(file)
        errors = kept[VARIANTS[name].get("model.strategy", "weighted")]
        subjects = np.repeat(kept["subjects"], errors.shape[1])
        known = np.isfinite(errors)
        facts = summarise(errors[known])
        trust = {
            "confidence": kept["confidence"],
            "radius": -radii(errors, kept["evidence"], kept["subjects"]),
        }
        orders = [ranked(errors[known], each[known]) for each in trust.values()]
        difference = ""
        reference = references.get("before" if ":" in name else "default")
        if reference is not None:
            change = (errors - reference)[known]
            low, high = mean_interval(change, subjects[known.ravel()])
            difference = f"{change.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
        references[name] = errors
        others = [
            f"{np.nanmean(kept[way]):.2f}" if way in kept else ""
            for way in ("smoothing", "simple")
        ]
        lines.append(
            f"| {name} | {kept['parameters']:,} | {kept['seconds']:.2f} | "
            f"{facts['mean']:.2f} ± {facts['std']:.2f} | {difference} | "
            f"{facts['beyond_20']:.1%} | {' | '.join(others)} | "
            + " | ".join(
                # Where all points are more than 10 mm off, or none, there is no AUROC.
                f"{order['auroc_10'] or np.nan:.3f} | {order['mean_at_56']:.2f}"
                for order in orders
            )
            + " |"
        )
    return "\n".join(lines)


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
    from phdnet_tf.cli.startup import load_tensorflow

    load_tensorflow()
    output = options.output / f"{options.epochs}_epochs"
    for name in options.variant or VARIANTS:
        run(name, options.data, output, options.epochs)
    print(table(output))


if __name__ == "__main__":
    main()
