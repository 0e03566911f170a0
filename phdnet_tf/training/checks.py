"""Finds problems of the data before hours of training, not after."""

import numpy as np
import tensorflow as tf

from phdnet_tf.training.data import AnnotatedImages, Folds


def require_annotated(
    examples: tf.data.Dataset, landmarks: tuple[str, ...], purpose: str
) -> None:
    """Refuses data in which a landmark is annotated in no image.

    Args:
        examples: The examples, as `input_pipeline.normalised` takes them. They are read
            until every landmark was seen.
        landmarks: Names of the L landmarks.
        purpose: What the data are for, or which they are, such as "training".

    Raises:
        ValueError: If there is such a landmark.
    """
    seen = np.zeros(len(landmarks), bool)
    for example in examples.as_numpy_iterator():
        seen |= np.isfinite(example["landmarks"]).all(axis=-1)
        if seen.all():
            return
    absent = [name for name, known in zip(landmarks, seen, strict=True) if not known]
    raise ValueError(
        f"{purpose}: expected every landmark to be annotated in at least one image. "
        f"Not annotated: {', '.join(absent)}. Annotate it there, choose other folds, "
        "or train only the others with --landmark."
    )


def require_images(source: AnnotatedImages, folds: Folds) -> None:
    """Refuses folds without images.

    Args:
        source: The data.
        folds: The folds to train, to validate and to test on.

    Raises:
        ValueError: If there is no image to train on, to validate on or, if there is a
            held-out fold, to test on.
    """
    for purpose in ("training", "validation", "test"):
        own = getattr(folds, purpose)
        if own and not source.count(own):
            raise ValueError(
                f"{source.name}: expected images in the {purpose} fold "
                f"{' or '.join(map(str, own))}. Received none. Fewer than eight "
                "subjects leave folds empty: choose another fold."
            )
