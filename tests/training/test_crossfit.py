import functools

import keras
import numpy as np
import pytest
from support.drawn import LANDMARKS
from support.training import Drawn, settings

from phdnet_tf.training import schedule
from phdnet_tf.training.crossfit import train_crossfit
from phdnet_tf.training.members import one_after_the_other
from phdnet_tf.training.schedule import WarmUpAndDecay


class Recorded(Drawn):
    """That notes what is asked for."""

    def __init__(self):
        self.asked = []

    def examples(self, folds, landmarks):
        assert landmarks == LANDMARKS
        self.asked.append(list(folds))
        return super().examples(folds, landmarks)


def crossfit(config, source, folds, run, **options):
    trainer = functools.partial(one_after_the_other, source, **options)
    return train_crossfit(config, source, folds, run, trainer)


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_each_fold_is_predicted_by_what_learnt_from_the_others(tmp_path):
    source, parts = Recorded(), []

    outcomes, predictions = crossfit(
        settings(epochs=2),
        source,
        [0, 1, 2],
        tmp_path,
        on_network=lambda folder, number, of: parts.append(folder.name),
    )

    assert parts == ["without_0", "without_1", "without_2", "all"]
    checked = [[1, 2], [0, 2], [0, 1]]
    trained = [[1, 2], [0], [0, 2], [1], [0, 1], [2], [0, 1, 2]]
    assert source.asked == checked + trained
    # The last weights, as nothing is validated on.
    [outcome] = outcomes
    assert (outcome.best_epoch, outcome.ended_by) == (2, "epochs")
    assert [len(part.images) for part in predictions] == [2, 2, 2]
    assert np.isfinite(np.concatenate([part.errors for part in predictions])).all()


class Sparse(Drawn):
    """Fold 2 alone has grey discs, and fold 3 has no image."""

    def examples(self, folds, landmarks):
        assert set(folds) <= {0, 1, 2}

        def forget(example):
            return {**example, "landmarks": [example["landmarks"][0], [np.nan] * 2]}

        data = super().examples(folds, landmarks)
        return data if 2 in folds else data.map(forget)

    def count(self, folds):
        return 2 * len({0, 1, 2} & set(folds))


def test_what_no_part_can_learn_is_found_before_the_first_training(tmp_path):
    with pytest.raises(ValueError, match=r"all but fold 2: .* Not annotated: grey\."):
        crossfit(settings(), Sparse(), [0, 1, 2, 3], tmp_path)
    with pytest.raises(ValueError, match=r"two folds or more.* Received 1: add"):
        crossfit(settings(), Sparse(), [0, 3], tmp_path)

    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_an_interrupted_part_teaches_nothing_and_goes_on(tmp_path):
    def interrupt(progress):
        if progress.epoch == 1 and (tmp_path / "without_1").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crossfit(settings(epochs=2), Drawn(), [0, 1], tmp_path, on_progress=interrupt)
    assert not (tmp_path / "all").exists()
    first = (tmp_path / "without_0" / "log.csv").read_text()

    crossfit(settings(epochs=2), Drawn(), [0, 1], tmp_path)

    assert (tmp_path / "all").exists()
    assert (tmp_path / "without_0" / "log.csv").read_text() == first


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_a_part_that_diverged_teaches_nothing(tmp_path, monkeypatch):
    class Bad(WarmUpAndDecay):
        def __call__(self, step):
            # Two epochs of four steps: the second goes wrong.
            good = keras.ops.cast(step, "int32") < 4
            return keras.ops.where(good, super().__call__(step), float("nan"))

    monkeypatch.setattr(schedule, "WarmUpAndDecay", Bad)

    with pytest.raises(ValueError, match="without_0: the loss was no longer a number"):
        crossfit(settings(epochs=2, epoch_size=8), Drawn(), [0, 1], tmp_path)
