"""`phdnet-tf train`: from annotated images to a published model."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.amounts import Amount
from phdnet_tf.cli.resuming import (
    ENDS,
    claim_run,
    find_run,
    refuse_ended,
    refuse_first_limit,
    refuse_other_choices,
)
from phdnet_tf.cli.workers import refuse_both, trainer_of
from phdnet_tf.config import MAPPINGS, NETWORKS
from phdnet_tf.presets import PRESETS, make_config
from phdnet_tf.startup import load_tensorflow

if TYPE_CHECKING:
    from phdnet_tf.datasets.annotated import AnnotatedDataset
    from phdnet_tf.training.members import Trainer
    from phdnet_tf.training.publish import Published
    from phdnet_tf.training.settings import RunSettings


@click.command()
@options.trained_view
@options.data
@options.models
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of all runs: learning curves and checkpoints.",
)
@click.option("--name", help="Name of the run. Default: the time of its start.")
@click.option(
    "--validation-fold",
    type=options.FOLD,
    default=0,
    show_default=True,
    help="Fold that chooses the best weights and the confidence thresholds.",
)
@click.option(
    "--calibrate",
    type=click.Choice(["fold", "crossfit"]),
    default="fold",
    show_default=True,
    help="What teaches thresholds and radii: the validation fold; or every fold, "
    "predicted by networks that learnt from the others, of a model that learns from "
    "all. The second takes nine trainings.",
)
@click.option("--test-fold", type=options.FOLD, help="Fold to leave untouched.")
@click.option(
    "--time-limit",
    type=Amount(min=0, min_open=True),
    metavar="MINUTES",
    help="Stop training by then and publish the best model.",
)
@click.option(
    "--landmark",
    "landmarks",
    multiple=True,
    help="Train for this one only; repeat for more. Default: all of the data.",
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="default",
    show_default=True,
    help="PHD-Net with what has been learnt since; PHD-Net as in the paper; its "
    "network for all landmarks at once, with augmentation; or one of the networks that "
    "the paper compares it with.",
)
@click.option(
    "--mapping",
    type=click.Choice(MAPPINGS),
    help="Heatmap label of PHD-Net: the paper's (default), or its baseline's.",
)
@click.option(
    "--strategy",
    type=click.Choice(NETWORKS["phdnet"].strategies),
    help="How PHD-Net's heads become a coordinate: the paper's smoothing, its "
    "baseline's, smoothing with weighted votes, or the same in several turned and "
    "scaled pictures. Default: the preset's.",
)
@click.option(
    "--members",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Networks to train and to publish as one model, which averages their maps. "
    "The time limit is for all of them together.",
)
@click.option(
    "--init",
    metavar="WEIGHTS",
    help="Begin with these weights: the name of installed ones ('phdnet-tf models' "
    "lists them), or the folder of a published model.",
)
@options.seed
@options.deterministic
@options.precision
@options.cache_memory
@options.training_workers
@options.scheduler
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run --name, or the newest of the view, as it was started.",
)
@click.pass_context
def train(
    context: click.Context,
    view: str,
    models: Path,
    runs: Path,
    name: str | None,
    resume: bool,
    time_limit: float | None,
    cache_memory: float,
    workers: int | None,
    scheduler: str | None,
    **choices: Any,
) -> None:
    """Train a network and publish it as models/<network>_<view>/<version>.

    Without --data it trains on drawn phantoms. Ctrl-C ends the training of one network
    early and publishes the best model so far; of several networks it publishes the
    members that are complete. A run that ended early goes on with --resume. The
    networks of --members, of a preset with one for each landmark, and of --calibrate
    crossfit can be trained side by side: --workers or --scheduler.
    """
    refuse_both(workers, scheduler)
    crossfit = choices["calibrate"] == "crossfit"
    if crossfit and options.is_given(context, "validation_fold"):
        raise click.UsageError(
            "--calibrate crossfit has no validation fold. Drop --validation-fold."
        )
    if not crossfit and choices["test_fold"] == choices["validation_fold"]:
        raise click.UsageError(
            f"--test-fold and --validation-fold are both {choices['test_fold']}. "
            "Choose two different folds."
        )
    if PRESETS[choices["preset"]].network != "phdnet" and (
        choices["mapping"] or choices["strategy"]
    ):
        raise click.UsageError(
            f"--mapping and --strategy are PHD-Net's. Drop them, or --preset "
            f"{choices['preset']}."
        )
    if resume:
        refuse_other_choices(context, set(choices))
    load_tensorflow()
    from phdnet_tf.cli.open_data import open_dataset
    from phdnet_tf.training.keeper import STATE
    from phdnet_tf.training.settings import RunSettings, load_settings, save_settings

    with options.plain_errors():
        run = find_run(runs / view, name, resume)
        if resume:
            settings = load_settings(run)
            refuse_ended(run, settings, time_limit)
            refuse_first_limit(run, settings, time_limit)
            source = open_dataset(settings.data and Path(settings.data), view)
            if settings.fingerprint != source.fingerprint:
                raise click.ClickException(
                    f"{settings.data or source.name} has changed since {run} was "
                    "started. Start a new run, without --resume."
                )
            time_limit = time_limit or settings.time_limit
            # Until it has ended again, it can be resumed again.
            settings = replace(
                settings, time_limit=time_limit, published=None, ended_by=()
            )
        else:
            data = choices["data"] and choices["data"].resolve()
            source = open_dataset(data, view)
            settings = RunSettings(
                config=make_config(
                    choices["preset"],
                    view,
                    choices["landmarks"] or source.landmarks,
                    choices["mapping"] or MAPPINGS[0],
                    choices["strategy"],
                    choices["seed"],
                    choices["deterministic"],
                    choices["precision"],
                ),
                data=data and str(data),
                fingerprint=source.fingerprint,
                validation_fold=None if crossfit else choices["validation_fold"],
                test_fold=choices["test_fold"],
                members=choices["members"],
                time_limit=time_limit,
                init=choices["init"] and str(options.find_weights(choices["init"])),
            )
            claim_run(run)
        save_settings(run, settings)
        try:
            with trainer_of(
                settings, source, workers, scheduler, cache_memory * 1e9
            ) as trainer:
                published = _train(trainer, settings, source, run.resolve(), models)
        except KeyboardInterrupt:
            again = ["phdnet-tf", "train", "--view", view, "--name", run.name]
            for folder, place in (("runs", runs), ("models", models)):
                if options.is_given(context, folder):
                    again += [f"--{folder}", str(place)]
            click.echo(
                "\nStopped before there was a model to publish. To go on: "
                f"{shlex.join(again)} --resume",
                err=True,
            )
            raise click.exceptions.Exit(130) from None
        except ValueError:
            begun = (STATE, "log.csv")
            if not resume and not any(f for name in begun for f in run.rglob(name)):
                # Nothing was trained, and the corrected command needs its name.
                shutil.rmtree(run)
            raise
        ends = tuple(outcome.ended_by for outcome in published.outcomes)
        save_settings(
            run, replace(settings, published=str(published.version), ended_by=ends)
        )
    _tell(published, run, crossfit=settings.validation_fold is None)


def _train(
    trainer: Trainer,
    settings: RunSettings,
    source: AnnotatedDataset,
    run: Path,
    models: Path,
) -> Published:
    from phdnet_tf.evaluation.predictions import join
    from phdnet_tf.export.seen_images import load_seen_images
    from phdnet_tf.training.calibration import calibrate, calibrated_by_the_others
    from phdnet_tf.training.checks import (
        require_images,
        require_same_landmarks,
        require_unseen,
    )
    from phdnet_tf.training.crossfit import train_crossfit
    from phdnet_tf.training.data import describe_data, divide_folds, seen_images
    from phdnet_tf.training.members import train_members
    from phdnet_tf.training.publish import publish, publish_validated

    config = settings.config
    folds = divide_folds(settings.validation_fold, settings.test_fold)
    require_images(source, folds)
    data = describe_data(source, folds)
    counts = data["images"]
    validating = (
        f"validating on {counts['validation']} (fold {settings.validation_fold})"
        if folds.validation
        else "each fold predicted by networks that learn from the others"
    )
    click.echo(
        f"{source.name}: training on {counts['training']} images (folds "
        f"{', '.join(map(str, folds.training))}), {validating}. Run: {run}",
        err=True,
    )
    init = Path(settings.init) if settings.init else None
    seen = seen_images(source, folds)
    if init:
        require_same_landmarks(init, config)
        known = load_seen_images(init)
        require_unseen(known, seen)
        # What the weights have learnt from, the new model has, too.
        seen = known | seen
    about: dict[str, Any] = {
        "run": run.name,
        "data": data,
        "seen": seen,
        "init": f"{init.parent.name}/{init.name}" if init else None,
    }
    seconds = settings.time_limit and settings.time_limit * 60

    if not folds.validation:
        outcomes, parts = train_crossfit(
            config,
            source,
            folds.training,
            run,
            trainer,
            settings.members,
            init=init,
            time_limit=seconds,
        )
        return publish(
            outcomes,
            config,
            calibrate(join(parts)),
            calibrated_by_the_others(parts),
            models,
            **about,
        )
    outcomes = train_members(
        config, folds, run, trainer, settings.members, init=init, time_limit=seconds
    )
    examples = source.examples(folds.validation, config.model.landmarks)
    return publish_validated(outcomes, config, examples, models, **about)


def _tell(published: Published, run: Path, *, crossfit: bool) -> None:
    from phdnet_tf.cli.text_tables import summary

    for outcome in published.outcomes:
        click.echo(
            f"Trained {outcome.epochs} epochs in {outcome.seconds / 60:.1f} min, until "
            f"{ENDS[outcome.ended_by]}; the best was epoch {outcome.best_epoch}."
        )
    judged = (
        "Every fold, by networks and thresholds that learnt from the others:"
        if crossfit
        else "Validation fold, on which weights and thresholds were chosen:"
    )
    click.echo(f"\n{judged}")
    click.echo(summary(published.validation))
    click.echo(f"\nModel:           {published.version}")
    curves = sorted(run.rglob("log.csv"))
    click.echo("Learning curves: log.csv and tensorboard in")
    for log in curves:
        click.echo(f"  {log.parent}")
