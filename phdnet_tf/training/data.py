"""The data that training is given, and what a model says of them."""

from typing import Any, Protocol

import tensorflow as tf


class AnnotatedImages(Protocol):
    """Annotated images by fold, as the commands open them."""

    @property
    def name(self) -> str:
        """What reports call the data."""

    @property
    def fingerprint(self) -> str:
        """Changes with the data."""

    def examples(self, folds: list[int], landmarks: tuple[str, ...]) -> tf.data.Dataset:
        """Examples of the data set `aspire_cmr`."""

    def count(self, folds: list[int]) -> int:
        """Number of images in some folds."""


def describe_data(
    source: AnnotatedImages, training: list[int], validation: list[int], test: list[int]
) -> dict[str, Any]:
    """What `phdnet.json` says of the data.

    Args:
        source: The data.
        training: Folds to train on.
        validation: Folds to validate on.
        test: Folds that are left untouched.
    """
    return {
        "name": source.name,
        "fingerprint": source.fingerprint,
        "training_folds": training,
        "validation_folds": validation,
        "test_folds": test,
        "images": {
            "training": source.count(training),
            "validation": source.count(validation),
        },
    }
