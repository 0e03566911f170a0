import csv
import json

import pytest
from support.drawn import LANDMARKS, examples
from support.training import bare_network, shrink
from tensorflow.data.experimental import assert_cardinality

from phdnet_tf.comparison import cross_validation
from phdnet_tf.comparison.cross_validation import is_finished
from phdnet_tf.comparison.systems import system_config
from phdnet_tf.training import loop


class Drawn:
    """Eight drawn images, one a fold."""

    name = "drawn"
    fingerprint = "0"
    drawn = True

    def examples(self, folds, landmarks):
        def choose(example):
            index = [LANDMARKS.index(name) for name in landmarks]
            points = [example["landmarks"][i] for i in index]
            return {**example, "landmarks": points}

        data = examples().enumerate()
        kept = data.filter(lambda k, _: any_of(k, folds)).map(lambda _, e: choose(e))
        return kept.apply(assert_cardinality(len(folds)))

    def count(self, folds):
        return len(folds)

    def content_hashes(self, folds):
        return [str(fold) for fold in folds]


def any_of(number, folds):
    import tensorflow as tf

    return tf.reduce_any(tf.constant(folds, tf.int64) == number)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Trainings of a network that is hardly one."""
    shrink(monkeypatch, "phdnet-small")
    monkeypatch.setattr(loop, "build_network", bare_network)
    monkeypatch.setattr(cross_validation, "LATENCY_RUNS", 1)


def run(folder, system="phdnet-small", **options):
    config = system_config(system, "sa", LANDMARKS)
    cross_validation.train_and_test(
        system, 1, config, Drawn(), folder, time_limit=0.5, **options
    )


def rows(folder):
    with (folder / cross_validation.PREDICTIONS).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of the paper's network, killed after its training, and gone on with."""

    def fail(*args, **kwargs):
        raise OSError("No space left on device")

    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, "phdnet-small")
        patch.setattr(cross_validation, "LATENCY_RUNS", 1)
        with pytest.MonkeyPatch.context() as full:
            full.setattr(cross_validation, "_keep", fail)
            with pytest.raises(OSError, match="No space"):
                run(folder)
        assert not is_finished(folder)
        patch.setattr(cross_validation, "train_members", fail)
        run(folder)
    return folder


@pytest.mark.slow
def test_a_run_keeps_every_prediction_and_what_it_cost(finished):
    kept = rows(finished)
    assert [(row["strategy"], row["landmark"]) for row in kept] == [
        (strategy, name)
        for strategy in ("smoothing", "simple", "weighted")
        for name in LANDMARKS
    ]
    assert {row["image"] for row in kept} == {"DICOM/s1.dcm"}
    assert [bool(row["confidence"]) for row in kept] == [True, True] + 4 * [False]
    result = json.loads((finished / cross_validation.RESULT).read_text())
    assert result["steps"] >= [1] and result["ended_by"] == ["time limit"]
    assert result["latency_ms"] > 0 and result["model_bytes"] > 4 * 60_000
    # Two landmarks: two more heat values and four more displacements than none.
    assert result["parameters"] == 64_649 - 97 - 2 * 97


@pytest.mark.slow
def test_a_network_for_each_landmark_is_trained_and_published_as_one_model(tmp_path):
    run(tmp_path, "baseline")

    result = json.loads((tmp_path / cross_validation.RESULT).read_text())
    assert result["networks"] == 2 and len(result["steps"]) == 2
    assert [row["landmark"] for row in rows(tmp_path)] == 3 * list(LANDMARKS)
    # The baseline's heat is a probability.
    heat = [float(row["confidence"]) for row in rows(tmp_path) if row["confidence"]]
    assert len(heat) == 2 and all(0 < value < 1 for value in heat)


@pytest.mark.slow
def test_an_interrupted_run_is_no_result_and_goes_on(tmp_path):
    def interrupt(progress):
        if progress.losses:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_progress=interrupt)
    assert not is_finished(tmp_path)
    # Not for a moment: a kill could come in it, and half a training would count.
    assert not (tmp_path / "models").exists()

    run(tmp_path)

    assert is_finished(tmp_path)
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert len(log) >= 2


@pytest.mark.slow
def test_a_run_that_was_killed_after_its_training_does_not_train_again(finished):
    assert is_finished(finished)
