"""`phdnet-tf evaluate`: how good a model is on annotated images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.startup import load_tensorflow
from phdnet_tf.config import FOLDS


@click.command()
@options.view
@options.data
@options.model
@options.models
@click.option(
    "--fold",
    "folds",
    type=options.FOLD,
    multiple=True,
    help="Fold to evaluate on; repeat for more. Default: the fold that training on "
    "these data left untouched, or all.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for evaluation.json, predictions.csv, error_curve.png and "
    "confidence.png.",
)
@options.overwrite
def evaluate(
    view: str | None,
    data: Path | None,
    model: Path | None,
    models: Path,
    folds: tuple[int, ...],
    output: Path | None,
    overwrite: bool,
) -> None:
    """Compare a model's predictions to annotated landmarks, in mm.

    The second part of the report tells how well the errors were foreseen. AURC is the
    mean error of the points that are kept, over all shares that one may keep, from the
    most trusted on; AUROC the probability that a point more than 10 mm off is less
    trusted than one that is not. Error radii should hold the true landmark as often as
    they say. Bins go from the least to the most confident.
    """
    path = options.find_model(model, models, view)
    load_tensorflow()
    from phdnet_tf.cli.data import open_source
    from phdnet_tf.cli.table import confidence_table, report_table
    from phdnet_tf.evaluation.predictions import predict_examples
    from phdnet_tf.evaluation.save import save_evaluation
    from phdnet_tf.evaluation.summary import report
    from phdnet_tf.export.description import load_description
    from phdnet_tf.export.saved_model import load_signatures
    from phdnet_tf.export.versions import resolve_version
    from phdnet_tf.trust.bins import Bins

    with options.plain_errors(), options.claimed(output, overwrite) as folder:
        version = resolve_version(path)
        description = load_description(version)
        if view not in (None, description["view"]):
            raise click.UsageError(
                f"{version} is a model of {description['view']}, not of {view}."
            )
        source = open_source(data, description["view"])
        chosen = _choose_folds(folds, description, source.fingerprint)
        landmarks = tuple(description["landmarks"])
        examples = source.examples(chosen, landmarks)
        predictions = predict_examples(
            load_signatures(version)["explain"],
            examples.as_numpy_iterator(),
        )
        bins = [Bins.from_dict(description["bins"][name]) for name in landmarks]
        result = {
            "model": f"{version.resolve().parent.name}/{version.resolve().name}",
            "data": source.name,
            "folds": chosen,
            **report(predictions, landmarks, bins),
        }
        click.echo(f"{version} on {source.name}, folds {', '.join(map(str, chosen))}:")
        click.echo(report_table(result))
        click.echo(f"\n{confidence_table(result['confidence'])}")
        if folder:
            save_evaluation(folder, result, predictions, landmarks)
            click.echo(f"\nWritten to {output}")


def _choose_folds(
    folds: tuple[int, ...], description: dict[str, Any], fingerprint: str
) -> list[int]:
    seen = description["data"]
    same_data = seen["fingerprint"] == fingerprint
    chosen = sorted(set(folds))
    if not chosen:
        chosen = (same_data and seen["test_folds"]) or list(range(FOLDS))
    learnt = set(chosen) & {*seen["training_folds"], *seen["validation_folds"]}
    if same_data and learnt:
        click.echo(
            f"Caution: the model was trained or validated on folds "
            f"{', '.join(map(str, sorted(learnt)))} of these data. Its errors on them "
            "flatter it; train with --test-fold to keep a fold aside.",
            err=True,
        )
    return chosen
