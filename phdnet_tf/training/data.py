"""The data that training is given, its folds, and what a model says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from phdnet_tf.config import FOLDS

if TYPE_CHECKING:
    import tensorflow as tf


class AnnotatedImages(Protocol):
    """Annotated images by fold, as the commands open them."""

    @property
    def name(self) -> str:
        """What reports call the data."""

    @property
    def drawn(self) -> bool:
        """Whether all images are phantoms."""

    @property
    def fingerprint(self) -> str:
        """Changes with what the data say; copies share it."""

    def examples(self, folds: list[int], landmarks: tuple[str, ...]) -> tf.data.Dataset:
        """Examples of the data set `aspire_cmr`, of known `cardinality`."""

    def count(self, folds: list[int]) -> int:
        """Number of images in some folds."""

    def content_hashes(self, folds: list[int]) -> list[str]:
        """`MRImage.content_hash` of the images in some folds."""


@dataclass(frozen=True)
class Folds:
    """What each of the eight folds is for.

    Attributes:
        training: Folds to train on.
        validation: Folds that choose the best weights and the thresholds.
        test: Folds that are left untouched.
    """

    training: list[int]
    validation: list[int]
    test: list[int]


def divide_folds(validation: int | None, test: int | None = None) -> Folds:
    """One fold validates, one may be left untouched, and all others train.

    Args:
        validation: The validation fold, 0 to 7, or None for cross-fitting.
        test: The test fold, another one, or None.
    """
    validating = [] if validation is None else [validation]
    testing = [] if test is None else [test]
    apart = validating + testing
    training = [fold for fold in range(FOLDS) if fold not in apart]
    return Folds(training, validating, testing)


def cross_validation_folds(test: int) -> Folds:
    """The folds of a turn of the cross-validation: the one before `test` validates."""
    return divide_folds((test - 1) % FOLDS, test)


def describe_data(source: AnnotatedImages, folds: Folds) -> dict[str, Any]:
    """What `phdnet.json` says of the data.

    Args:
        source: The data.
        folds: What its folds are for.
    """
    return {
        "name": source.name,
        "drawn": source.drawn,
        "fingerprint": source.fingerprint,
        "training_folds": folds.training,
        "validation_folds": folds.validation,
        "test_folds": folds.test,
        "images": {
            "training": source.count(folds.training),
            "validation": source.count(folds.validation),
        },
    }


def seen_images(source: AnnotatedImages, folds: Folds) -> dict[str, str]:
    """The images that a model learns from, so that nobody judges it by them.

    Args:
        source: The data.
        folds: What its folds are for.

    Returns:
        By content hash what an image is for: "training", or "validation", which also
        teaches thresholds and radii.
    """
    return {
        **dict.fromkeys(source.content_hashes(folds.validation), "validation"),
        **dict.fromkeys(source.content_hashes(folds.training), "training"),
    }
