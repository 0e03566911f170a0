"""The ACDC challenge, as it is distributed, made an ASPIRE-style folder.

ACDC (Bernard et al., *Deep learning techniques for automatic MRI cardiac
multi-structures segmentation and diagnosis: is the problem solved?*, IEEE TMI 37(11),
2018, doi:10.1109/TMI.2018.2837502) has short-axis stacks at end-diastole and
end-systole with expert masks. It is for non-commercial research, asks for that
citation, and has terms of its own: https://www.creatis.insa-lyon.fr/Challenge/acdc.

    patient001/
      Info.cfg                      ED: 1, ES: 12, Group: DCM and so on, a line each
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
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from phdnet_tf.config import VIEWS
from phdnet_tf.dicom import SPACING_LIMITS, write_image
from phdnet_tf.folders import unfinished

RV, MYOCARDIUM, CAVITY = 1, 2, 3
"""Labels of the masks; 0 is everything else."""

LABELS = {RV: "RV cavity", MYOCARDIUM: "LV myocardium", CAVITY: "LV cavity"}

PARTS = (".", "training", "testing", "database/training", "database/testing")
"""Where the folders of the subjects lie, below the folder that the user names."""

RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])

# Where "superior" is, in LPS: the insertion that is superior in a short-axis image is
# the anterior one as well, and ACDC's affines call the top of every image anterior.
UP = np.array([0.0, -1.0, 1.0]) / np.sqrt(2)

# The insertions of 650 such images of 99 subjects are 23 to 88 mm apart. Across a gap
# that is much shorter, which way the septum runs is chance.
SHORTEST_SEPTUM = 15.0

# Sine of the angle between the septum and the horizontal, 0.18 to 1 in those images.
LEAST_RISE = 0.1


@dataclass(frozen=True)
class Report:
    """What became of the subjects.

    Attributes:
        subjects: Number of those imported.
        images: Number of images written.
        skipped: What was wrong with each subject that is not in the folder, one line
            each, beginning with its name.
        refused: What was wrong with each mid-ventricular slice of the other subjects
            that is not in the folder, one line each, beginning with its name.
        unchanged: Whether the folder was already there, the same to the byte.
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
        orientation: Six direction cosines in LPS, those of x first.
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
        ValueError: If there is none, or a name is there twice.
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
                    f"{source}: expected each subject once, but there are "
                    f"{found[path.name]} and {path}. Name one of the two parts."
                )
            found[path.name] = path
    if not found:
        raise ValueError(
            f"{source}: expected folders patient001, patient002, … here, in training "
            "and testing, or in database. Name the folder that ACDC was unpacked to."
        )
    return [found[name] for name in sorted(found)]


def import_folder(
    source: Path, destination: Path, *, on_subject: Callable[[], None] | None = None
) -> Report:
    """Writes an ASPIRE-style folder of the mid-ventricular slices of ACDC.

    It appears all at once, when it is complete, and only if there is something in it.
    The same source gives the same bytes. A folder that is there already is never
    changed: if it holds just what would be written, that is reported, and anything else
    is refused.

    Args:
        source: As for `find_subjects`.
        destination: Folder to make.
        on_subject: Called after each subject, for a progress bar.

    Returns:
        What was written, and what was not and why. A subject that cannot be read does
        not keep the others from being imported.

    Raises:
        ValueError: If there is no subject in the source, or something else in the
            destination.
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
    with unfinished(destination) as partial:
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
        The diagnostic group that `Info.cfg` tells, or ""; the slices; and for each
        slice that has no landmarks a line with its name and the reason.

    Raises:
        ValueError: If a file is absent or cannot be used, or no slice has landmarks.
    """
    info = _read_info(folder / "Info.cfg")
    slices: list[Slice] = []
    refused: list[str] = []
    for phase in ("ED", "ES"):
        stem = f"{folder.name}_frame{int(info[phase]):02d}"
        stack, spacing, affine = _read_stack(_nifti(folder, stem))
        mask, _, _ = _read_stack(_nifti(folder, f"{stem}_gt"))
        if mask.shape != stack.shape:
            raise ValueError(
                f"{stem}_gt: expected a mask of the size of its images, "
                f"{_size(stack)}. Received: {_size(mask)}. Download the subject again."
            )
        if mask.max() > max(LABELS):
            raise ValueError(
                f"{stem}_gt: expected the labels 0 to {max(LABELS)}. Received: "
                f"{mask.max()}. Is it ACDC's own mask?"
            )
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


def mid_ventricular(mask: np.ndarray) -> list[int]:
    """The slices from 20 to 60 % of the way from the base to the apex.

    The way is that through the slices with LV cavity; the first of them, the most basal
    in ACDC, is at 0 % and the last at 100 %.

    Args:
        mask: Labels, integers[W, H, K].

    Returns:
        Their places in the stack, from 0.
    """
    levels = np.flatnonzero((mask == CAVITY).any(axis=(0, 1))).tolist()
    last = len(levels) - 1
    # In whole numbers, because a tenth has no exact float.
    return [k for i, k in enumerate(levels) if 2 * last <= 10 * i <= 6 * last]


def derive_landmarks(
    mask: np.ndarray, pixel_spacing: tuple[float, float], up: tuple[float, float]
) -> np.ndarray:
    """The three short-axis landmarks of one slice, from the outlines in its mask.

    The RV insertions are the two ends of the arc along which the RV touches the
    epicardium of the LV: there, the point halfway between the last myocardial pixel
    that touches the RV, also by a corner, and the RV's nearest pixel. The inferior
    lateral reflection is the RV's extreme point in the direction 45 degrees between
    "along the septum, from superior to inferior" and "across the septum, away from the
    LV". Of an RV in several pieces, as masks with stray pixels have it, the largest
    counts; pixels that only share a corner are no piece.

    Args:
        mask: Labels, integers[H, W].
        pixel_spacing: (between rows, between columns) = (y, x), in mm.
        up: How far the x axis and the y axis of the image point to the patient's front
            and head, for example (0, -1) where that is the top of the image.

    Returns:
        float64[3, 2], (x, y) in pixels, in the order of `VIEWS["sa"]`.

    Raises:
        ValueError: If the mask does not determine them. Says why.
    """
    for label, name in LABELS.items():
        if not (mask == label).any():
            raise ValueError(f"its mask has no {name} (label {label}).")
    rv = _largest_piece(mask == RV)
    wall = (mask == MYOCARDIUM) & ndimage.binary_dilation(rv, np.ones((3, 3)))
    if not wall.any():
        raise ValueError("in its mask the RV does not touch the LV myocardium.")

    size = np.array(pixel_spacing)[::-1]  # mm along (x, y), as the points below
    rv_points = np.argwhere(rv)[:, ::-1] * size
    wall_points = np.argwhere(wall)[:, ::-1] * size
    centre = np.argwhere(mask == CAVITY)[:, ::-1].mean(axis=0) * size
    ends = [_halfway(end, rv_points) for end in _arc_ends(wall_points, centre)]
    # The end that lies further up comes first.
    superior, inferior = sorted(ends, key=lambda end: -float(end @ up))
    length = float(np.linalg.norm(inferior - superior))
    if length < SHORTEST_SEPTUM:
        raise ValueError(
            f"in its mask the RV touches the LV myocardium over {length:.0f} mm. "
            f"Expected at least {SHORTEST_SEPTUM:.0f} mm."
        )
    along = (inferior - superior) / length
    if -along @ up < LEAST_RISE * np.linalg.norm(up):
        raise ValueError(
            "in its mask the RV insertions lie at one height, so that neither is the "
            "superior one."
        )

    away = np.array([along[1], -along[0]])
    if away @ (rv_points.mean(axis=0) - centre) < 0:
        away = -away
    reach = rv_points @ (along + away)
    # Of several equally far points, on an edge that is square to it, the middle.
    lateral = rv_points[np.isclose(reach, reach.max())].mean(axis=0)
    return np.stack([superior, inferior, lateral]) / size


def _largest_piece(region: np.ndarray) -> np.ndarray:
    pieces, _ = ndimage.label(region)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0  # the background
    return pieces == sizes.argmax()


def _arc_ends(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The two points, float64[2, 2], on either side of the widest gap around a centre.

    Unlike the two that are furthest apart, these are the ends of an arc of any length.
    """
    angles = np.arctan2(*(points - centre).T[::-1])
    order = np.argsort(angles, kind="stable")
    gaps = np.diff(angles[order], append=angles[order[0]] + 2 * np.pi)
    widest = int(gaps.argmax())
    return points[order[[widest, (widest + 1) % len(points)]]]


def _halfway(point: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The middle between a point and the nearest of others."""
    distances = np.linalg.norm(others - point, axis=1)
    nearest = others[np.isclose(distances, distances.min())]
    return (point + nearest.mean(axis=0)) / 2


def _read_info(path: Path) -> dict[str, str]:
    """The entries of an Info.cfg, ED and ES being whole numbers."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(
            f"Info.cfg cannot be read: {error.strerror}. It says which frames are ED "
            "and ES; download the subject again."
        ) from error
    pairs = (line.partition(":") for line in text.splitlines())
    info = {key.strip(): value.strip() for key, _, value in pairs}
    for phase in ("ED", "ES"):
        if not re.fullmatch(r"[0-9]{1,4}", info.get(phase, "")):
            raise ValueError(
                f"Info.cfg: expected a line '{phase}: <number of a frame>'. Received: "
                f"{info.get(phase) or 'none'}. Download the subject again."
            )
    return info


def _nifti(folder: Path, stem: str) -> Path:
    for suffix in (".nii.gz", ".nii"):
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    what = "mask" if stem.endswith("_gt") else "stack of images"
    raise ValueError(f"has no {what} {stem}.nii.gz. Download the subject again.")


def _read_stack(path: Path) -> tuple[np.ndarray, tuple[float, float], np.ndarray]:
    """Voxels uint16[W, H, K], pixel spacing (y, x) in mm, affine to RAS in mm."""
    try:
        with _quiet():
            image = nibabel.Nifti1Image.from_filename(path)
            voxels = image.get_fdata()
    # A damaged file can make nibabel, gzip and NumPy raise nearly anything.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ValueError(
            f"{path.name}: not readable as NIfTI: {reason[:200].rstrip(' .')}. "
            "Download the subject again."
        ) from error
    if voxels.ndim != 3 or not voxels.size:
        raise ValueError(
            f"{path.name}: expected a stack of slices, width x height x slices. "
            f"Received: {_size(voxels)}."
        )
    # A NaN is equal to nothing, and so is refused as well.
    whole = np.clip(np.nan_to_num(voxels), 0, 65535).astype(np.uint16)
    if not np.array_equal(whole, voxels):
        raise ValueError(
            f"{path.name}: expected whole numbers from 0 to 65535, as ACDC has them. "
            f"Received: values from {voxels.min():g} to {voxels.max():g}. Use the "
            "files as they are distributed."
        )
    spacing, affine = _geometry(path, image)
    return whole, spacing, affine


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what nibabel says of a header; what matters becomes an error."""
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _geometry(
    path: Path, image: nibabel.Nifti1Image
) -> tuple[tuple[float, float], np.ndarray]:
    """Pixel spacing (y, x) in mm, and the affine from voxels to RAS in mm."""
    header = image.header
    if not header["sform_code"] > 0 and not header["qform_code"] > 0:
        raise ValueError(
            f"{path.name}: its header does not say how the images lie in the patient "
            "(sform_code and qform_code are 0). Use the file as it is distributed."
        )
    # As text a float32 is the decimal number that was meant: 1.67969, not 1.6796900034.
    zooms = np.array([float(str(zoom)) for zoom in header.get_zooms()])
    low, high = SPACING_LIMITS
    if not ((low <= zooms[:2]) & (zooms[:2] <= high)).all():
        raise ValueError(
            f"{path.name}: expected a pixel spacing of {low:g} to {high:g} mm. "
            f"Received: {_numbers(zooms)} mm. Use the file as it is distributed."
        )
    affine = image.affine.astype(np.float64)
    sizes = voxel_sizes(affine)
    # ACDC's stacks have affines with unit columns, as if all voxels were 1 mm: these
    # hold directions only. Where columns have lengths, they must be the voxels'.
    directions_only = np.allclose(sizes, 1, rtol=1e-3)
    agree = directions_only or np.allclose(sizes, zooms, rtol=1e-3)
    if not (np.isfinite(affine).all() and zooms[2] > 0 and agree):
        raise ValueError(
            f"{path.name}: expected an affine and voxel sizes that agree. Received: "
            f"{_numbers(sizes)} mm and {_numbers(zooms)} mm. Use the file as it is "
            "distributed."
        )
    affine[:3, :3] *= zooms / sizes
    cosine = affine[:3, 0] @ affine[:3, 1] / (zooms[0] * zooms[1])
    if abs(cosine) > 1e-3:
        raise ValueError(
            f"{path.name}: expected rows and columns at right angles. Received: an "
            f"affine with {np.degrees(np.arccos(cosine)):.1f} degrees between them. "
            "Use the file as it is distributed."
        )
    return (float(zooms[1]), float(zooms[0])), affine


def _size(voxels: np.ndarray) -> str:
    return " x ".join(map(str, voxels.shape))


def _numbers(values: np.ndarray) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _write_subject(
    folder: Path, subject: str, group: str, slices: list[Slice]
) -> list[list[str]]:
    """Writes the images of a subject; the rows of the table are returned."""
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
    """Whether each file of another folder is in this one, the same to the byte."""
    names = [str(p.relative_to(other)) for p in other.rglob("*") if p.is_file()]
    same, _, _ = filecmp.cmpfiles(folder, other, names, shallow=False)
    return len(same) == len(names)


def _other_content(folder: Path, skipped: list[str]) -> ValueError:
    message = (
        f"{folder}: expected a new or an empty folder, or the same import once more. "
        "There is something else; choose another folder, or remove this one first."
    )
    if skipped:  # which may be all that is not the same
        message += f" Subjects skipped this time: {len(skipped)}; {skipped[0]}"
    return ValueError(message)
