"""A model that learns from all folds, and whose confidence they teach, too."""

import itertools
from pathlib import Path

from phdnet_tf.config import Config
from phdnet_tf.evaluation.predictions import Predictions, predict_examples
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.presets import USUAL_ORIENTATIONS
from phdnet_tf.training.checks import require_annotated
from phdnet_tf.training.data import AnnotatedImages, Folds
from phdnet_tf.training.members import Trainer
from phdnet_tf.training.networks import networks_of
from phdnet_tf.training.progress import Outcome


def train_crossfit(
    config: Config,
    source: AnnotatedImages,
    folds: list[int],
    run: Path,
    trainer: Trainer,
    members: int = 1,
    *,
    init: Path | None = None,
    time_limit: float | None = None,
) -> tuple[list[Outcome], list[Predictions]]:
    """Trains beside each fold, predicts it, and at last trains on all folds.

    One validation fold has some ten gross errors: too few to say how far a point may
    be off. The errors of every fold, each by networks that learnt from the others, are
    as many as there are images, and no image's error is by a network that knew it
    (cross-fitting, jackknife+ and CV+: Barber et al., Annals of Statistics 2021).
    Nothing is validated on: every training runs to its end, and its last weights are
    kept.

    Args:
        config: Settings; with `TrainingConfig.decay`, or a time limit, the last weights
            are settled ones.
        source: The data.
        folds: Folds to learn from. Two or more hold images; the others are left out.
        run: Folder of the run; each training has a folder in it, `without_K` and `all`.
        trainer: How they are trained.
        members: As for `networks_of`.
        init: Likewise.
        time_limit: Most seconds to train, of all trainings together.

    Returns:
        The outcomes of the networks that learnt from all folds, and the predictions of
        each fold by those that learnt from the others.

    Raises:
        KeyboardInterrupt: After Ctrl-C; the next call goes on.
        ValueError: As for `loop.train`, or if fewer than two folds hold images, a
            landmark is annotated in only one of them, or the loss of a training is no
            longer a number.
    """
    landmarks = config.model.landmarks
    folds = [fold for fold in folds if source.count([fold])]
    if len(folds) < 2:
        raise ValueError(
            f"{source.name}: expected images in two folds or more, to learn from one "
            f"and be judged by another. Received {len(folds)}: add subjects."
        )
    for left_out in folds:
        # A training that would fail is found before those that come before it.
        others = sorted(set(folds) - {left_out})
        require_annotated(
            source.examples(others, landmarks), landmarks, f"all but fold {left_out}"
        )
    parts = {f"without_{fold}": sorted(set(folds) - {fold}) for fold in folds}
    parts["all"] = folds
    plans = {
        name: networks_of(
            config,
            Folds(training, [], []),
            run / name,
            members,
            init=init,
            time_limit=time_limit and time_limit / len(parts),
        )
        for name, training in parts.items()
    }
    trained = trainer([network for plan in plans.values() for network in plan])
    usual = USUAL_ORIENTATIONS.get(config.view, ())
    predictions = []
    for (name, plan), fold in zip(plans.items(), [*folds, None], strict=True):
        outcomes = list(itertools.islice(trained, len(plan)))
        ends = {outcome.ended_by for outcome in outcomes}
        if "interrupt" in ends:
            # Half a training must teach nothing.
            raise KeyboardInterrupt
        if "diverged" in ends:
            raise ValueError(
                f"{run / name}: the loss was no longer a number. The same command with "
                "--resume goes on from the last good epoch; or try another --seed."
            )
        if fold is not None:
            networks = [outcome.model for outcome in outcomes]
            trial = ServedGraph(networks, config, [0.0] * len(landmarks))
            held_out = source.examples([fold], landmarks)
            predictions.append(predict_examples(trial.explain, held_out, usual))
    return outcomes, predictions
