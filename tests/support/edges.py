"""What hospitals have that is easily read wrong without a word, drawn for tests."""

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset

from support.cines import edit, write_cine
from support.hostile import dicomdir, drawn

Expected = tuple[int, int]
"""How many images are predicted of all phases, and how many files have failed."""


def edges(folder: Path) -> list[tuple[str, Path, Expected]]:
    """For each kind its name, a folder or index of it, and what has to become of it."""
    made = []
    for name, make in EDGES.items():
        (folder / name).mkdir()
        expected = make(folder / name)
        path = next((folder / name).rglob("DICOMDIR"), folder / name)
        made.append((name, path, expected))
    return made


def _same_uid(folder: Path) -> Expected:
    """Another image, another patient, and a copy."""
    path = drawn(folder, "a.dcm")
    pixels = pydicom.dcmread(path).pixel_array
    edit(drawn(folder, "b.dcm"), PixelData=np.flipud(pixels).tobytes())
    edit(drawn(folder, "c.dcm"), PatientName="Another")
    shutil.copy(path, folder / "d.dcm")
    return 3, 0


def _two_acquisitions(folder: Path) -> Expected:
    write_cine(folder / "a", phases=8)
    for number, path in enumerate(write_cine(folder / "b", phases=8)):
        edit(path, TriggerTime=str(number * 110), AcquisitionNumber=2)
        edit(path, SOPInstanceUID=f"1.2.{number}", InstanceNumber=9 + number)
    return 16, 0


def _without_order(folder: Path) -> Expected:
    return len(write_cine(folder, phases=6, TriggerTime="", InstanceNumber=None)), 0


def _two_patients(folder: Path) -> Expected:
    write_cine(folder / "a", phases=6)
    write_cine(folder / "b", phases=6, PatientID="another")
    return 12, 0


def _jitter(folder: Path) -> Expected:
    for number, path in enumerate(write_cine(folder, phases=6)):
        edit(path, ImagePositionPatient=[f"{0.05 + (-1) ** number * 1e-6:.7f}"] * 3)
    return 6, 0


def _absurd_places(folder: Path) -> Expected:
    paths = write_cine(folder, phases=4)
    edit(paths[0], ImagePositionPatient=["1e300", "-1e300", "1e308"])
    edit(paths[1], ImageOrientationPatient=["1e308"] * 6)
    edit(paths[2], ImageOrientationPatient=[0] * 6, NominalInterval="-1e308")
    return 4, 0


def _examination(folder: Path) -> Expected:
    (path,) = write_cine(folder, phases=1, description="FIESTA")
    edit(path, ProtocolName="CARDIAC 2CH 4CH SAX scout")
    return 1, 0


def _damaged(folder: Path) -> Expected:
    content = drawn(folder, "whole.dcm").read_bytes()
    (folder / "no_pixels").write_bytes(content[: content.index(b"\xe0\x7f\x10\x00")])
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "short.dcm").write_bytes(content[:100])
    (folder / "magic").write_bytes(content[:132])
    return 1, 4


def _padding(folder: Path) -> Expected:
    for number, value in enumerate((0, 65535)):
        path = drawn(folder, f"{number}.dcm")
        ds = pydicom.dcmread(path)
        pixels = ds.pixel_array.copy()
        pixels[:, :9] = value
        ds.PixelData = pixels.tobytes()
        ds.add_new("PixelPaddingValue", "US", value)
        ds.SOPInstanceUID = f"1.2.{number}"
        ds.save_as(path)
    all_of_it = edit(drawn(folder, "all.dcm"), SOPInstanceUID="1.2.9")
    ds = pydicom.dcmread(all_of_it)
    ds.PixelData = bytes(len(ds.PixelData))
    ds.add_new("PixelPaddingValue", "US", 0)
    ds.save_as(all_of_it)
    return 2, 1


def _unused_bits(folder: Path) -> Expected:
    for number, syntax in enumerate((uid.JPEG2000Lossless, uid.JPEGLSLossless)):
        path = drawn(folder, f"{number}.dcm")
        ds = pydicom.dcmread(path)
        ds.PixelData = (ds.pixel_array | 0x5000).tobytes()
        ds.compress(syntax)
        ds.BitsStored, ds.HighBit = 12, 11
        ds.save_as(path)
    return 2, 0


def _letters(folder: Path) -> Expected:
    path = edit(drawn(folder), PatientName="_" * 30, SpecificCharacterSet="ISO_IR 100")
    name = "山田^太郎".encode().ljust(30)
    path.write_bytes(path.read_bytes().replace(b"_" * 30, name))
    return 1, 0


def _hybrid(folder: Path) -> Expected:
    path = drawn(folder)
    ds = pydicom.dcmread(path)
    ds.SharedFunctionalGroupsSequence = [Dataset()]
    ds.PerFrameFunctionalGroupsSequence = [Dataset()]
    ds.PerFrameFunctionalGroupsSequence[0].FrameContentSequence = [Dataset()]
    ds.save_as(path)
    return 1, 0


def _links(folder: Path) -> Expected:
    write_cine(folder / "real", phases=6)
    (folder / "real" / "up").symlink_to(folder)
    (folder / "again").symlink_to("real")
    (folder / "nowhere.dcm").symlink_to("gone.dcm")
    return 6, 1


def _renamed_disc(folder: Path) -> Expected:
    index = dicomdir(folder, 64)
    for path in list(index.parent.rglob("*")):
        if path.is_file() and path != index:
            path.rename(path.with_name(path.name.lower() + ";1"))
    return 2, 0


def _containers(folder: Path) -> Expected:
    path = drawn(folder)
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        archive.add(path, "a.dcm")
    with zipfile.ZipFile(folder / "inner.zip", "w") as archive:
        archive.write(path, "a.dcm")
    with zipfile.ZipFile(folder / "outer.zip", "w") as archive:
        archive.write(folder / "inner.zip", "inner.zip")
    (folder / "inner.zip").unlink()
    return 1, 2


def _too_large(folder: Path) -> Expected:
    drawn(folder, size=(4096, 4096))
    return 0, 1


EDGES: dict[str, Callable[[Path], Expected]] = {
    make.__name__.strip("_"): make
    for make in (
        _same_uid,
        _two_acquisitions,
        _without_order,
        _two_patients,
        _jitter,
        _absurd_places,
        _examination,
        _damaged,
        _padding,
        _unused_bits,
        _letters,
        _hybrid,
        _links,
        _renamed_disc,
        _containers,
        _too_large,
    )
}
