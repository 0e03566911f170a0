"""Puts several images into one call of a model's graph or server."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import numpy as np

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.inference.errors import RefusedImageError

Outputs = Mapping[str, np.ndarray]
Locate = Callable[[Sequence[MRImage]], Sequence[Outputs]]


MOST_PIXELS = 8 * 512 * 512
"""Of all images in a call: larger ones would need too much memory together."""


def inputs_of(images: Sequence[MRImage]) -> dict[str, np.ndarray]:
    """Inputs of a signature from images of one size: float32[B, H, W] and [B, 2]."""
    return {
        "image": np.stack([image.pixels for image in images]).astype(np.float32),
        "pixel_spacing": np.array(
            [image.pixel_spacing for image in images], np.float32
        ),
    }


def locate_in_calls(
    locate: Locate, images: Sequence[MRImage], most: int
) -> list[Outputs | RefusedImageError]:
    """The outputs for images, which share calls if they are of the same size.

    Args:
        locate: A call: returns the outputs for each image, or raises
            `RefusedImageError` if it refuses one of them.
        images: The images, as the graph expects them.
        most: Largest number of images in a call; of large images there are fewer.

    Returns:
        For each image its outputs, or the error with which it was refused.
    """
    found: dict[int, Outputs | RefusedImageError] = {}
    order = sorted(range(len(images)), key=lambda i: images[i].pixels.shape)
    for _, group in groupby(order, key=lambda i: images[i].pixels.shape):
        same = list(group)
        fit = max(1, min(most, MOST_PIXELS // max(1, images[same[0]].pixels.size)))
        for start in range(0, len(same), fit):
            call = same[start : start + fit]
            answers = _answers(locate, [images[i] for i in call])
            found.update(zip(call, answers, strict=True))
    return [found[i] for i in range(len(images))]


def _answers(
    locate: Locate, images: Sequence[MRImage]
) -> Sequence[Outputs | RefusedImageError]:
    try:
        return locate(images)
    except RefusedImageError as error:
        if len(images) == 1:
            return [error]
    # One of them is refused, and with it the call: ask one by one.
    return [answer for image in images for answer in _answers(locate, [image])]
