"""Finds problems of the data before hours of training, not after."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from phdnet_tf.config import Config
from phdnet_tf.export.description import load_description
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


def require_same_landmarks(init: Path, config: Config) -> None:
    """Refuses initial weights of other landmarks, which would be copied by position.

    Args:
        init: Folder of the version that training begins with.
        config: Settings of the training.

    Raises:
        ValueError: If its view or its landmarks are others, or in another order, or it
            cannot be read.
    """
    description = load_description(init)
    own = description["view"], tuple(description["landmarks"])
    wanted = config.view, config.model.landmarks
    if own != wanted:
        raise ValueError(
            f"{init}: expected initial weights for {_named(*wanted)}. Received those "
            f"for {_named(*own)}. Choose other weights, or the same --view and "
            "--landmark in the same order."
        )


def _named(view: str, landmarks: tuple[str, ...]) -> str:
    return f"{view} with {', '.join(landmarks)}"


def require_unseen(known: Mapping[str, str], seen: Mapping[str, str]) -> None:
    """Refuses to judge a network by images that its initial weights were trained on.

    The best epoch, the thresholds and the error radii would be chosen on errors that
    are too small. Without images to validate on, every image judges the networks that
    are trained without its fold (cross-fitting).

    Args:
        known: Use of each image that the initial weights have learnt from, by content
            hash; see `data.seen_images`.
        seen: Use of each image that the new network is to learn from, likewise.

    Raises:
        ValueError: If there is such an image.
    """
    validating = [image for image, use in seen.items() if use == "validation"]
    judges = validating or list(seen)
    trained = sum(known.get(image) == "training" for image in judges)
    if not trained:
        return
    found = f"--init: its weights were trained on {trained} of the {len(judges)} images"
    if validating:
        raise ValueError(
            f"{found} of the validation fold, so errors there would be too small. "
            "Choose another --validation-fold, or leave out --init."
        )
    raise ValueError(
        f"{found}. With --calibrate crossfit every image judges networks that must not "
        "know it. Leave out --init, or --calibrate."
    )
