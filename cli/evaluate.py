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
    from phdnet_tf.export.seen_images import load_seen_images
    from phdnet_tf.inference.predictor import Predictor
    from phdnet_tf.trust.bins import Bins

    with options.plain_errors(), options.claimed(output, overwrite) as folder:
        predictor = Predictor(path)
        version, landmarks = predictor.version, predictor.landmarks
        if view not in (None, predictor.view):
            raise click.UsageError(
                f"{version} is a model of {predictor.view}, not of {view}."
            )
        try:
            bins = [
                Bins.from_dict(predictor.description["bins"][name])
                for name in landmarks
            ]
        except (KeyError, TypeError) as error:
            raise click.ClickException(
                f"{version}: expected a model that this version of phdnet-tf "
                f"exported. Received another, without bins of confidence: {error!r}. "
                "Train it again."
            ) from error
        source = open_dataset(data, predictor.view)
        chosen = sorted(set(folds)) or list(range(FOLDS))
        unseen = Unseen(
            source.examples(chosen, landmarks).as_numpy_iterator(),
            () if include_seen else load_seen_images(version),
        )
        try:
            predictions = predict_examples(
                predictor.signatures["explain"], unseen, predictor.usual_orientations
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
        result = {
            "model": predictor.name,
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
