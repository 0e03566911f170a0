"""`phdnet-tf evaluate`: how good a model is on annotated images."""

from __future__ import annotations

from pathlib import Path

import click

from phdnet_tf.cli import options
from phdnet_tf.config import FOLDS
from phdnet_tf.startup import load_tensorflow


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
    help="Fold to evaluate on; repeat for more. Default: all.",
)
@click.option(
    "--include-seen",
    is_flag=True,
    help="Score the images, too, that the model has learnt from. They flatter it.",
)
@click.option(
    "--details",
    is_flag=True,
    help="Show every figure, not one table only.",
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
    include_seen: bool,
    details: bool,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Compare a model's predictions to annotated landmarks, in mm.

    Images that the model has learnt from, wherever they are now, are left out. Without
    --data, the phantom that `train` uses without it is scored.

    "90% radius" is the median radius around a point that should hold the true landmark
    in 90 of 100 cases, and "holds" the share in which it does. AUROC is the probability
    that a point more than 10 mm off has the lower confidence (or the larger radius)
    than one that is not; 0.5 is chance.

    --details adds each strategy, the risk-coverage curve (AURC: its mean, in mm), the
    radii of 50 and 95 %, and the bins, from the least to the most confident.
    """
    with options.plain_errors():
        path = options.find_model(model, models, view)
    load_tensorflow()
    import numpy as np

    from phdnet_tf.cli.open_data import open_dataset
    from phdnet_tf.cli.text_tables import confidence_table, error_table, summary
    from phdnet_tf.evaluation.predictions import predict_examples
    from phdnet_tf.evaluation.save import save_evaluation
    from phdnet_tf.evaluation.summary import evaluation_figures
    from phdnet_tf.evaluation.unseen import Unseen
    from phdnet_tf.export.description import (
        load_description,
        model_name,
        usual_orientations,
    )
    from phdnet_tf.export.saved_model import load_signatures
    from phdnet_tf.export.seen_images import load_seen_images
    from phdnet_tf.export.versions import resolve_version
    from phdnet_tf.trust.bins import Bins

    with options.plain_errors(), options.claimed(output, overwrite) as folder:
        version = resolve_version(path)
        description = load_description(version)
        if view not in (None, description["view"]):
            raise click.UsageError(
                f"{version} is a model of {description['view']}, not of {view}."
            )
        source = open_dataset(data, description["view"])
        chosen = sorted(set(folds)) or list(range(FOLDS))
        landmarks = tuple(description["landmarks"])
        unseen = Unseen(
            source.examples(chosen, landmarks).as_numpy_iterator(),
            () if include_seen else load_seen_images(version),
        )
        explain = load_signatures(version)["explain"]
        try:
            predictions = predict_examples(
                explain, unseen, usual_orientations(description)
            )
        except ValueError as error:
            if unseen.left_out:
                raise click.ClickException(
                    f"{source.name}: {version} has learnt from all {unseen.left_out} "
                    "images that were to be scored. Keep a fold aside with 'train "
                    "--test-fold', give other --data, or add --include-seen."
                ) from error
            raise
        if not np.isfinite(predictions.errors).any():
            raise click.ClickException(
                f"{source.name}: expected an annotated landmark of the model in the "
                f"images to score. Received none of {', '.join(landmarks)}. Choose "
                "other folds, or other --data."
            )
        bins = [Bins.from_dict(description["bins"][name]) for name in landmarks]
        resolved = version.resolve()
        result = {
            "model": model_name(resolved.parent.name, resolved.name, description),
            "data": source.name,
            "folds": chosen,
            "include_seen": include_seen,
            "left_out": unseen.left_out,
            **evaluation_figures(predictions, landmarks, bins),
        }
        scored = f"{version} on {source.name}, folds {', '.join(map(str, chosen))}"
        if include_seen:
            scored += ", THOSE IT HAS LEARNT FROM AMONG THEM, WHICH FLATTER IT"
        elif unseen.left_out:
            scored += f", without {unseen.left_out} images that it has learnt from"
        click.echo(f"{scored}:")
        if kin := unseen.known_subjects & set(predictions.subjects):
            click.echo(
                f"Caution: of {len(kin)} subjects that are scored the model has learnt "
                "from other images. They may flatter it.",
                err=True,
            )
        click.echo(summary(result))
        if details:
            click.echo(f"\n{error_table(result)}")
            click.echo(f"\n{confidence_table(result['confidence'])}")
        if folder:
            save_evaluation(folder, result, predictions, landmarks)
            click.echo(f"\nWritten to {output}")
        if not details:
            click.echo("--details shows every figure.", err=True)
