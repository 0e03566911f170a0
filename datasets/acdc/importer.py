"""Imports the ACDC challenge, as it is distributed, as an ASPIRE-style folder.

ACDC (Bernard et al., *Deep learning techniques for automatic MRI cardiac
multi-structures segmentation and diagnosis: is the problem solved?*, IEEE TMI 37(11),
2018, doi:10.1109/TMI.2018.2837502) has short-axis stacks at end-diastole and
end-systole with expert masks. It has its own terms: non-commercial research only, with
that citation. See https://www.creatis.insa-lyon.fr/Challenge/acdc.

    patient001/
      Info.cfg                      ED: 1, ES: 12, Group: DCM and so on, one per line
      patient001_frame01.nii.gz     the end-diastolic stack; .nii is read as well
      patient001_frame01_gt.nii.gz  its mask: 1 RV cavity, 2 LV myocardium, 3 LV cavity
      patient001_frame12.nii.gz     the end-systolic stack, and so on

`import_folder` writes the mid-ventricular slices as DICOM, pixel for pixel, and a table
with the three landmarks of the view `sa`, which `derive_landmarks` finds in the masks.

Pixel (x, y) of slice k is voxel (x, y, k): columns of the image run along the first
axis of the stack, rows along the second. NIfTI's patient space is RAS, DICOM's is LPS.
"""

from __future__ import annotations

import csv
import filecmp
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phdnet_tf.datasets.acdc.landmarks import (
    CAVITY,
    LABELS,
    UP,
    derive_landmarks,
    mid_ventricular,
    require_label_order,
)
from phdnet_tf.datasets.acdc.nifti import (
    RAS_TO_LPS,
    mask_of_stack,
    nifti_file,
    read_stack,
)
from phdnet_tf.dicom.write import write_image
from phdnet_tf.files import unfinished_folder
from phdnet_tf.presets import VIEWS

PARTS = (".", "training", "testing", "database/training", "database/testing")
"""Where the folders of the subjects lie, below the folder that the user names."""


@dataclass(frozen=True)
class Report:
    """What an import wrote, and what it left out.

    Attributes:
        subjects: Number of imported subjects.
        images: Number of written images.
        skipped: One line for each subject that was not imported: its name and the
            reason.
        refused: One line for each mid-ventricular slice of an imported subject that
            was left out: its name and the reason.
        unchanged: Whether the folder existed already, with the same bytes.
    """

    subjects: int
    images: int
    skipped: tuple[str, ...]
    refused: tuple[str, ...]
    unchanged: bool


@dataclass(frozen=True)
class Slice:
    """One annotated image.

    Attributes:
        phase: "ED" or "ES".
        index: k, its place in the stack, from 0.
        pixels: uint16[H, W], bright = signal.
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        position: Centre of the top-left pixel in patient space (LPS), in mm.
        orientation: Six direction cosines in LPS: three of x, then three of y.
        landmarks: float64[3, 2], (x, y) in pixels, in the order of `VIEWS["sa"]`.
    """

    phase: str
    index: int
    pixels: np.ndarray
    pixel_spacing: tuple[float, float]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    landmarks: np.ndarray


def find_subjects(source: Path) -> list[Path]:
    """The subjects' folders, `patient001` and so on, in the order of their names.

    Args:
        source: The challenge's root, with `training` and `testing` or with `database`,
            or one of these parts itself.

    Raises:
        ValueError: If there is no subject, or two folders have one name.
    """
    found: dict[str, Path] = {}
    for part in PARTS:
        if not (source / part).is_dir():
            continue
        for path in sorted((source / part).iterdir()):
            if not re.fullmatch(r"patient\d+", path.name) or not path.is_dir():
                continue
            if path.name in found:
                raise ValueError(
                    f"{source}: expected each subject once. Received: "
                    f"{found[path.name]} and {path}. Name one of the two parts."
                )
            found[path.name] = path
    if not found:
        raise ValueError(
            f"{source}: expected the folders patient001, patient002, … in it, or in "
            "its training and testing, or in its database. Name the folder that you "
            "unpacked ACDC to."
        )
    return [found[name] for name in sorted(found)]


def import_folder(
    source: Path, destination: Path, *, on_subject: Callable[[], None] | None = None
) -> Report:
    """Writes an ASPIRE-style folder of the mid-ventricular slices of ACDC.

    The folder appears in one step, when it is complete. No folder appears where no
    image was imported. The same source gives the same bytes. An existing folder is
    never changed. The report says if it holds exactly what would be written. Any other
    content is an error.

    Args:
        source: As for `find_subjects`.
        destination: Folder to make.
        on_subject: Called after each subject, for a progress bar.

    Returns:
        What was written, and what was left out and why. If a subject cannot be read,
        the others are still imported.

    Raises:
        ValueError: If the source has no subject, or the destination has other content.
        OSError: If the destination cannot be written. The error names the path.
    """
    source, destination = Path(source), Path(destination)
    subjects = find_subjects(source)
    occupied = destination.exists() and (
        not destination.is_dir() or any(destination.iterdir())
    )
    if occupied and not (destination / "landmarks.csv").is_file():
        raise _other_content(destination, [])

    rows: list[list[str]] = []
    skipped: list[str] = []
    refused: list[str] = []
    with unfinished_folder(destination) as partial:
        for path in subjects:
            try:
                group, slices, reasons = read_subject(path)
                rows += _write_subject(partial, path.name, group, slices)
                refused += reasons
            except ValueError as error:
                skipped.append(f"{path.name}: {error}")
            if on_subject:
                on_subject()
        # Last, so that not even a killed process leaves a folder that looks whole.
        _write_table(partial, rows)
        if occupied and not _holds(destination, partial):
            raise _other_content(destination, skipped)
        if rows and not occupied:
            os.replace(partial, destination.resolve())
    return Report(
        subjects=len(subjects) - len(skipped),
        images=len(rows),
        skipped=tuple(skipped),
        refused=tuple(refused),
        unchanged=occupied,
    )


def read_subject(folder: Path) -> tuple[str, list[Slice], list[str]]:
    """The mid-ventricular slices of a subject, with landmarks.

    Returns:
        The diagnostic group from `Info.cfg`, or ""; the slices; and one line for each
        slice without landmarks, with its name and the reason.

    Raises:
        ValueError: If a file is missing or cannot be used, or no slice has landmarks.
    """
    info = _read_info(folder / "Info.cfg")
    slices: list[Slice] = []
    refused: list[str] = []
    for phase in ("ED", "ES"):
        stem = f"{folder.name}_frame{int(info[phase]):02d}"
        stack, spacing, affine = read_stack(nifti_file(folder, stem))
        mask = mask_of_stack(nifti_file(folder, f"{stem}_gt"), stack, affine)
        if mask.max() > max(LABELS):
            raise ValueError(
                f"{stem}_gt: expected the labels 0 to {max(LABELS)}. Received: "
                f"{mask.max()}. Is it ACDC's own mask?"
            )
        try:
            require_label_order(mask)
        except ValueError as error:
            raise ValueError(f"{stem}_gt: {error}") from error
        across, down = (RAS_TO_LPS * affine[:3, axis] for axis in (0, 1))
        across, down = across / np.linalg.norm(across), down / np.linalg.norm(down)
        for k in mid_ventricular(mask):
            try:
                landmarks = derive_landmarks(
                    mask[:, :, k].T, spacing, (UP @ across, UP @ down)
                )
            except ValueError as error:
                refused.append(f"{folder.name} {phase} slice {k}: {error}")
                continue
            position = RAS_TO_LPS * (affine @ [0, 0, k, 1])[:3]
            slices.append(
                Slice(
                    phase,
                    k,
                    stack[:, :, k].T,
                    spacing,
                    # Adding zero makes -0 a plain 0.
                    tuple((position + 0.0).tolist()),
                    tuple((np.concatenate([across, down]) + 0.0).tolist()),
                    landmarks,
                )
            )
    if not slices:
        reason = f" {refused[0]}" if refused else f" None shows the {LABELS[CAVITY]}."
        raise ValueError(
            "expected a mid-ventricular slice with all three landmarks in its mask."
            f"{reason}"
        )
    return info.get("Group", ""), slices, refused


def _read_info(path: Path) -> dict[str, str]:
    """The entries of an Info.cfg. ED and ES are checked to be whole numbers."""
    try:
        # Notepad begins a file with a byte order mark.
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise ValueError(
            f"Info.cfg cannot be read: {error.strerror}. It gives the ED and ES "
            "frames. Download the subject again."
        ) from error
    pairs = (line.partition(":") for line in text.splitlines())
    info = {key.strip(): value.strip() for key, _, value in pairs}
    for phase in ("ED", "ES"):
        if not re.fullmatch(r"[0-9]{1,4}", info.get(phase, "")):
            raise ValueError(
                f"Info.cfg: expected a line '{phase}: <frame number>'. Received: "
                f"{info.get(phase) or 'none'}. Download the subject again."
            )
    return info


def _write_subject(
    folder: Path, subject: str, group: str, slices: list[Slice]
) -> list[list[str]]:
    """Writes the images of a subject, and returns their rows of the table."""
    (folder / "DICOM" / subject).mkdir(parents=True)
    rows = []
    for one in slices:
        image = f"DICOM/{subject}/{one.phase}_slice{one.index:02d}.dcm"
        write_image(
            folder / image,
            one.pixels,
            one.pixel_spacing,
            uid_seed="acdc",
            series_description=f"ACDC short axis {one.phase}",
            patient_id=subject,
            position=one.position,
            orientation=one.orientation,
        )
        points = [f"{value:.2f}" for value in one.landmarks.ravel()]
        rows.append([subject, image, group, *points])
    return rows


def _write_table(folder: Path, rows: list[list[str]]) -> None:
    with open(folder / "landmarks.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        columns = [f"{name}_{axis}" for name in VIEWS["sa"] for axis in "xy"]
        table.writerow(["subject", "image", "group", *columns])
        table.writerows(rows)


def _holds(folder: Path, other: Path) -> bool:
    """Whether `folder` has each file of `other`, with the same bytes."""
    names = [str(p.relative_to(other)) for p in other.rglob("*") if p.is_file()]
    same, _, _ = filecmp.cmpfiles(folder, other, names, shallow=False)
    return len(same) == len(names)


def _other_content(folder: Path, skipped: list[str]) -> ValueError:
    message = (
        f"{folder}: expected a new folder, an empty one, or one with the same import. "
        "Received other content. Choose another folder, or remove this one first."
    )
    if skipped:  # which may be all that is not the same
        message += f" Subjects skipped this time: {len(skipped)}; {skipped[0]}"
    return ValueError(message)
