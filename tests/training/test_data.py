import pytest

from phdnet_tf.training.data import (
    cross_validation_folds,
    describe_data,
    divide_folds,
    seen_images,
)


def test_every_fold_is_tested_by_a_network_that_never_saw_it():
    for test in range(8):
        folds = cross_validation_folds(test)

        assert len(folds.training) == 6 and len(folds.validation) == 1
        parts = [*folds.training, *folds.validation, *folds.test]
        assert sorted(parts) == list(range(8)) and folds.test == [test]
    # As 'phdnet-tf train --test-fold 1' has it.
    assert cross_validation_folds(1) == divide_folds(0, 1)


@pytest.mark.parametrize("test", [None, 0, 7])
def test_what_does_not_validate_or_test_trains(test):
    folds = divide_folds(3, test)

    assert folds.validation == [3]
    assert folds.test == ([] if test is None else [test])
    assert folds.training == [k for k in range(8) if k not in (3, test)]


class Eight:
    """Ten images a fold, of which the last is the same in all."""

    name, fingerprint, drawn = "drawn", "0", True

    def count(self, folds):
        return 10 * len(folds)

    def content_hashes(self, folds):
        return [f"{fold}{n}" for fold in folds for n in range(9)] + ["same"]


def test_a_model_tells_what_its_folds_were_for():
    described = describe_data(Eight(), divide_folds(0, 5))

    assert described["images"] == {"training": 60, "validation": 10}
    assert described["drawn"]
    assert described["training_folds"] == [1, 2, 3, 4, 6, 7]
    assert (described["validation_folds"], described["test_folds"]) == ([0], [5])


def test_what_a_model_has_seen_is_what_it_trains_and_validates_on():
    seen = seen_images(Eight(), divide_folds(0, 5))

    assert len(seen) == 7 * 9 + 1
    assert seen["38"] == "training" and seen["08"] == "validation"
    assert "50" not in seen
    # What is in both has taught the weights, which counts for more.
    assert seen["same"] == "training"
