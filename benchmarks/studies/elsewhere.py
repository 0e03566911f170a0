"""How a model does on its test fold, in another hospital and on another sequence.

    phdnet-tf train --view sa --data acdc_sa --validation-fold 1 --test-fold 0
    python benchmarks/studies/elsewhere.py models/phdnet_sa --view sa
        --data acdc_sa --fold 0 --data mscmr_c0 --data mscmr_lge

Where masks of another hospital end elsewhere, all labels of a landmark are moved the
same way: the last column has how far, and what error remains without it.

A fold is of the data named before it. Figures of images that steered a choice of the
recipe are development figures, and are to be called so.
"""

import argparse
from pathlib import Path

import numpy as np
from results import error_cells, print_header

from phdnet_tf.config import FOLDS
from phdnet_tf.presets import VIEWS
from phdnet_tf.startup import load_tensorflow

GROSS = 20
"""Error, in mm, that no point of high confidence should have."""


class Folder(argparse.Action):
    """Collects --data FOLDER, with the --fold that follows it."""

    def __call__(self, parser, options, value, option=None):
        """Adds a folder with all its folds, or leaves one of the last one's."""
        found = options.folders = getattr(options, "folders", None) or []
        if option == "--data":
            found.append((value, list(range(FOLDS))))
        elif found:
            found[-1] = (found[-1][0], [int(str(value))])
        else:
            parser.error("--fold: name its --data first.")


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+", help="models, or versions")
    parser.add_argument("--view", choices=VIEWS, required=True)
    parser.add_argument("--data", type=Path, action=Folder, required=True)
    parser.add_argument("--fold", type=int, choices=range(FOLDS), action=Folder)
    options = parser.parse_args()
    load_tensorflow()
    from phdnet_tf.datasets.annotated import open_dataset
    from phdnet_tf.evaluation.predictions import predict_examples
    from phdnet_tf.evaluation.summary import radii_coverage, ranking_figures
    from phdnet_tf.export.saved_model import load_signatures
    from phdnet_tf.export.versions import resolve_version
    from phdnet_tf.presets import USUAL_ORIENTATIONS

    print_header(
        *("model", "data", "images", "mean ± sd [95 %]", "median", "≤ 10 mm"),
        *("> 20 mm", "AUROC > 10 mm by confidence, by radius", "recognised"),
        *("high confidence", "of these > 20 mm", "90 % radii hold, by landmark"),
        *("mean by landmark", "mean offset (x, y), mm, and error without it"),
    )
    for model in options.models:
        explain = load_signatures(resolve_version(model))["explain"]
        usual = USUAL_ORIENTATIONS.get(options.view, ())
        for folder, folds in options.folders:
            source = open_dataset(folder, options.view)
            examples = source.examples(folds, source.landmarks)
            found = predict_examples(explain, examples, usual)
            errors, high = found.errors, found.high_confidence
            subjects = np.repeat(np.array(found.subjects)[:, None], errors.shape[1], 1)
            trust = [
                ranking_figures(errors, values, source.landmarks)["macro"]["auroc_10"]
                for values in (found.confidence, -found.radii[..., 0])
            ]
            told = ["none" if each is None else f"{each:.3f}" for each in trust]
            radii = radii_coverage(found, source.landmarks)
            held = [
                level["coverage"]
                for name in source.landmarks
                for level in radii[name]
                if level["level"] == 0.9
            ]
            means = " ".join(f"{mean:.2f}" for mean in np.nanmean(errors, axis=0))
            spacing = [
                example["pixel_spacing"] for example in examples.as_numpy_iterator()
            ]
            offsets = (found.points - found.truth) * np.stack(spacing)[:, None, ::-1]
            middle = np.nanmean(offsets, axis=0)
            left = np.nanmean(np.linalg.norm(offsets - middle, axis=-1), axis=0)
            moved = "; ".join(
                f"({x:+.1f}, {y:+.1f}) {rest:.2f}"
                for (x, y), rest in zip(middle, left, strict=True)
            )
            print(
                f"| {model} | {source.name} | {len(found.images)} | "
                f"{error_cells(errors, subjects)} | {', '.join(told)} | "
                f"{found.recognised.mean():.1%} | {high.mean():.1%} | "
                f"{(high & (errors > GROSS)).sum()} | "
                f"{' '.join(f'{share:.0%}' for share in held if share is not None)} | "
                f"{means} | {moved} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
