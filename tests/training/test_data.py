import pytest

from phdnet_tf.training.data import (
    cross_validation_folds,
    describe_data,
    described_folds,
    divide_folds,
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


def test_folds_that_were_learnt_are_told_from_the_untouched_one():
    class Eight:
        name, fingerprint = "drawn", "0"

        def count(self, folds):
            return 10 * len(folds)

    described = describe_data(Eight(), divide_folds(0, 5))

    assert described["images"] == {"training": 60, "validation": 10}
    assert described_folds(described) == divide_folds(0, 5)
    assert described_folds(described).learnt([7, 5, 0]) == [0, 7]
