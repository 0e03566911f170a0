"""What can be wrong with the data, found before hours of training and not after."""

import numpy as np
import tensorflow as tf

from phdnet_tf.training.data import AnnotatedImages, Folds


def require_annotated(
    examples: tf.data.Dataset, landmarks: tuple[str, ...], purpose: str
) -> None:
    """Refuses data in which a landmark is nowhere annotated.

    Args:
        examples: As `input_pipeline.normalised` takes them; read until every landmark
            has been seen.
        landmarks: Names of the L landmarks.
        purpose: What the data are for: "training" or "validation".

    Raises:
        ValueError: If there is one.
    """
    seen = np.zeros(len(landmarks), bool)
    for example in examples.as_numpy_iterator():
        seen |= np.isfinite(example["landmarks"]).all(axis=-1)
        if seen.all():
            return
    absent = [name for name, known in zip(landmarks, seen, strict=True) if not known]
    raise ValueError(
        f"{purpose}: expected every landmark to be annotated in at least one image. "
        f"Nowhere annotated: {', '.join(absent)}. Annotate it there, choose another "
        "--validation-fold, or train for the others with --landmark."
    )


def require_images(source: AnnotatedImages, folds: Folds) -> None:
    """Refuses folds without an image, where there have to be some.

    Args:
        source: The data.
        folds: What its folds are for.

    Raises:
        ValueError: If there is none to train, to validate or, where a fold is to be
            left untouched, to test on.
    """
    for purpose in ("training", "validation", "test"):
        own = getattr(folds, purpose)
        if own and not source.count(own):
            raise ValueError(
                f"{source.name}: expected images in the {purpose} fold "
                f"{' or '.join(map(str, own))}. Received none: fewer than eight "
                "subjects leave folds empty; choose another."
            )
