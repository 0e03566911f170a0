"""Predictions of compared systems, as the benchmark keeps them."""

import csv

from phdnet_tf.comparison.cross_validation import COLUMNS, PREDICTIONS

IMAGES = {"a1": "a", "a2": "a", "b1": "b", "c1": "c"}


LANDMARKS = ("one", "two")


def keep(folder, system, strategies, high=None):
    """Predictions of the images, whose errors are `strategies` [image, landmark]."""
    folder.mkdir(parents=True)
    with (folder / PREDICTIONS).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (strategy, errors) in enumerate(strategies.items()):
            for i, (image, subject) in enumerate(IMAGES.items()):
                for j, landmark in enumerate(LANDMARKS):
                    own = number == 0
                    flag = int(high is None or high[i][j]) if own else ""
                    row = [subject, image, landmark, system, 0, strategy, errors[i][j]]
                    writer.writerow([*row, 1.5 if own else "", flag])
    return folder


BASELINE = [[5, 7], [5, 7], [30, 2], [1, 1]]


SMOOTHED = [[2, 4], [2, 4], [10, 2], [3, 5]]


SIMPLE = [[1, 1], [1, 1], [1, 1], [1, 1]]


HIGH = [[1, 1], [1, 1], [0, 1], [1, 1]]
