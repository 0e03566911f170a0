"""Cines, drawn for tests: as one file a phase, and as one Enhanced file."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from phdnet_tf.dicom.write import write_image

# A slice at no right angle to anything: the four-chamber plane, more or less.
OBLIQUE = (0.995, 0.0, 0.0998749, 0.0820, -0.5709, -0.8169)
SHORT_AXIS = [0.611, 0.791, 0, 0.372, -0.287, 0.883]
SAGITTAL = [0, 1, 0, 0, 0, -1]
BEAT = 900.0
RADII = {"50": 1.5, "90": 4.0, "95": 6.25}
"""Error radii of a landmark that no model has found."""


def oblique() -> tuple[float, ...]:
    """Direction cosines that are exactly at right angles, within rounding."""
    x, y = np.reshape(OBLIQUE, (2, 3))
    x = x / np.linalg.norm(x)
    y = y - (x @ y) * x
    return tuple(np.round([*x, *(y / np.linalg.norm(y))], 12))


def write_cine(
    folder: Path,
    phases: int = 6,
    description: str = "cine 4ch",
    position: tuple[float, float, float] = (-120.5, 40.25, 60.125),
    patient: str = "drawn",
    reverse_names: bool = False,
    **attributes: object,
) -> list[Path]:
    """A bright disc that goes round in a circle, one file a phase."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:80, :100]
    rng = np.random.default_rng(0)
    paths = []
    for phase in range(phases):
        angle = 2 * np.pi * phase / phases
        pixels = rng.integers(0, 60, (80, 100))
        centre = 50 + 6 * np.cos(angle), 40 + 6 * np.sin(angle)
        pixels[np.hypot(x - centre[0], y - centre[1]) < 8] = 900
        number = phases - phase if reverse_names else phase + 1
        path = folder / f"phase_{number:02d}.dcm"
        write_image(
            path,
            pixels.astype("uint16"),
            (1.5, 1.25),
            uid_seed="cine",
            series_description=description,
            patient_id=patient,
            position=position,
            orientation=oblique(),
        )
        step = {
            "TriggerTime": f"{phase * BEAT / phases:.3f}",
            "NominalInterval": f"{BEAT:g}",
            "InstanceNumber": phase + 1,
            "SeriesNumber": 1,
            "SliceThickness": "6",
        }
        edit(path, **(step | attributes))
        paths.append(path)
    return paths


def edit(path: Path, **attributes: object) -> Path:
    """Changes attributes of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path)
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        ds.save_as(path)
    return path


def write_enhanced(path: Path, phases: list[Path]) -> Dataset:
    """The same frames as one multi-frame file, made by highdicom."""
    import highdicom as hd
    from highdicom.legacy import LegacyConvertedEnhancedMRImage

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        enhanced = LegacyConvertedEnhancedMRImage(
            [pydicom.dcmread(phase) for phase in phases], hd.UID(), 2, hd.UID(), 1
        )
        enhanced.save_as(path)
    return enhanced
