"""Reads ACDC's NIfTI files, with their position in the patient."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import (
    apply_orientation,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

from phdnet_tf.dicom.guards import SPACING_LIMITS

RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def nifti_file(folder: Path, stem: str) -> Path:
    """The path of the file `stem`, compressed or not.

    Raises:
        ValueError: If there is no such file.
    """
    for suffix in (".nii.gz", ".nii"):
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    what = "mask" if stem.endswith("_gt") else "stack of images"
    raise ValueError(f"has no {what} {stem}.nii.gz. Download the subject again.")


def read_stack(path: Path) -> tuple[np.ndarray, tuple[float, float], np.ndarray]:
    """Reads a stack of slices.

    Returns:
        Voxels, uint16[W, H, K]; pixel spacing (y, x) in mm; float64[4, 4], the affine
        from voxels to RAS in mm.

    Raises:
        ValueError: If the file cannot be read, or is not such a stack.
    """
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
            f"Received: {size_text(voxels)}."
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


def mask_of_stack(path: Path, stack: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The mask of a stack of images, voxel by voxel.

    Some programs write the axes of a mask in another order or direction than those of
    its images, and say so in the mask's affine. The axes are then reordered. Nothing is
    resampled.

    Args:
        path: File of the mask.
        stack: Voxels of the images, [W, H, K].
        affine: Affine of the images, from voxels to RAS in mm.

    Returns:
        uint16[W, H, K], labels.

    Raises:
        ValueError: If the mask cannot be read, or does not lie where the images lie.
    """
    mask, _, own = read_stack(path)
    turn = ornt_transform(io_orientation(own), io_orientation(affine))
    turned = apply_orientation(mask, turn)
    if turned.shape != stack.shape:
        raise ValueError(
            f"{path.name}: expected a mask as large as its images, {size_text(stack)}. "
            f"Received: {size_text(turned)}. Download the subject again."
        )
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(stack.shape) - 1)
    there = apply_affine(own @ inv_ornt_aff(turn, mask.shape), corners)
    apart = np.linalg.norm(there - apply_affine(affine, corners), axis=1).max()
    # Within half a pixel each label is that of the image's own pixel.
    if apart > voxel_sizes(affine)[:2].min() / 2:
        raise ValueError(
            f"{path.name}: expected a mask at the position of its images. Received: "
            f"an affine that moves a corner by {apart:.3g} mm. Resample the mask to "
            "the images, or use the files as they are distributed."
        )
    return turned


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses nibabel's messages on headers; what matters becomes an error."""
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
            f"{path.name}: its header has no position in the patient (sform_code and "
            "qform_code are 0). Use the file as it is distributed."
        )
    # As text a float32 is the decimal number that was meant: 1.67969, not 1.6796900034.
    zooms = np.array([float(str(zoom)) for zoom in header.get_zooms()])
    low, high = SPACING_LIMITS
    if not ((low <= zooms[:2]) & (zooms[:2] <= high)).all():
        raise ValueError(
            f"{path.name}: expected a pixel spacing of {low:g} to {high:g} mm. "
            f"Received: {numbers_text(zooms)} mm. Use the file as it is distributed."
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
            f"{numbers_text(sizes)} mm and {numbers_text(zooms)} mm. Use the file as "
            "it is distributed."
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


def size_text(voxels: np.ndarray) -> str:
    """An array's shape, such as "256 x 216 x 10"."""
    return " x ".join(map(str, voxels.shape))


def numbers_text(values: np.ndarray) -> str:
    """Numbers, such as "1.5 x 1.5"."""
    return " x ".join(f"{value:g}" for value in values)
