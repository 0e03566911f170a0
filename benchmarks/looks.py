"""What it is worth to look again, and at which pictures, on development folds.

    python benchmarks/ablation.py acdc_sa ablation --epochs 6 --variant default
    python benchmarks/looks.py acdc_sa ablation/6_epochs/default/best.keras

Networks of `ablation.py`, which must be named, see folds 0 and 1 again. Figures are
means over the networks, and those of the order by radius also over five ways to halve
the subjects: the radii of each half are learnt on the other.
"""

import argparse
from pathlib import Path

import numpy as np

from phdnet_tf.cli.startup import load_tensorflow
from phdnet_tf.presets import make_config

load_tensorflow()

import keras
import tensorflow as tf
from ablation import TEST, radii

from phdnet_tf import geometry
from phdnet_tf.datasets.annotated import open_dataset
from phdnet_tf.decoding.reading import (
    Reading,
    read,
)
from phdnet_tf.decoding.test_time_augmentation import (
    LOOKS,
    SIDE,
    look_again,
)
from phdnet_tf.evaluation.metrics import point_errors
from phdnet_tf.evaluation.summary import ranked

TURNED = ((20.0, 1.0), (-20.0, 1.0))
SCALED = ((0.0, 1.1), (0.0, 1 / 1.1))
SETS: dict[str, tuple[tuple[tuple[float, float], ...], int]] = {
    "none": ((), SIDE),
    "chosen": (LOOKS, SIDE),
    "... of 176 pixels": (LOOKS, 176),
    "... of 128 pixels": (LOOKS, 128),
    "... turned by 10°": (((10.0, 1 / 1.2), (-10.0, 1 / 1.2)), SIDE),
    "... enlarged by 1.1": (((20.0, 1 / 1.1), (-20.0, 1 / 1.1)), SIDE),
    "... enlarged by 1.3": (((20.0, 1 / 1.3), (-20.0, 1 / 1.3)), SIDE),
    "... and one enlarged only": ((*LOOKS, (0.0, 1 / 1.2)), SIDE),
    "turned only": (TURNED, SIDE),
    "scaled by 1.1 either way": (SCALED, SIDE),
    "turned, and scaled by 1.1 either way": (TURNED + SCALED, SIDE),
}
"""Looks, and the side of their pictures."""

SPLITS = 5


def figures(
    errors: np.ndarray, confidence: np.ndarray, evidence: np.ndarray, subjects: list
) -> list[float]:
    """Mean and median error, share beyond 10 mm, and how well they were foreseen."""
    known = np.isfinite(errors)
    by_radius = []
    for seed in range(SPLITS):
        names = np.random.default_rng(seed).permutation(np.unique(subjects))
        # `radii` halves by every second name.
        order = {name: number for number, name in enumerate(names)}
        numbers = np.array([order[name] for name in subjects])
        found = radii(errors, evidence, numbers)
        by_radius.append(ranked(errors[known], -found[known]))
    own = ranked(errors[known], confidence[known])
    names = ("auroc_10", "mean_at_56", "aurc")
    # As float: where all points are more than 10 mm off, or none, the AUROC is None.
    several = np.array([[each[n] for n in names] for each in by_radius], np.float64)
    return [
        np.nanmean(errors),
        np.nanmedian(errors),
        np.mean(errors[known] > 10),
        *np.array([own[name] for name in names[:2]], np.float64),
        *several.mean(axis=0),
    ]


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("networks", type=Path, nargs="+")
    options = parser.parse_args()
    source = open_dataset(options.data, "sa")
    config = make_config("default", "sa", source.landmarks, strategy="weighted")
    examples = list(source.examples(TEST, source.landmarks))
    subjects = [example["subject"].numpy().decode() for example in examples]
    truth = np.stack([example["landmarks"] for example in examples])
    spacings = np.stack([example["pixel_spacing"] for example in examples])
    rows: dict[str, list[list[float]]] = {name: [] for name in SETS}
    for file in options.networks:
        network = keras.models.load_model(file, compile=False)
        run = tf.function(lambda x, n=network: n(x, training=False))

        def look(pictures: tf.Tensor, run=run) -> Reading:
            return read(run(pictures), config.model, 1)

        found: dict[str, list] = {name: [] for name in SETS}
        for example in examples:
            image, spacing = example["image"][None], example["pixel_spacing"][None]
            canvas = geometry.canvas_from_image(geometry.normalise(image), spacing)
            first = look(canvas)
            for name, (looks, side) in SETS.items():
                reading = (
                    look_again(canvas, first, look, looks, side) if looks else first
                )
                points = geometry.canvas_to_image(
                    reading.points, image.shape[1], image.shape[2], spacing
                )
                found[name].append(
                    [points[0], reading.confidence[0], reading.evidence[0]]
                )
        for name, each in found.items():
            points, *trust = map(np.stack, zip(*each, strict=True))
            errors = point_errors(points, truth, spacings)
            rows[name].append(figures(errors, *trust, subjects))

    print(
        "| looks besides the first | cost | mean | median | > 10 mm | by confidence: "
        "AUROC > 10 mm | mean of 56 % | by radius: AUROC | of 56 % | AURC |"
    )
    print("| --- " * 10 + "|")
    for name, (looks, side) in SETS.items():
        mean, median, beyond, *trust = np.mean(rows[name], axis=0)
        cost = len(looks) * side**2 / geometry.CANVAS_SIZE**2
        print(
            f"| {name} | {cost:.2f} | {mean:.2f} | {median:.2f} | {beyond:.1%} | "
            + " | ".join(
                f"{value:.3f}" if index in (0, 2) else f"{value:.2f}"
                for index, value in enumerate(trust)
            )
            + " |"
        )


if __name__ == "__main__":
    main()
