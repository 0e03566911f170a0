"""Drawn images as an ASPIRE-style folder of DICOM."""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from phdnet_tf.dicom.write import write_image
from phdnet_tf.files import unfinished_folder
from phdnet_tf.phantom.draw import draw
from phdnet_tf.presets import VIEWS

DRAWN = "phantom.json"
"""Says how a folder was drawn, and so that it was: no image in it is of a patient."""


def write_folder(
    directory: Path,
    view: str,
    subjects: int,
    seed: int,
    *,
    on_subject: Callable[[], None] | None = None,
) -> None:
    """Writes an ASPIRE-style folder: `landmarks.csv` and one DICOM file a subject.

    `phantom.json` says how it was drawn.

    It appears all at once, when it is complete. The same arguments give the same bytes,
    and a larger number of subjects the same first ones.

    Args:
        directory: Folder to create. It may exist if it is empty.
        view: A key of `phdnet_tf.presets.VIEWS`.
        subjects: Number of subjects, at least 1.
        seed: Seed of the drawing, at least 0.
        on_subject: Called after each subject, for a progress bar.

    Raises:
        ValueError: If the directory is not empty, or an argument is not valid.
    """
    directory = Path(directory)
    if view not in VIEWS:
        raise ValueError(
            f"view: expected one of {', '.join(VIEWS)}. Received: {view!r}."
        )
    if subjects < 1 or seed < 0:
        raise ValueError(
            "Expected at least 1 subject and a seed of at least 0. Received: "
            f"{subjects} subjects, seed {seed}."
        )
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ValueError(
            f"{directory}: expected a new or an empty folder. Received one with "
            "files. Choose another folder, or remove this one first."
        )
    with unfinished_folder(directory) as partial:
        _write_subjects(partial, view, subjects, seed, on_subject)
        drawn = {"view": view, "subjects": subjects, "seed": seed}
        (partial / DRAWN).write_text(json.dumps(drawn) + "\n")
        os.replace(partial, directory.resolve())


def _write_subjects(
    folder: Path,
    view: str,
    subjects: int,
    seed: int,
    on_subject: Callable[[], None] | None,
) -> None:
    with open(folder / "landmarks.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        columns = [f"{name}_{axis}" for name in VIEWS[view] for axis in "xy"]
        table.writerow(["subject", "image", *columns])
        for index in range(subjects):
            # A stream for each subject: what it looks like depends on no other.
            phantom = draw(view, np.random.default_rng([seed, index]))
            subject = f"phantom_{index + 1:04d}"
            image = Path("DICOM", subject, "phase_01.dcm")
            (folder / image).parent.mkdir(parents=True)
            write_image(
                folder / image,
                phantom.pixels,
                phantom.pixel_spacing,
                uid_seed=f"phantom {view} {seed} {subject}",
                series_description=f"phantom {view}",
                patient_id=subject,
            )
            places = [f"{value:.3f}" for value in phantom.landmarks.ravel()]
            table.writerow([subject, image.as_posix(), *places])
            if on_subject:
                on_subject()
