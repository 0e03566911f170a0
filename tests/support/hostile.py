"""Damaged and malicious files, made for tests: the same seed makes the same files."""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.fileset import FileSet

from phdnet_tf.dicom.guards import MAX_FRAMES
from phdnet_tf.dicom.write import write_image


def drawn(
    folder: Path, name: str = "drawn.dcm", size: tuple[int, int] = (64, 64)
) -> Path:
    """A small, valid MR file."""
    pixels = np.random.default_rng(0).integers(0, 900, size).astype("uint16")
    write_image(
        folder / name,
        pixels,
        (1.5, 1.5),
        uid_seed="hostile",
        series_description="4ch",
        patient_id="drawn",
    )
    return folder / name


def archive(folder: Path) -> Path:
    """A zip archive of three small, valid MR files, in the ways zip may pack them."""
    path = folder / "study.zip"
    ways = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2
    with zipfile.ZipFile(path, "w") as file:
        for number, way in enumerate(ways):
            image = drawn(folder, f"{number}.dcm", (8, 8 + number))
            file.write(image, f"a/{image.name}", way)
            image.unlink()
        file.writestr("readme.txt", "hello")
    return path


def dicomdir(folder: Path, side: int = 8) -> Path:
    """A DICOMDIR of two small, valid MR files, which lie beside it."""
    files = FileSet()
    for number in range(2):
        image = drawn(folder, f"{number}.dcm", (side, side + number))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(image)
            # Type 1 in the records of a study, a series and an image.
            ds.StudyDate, ds.StudyTime, ds.StudyID = "20200101", "120000", "1"
            ds.SeriesNumber = ds.InstanceNumber = number + 1
            files.add(ds)
        image.unlink()
    files.write(folder / "cd")
    files._stage["t"].cleanup()  # It would warn that nobody else did.
    return folder / "cd" / "DICOMDIR"


def mutate(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Damages a file in one of the ways in which files get damaged.

    Returns:
        What was done, and the damaged file.
    """
    kind = KINDS[rng.integers(len(KINDS))]
    return kind.__name__.strip("_"), bytes(kind(bytearray(content), rng))


def _where(content: bytearray, rng: np.random.Generator) -> int:
    """Half of the damage goes to the header, where most of a file's meaning is."""
    end = min(len(content), 4000) if rng.random() < 0.5 else len(content)
    return int(rng.integers(end))


def _flip_bits(content: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(rng.integers(1, 40)):
        content[_where(content, rng)] ^= 1 << int(rng.integers(8))
    return content


def _overwrite(content: bytearray, rng: np.random.Generator) -> bytearray:
    start = _where(content, rng)
    length = int(rng.integers(1, 64))
    content[start : start + length] = rng.bytes(length)
    return content


def _truncate(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: _where(content, rng)]


def _truncate_at_an_element(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Before, in or after a tag, a length or the first bytes of a value."""
    values = _values(content)
    if not values:
        return content[:1]
    start, _ = values[rng.integers(len(values))]
    return content[: max(0, start + int(rng.integers(-12, 8)))]


def _swap_lengths(content: bytearray, rng: np.random.Generator) -> bytearray:
    values = _values(content)
    if len(values) > 1:
        one, other = (values[i][0] for i in rng.integers(len(values), size=2))
        first, second = content[one - 4 : one], content[other - 4 : other]
        content[one - 4 : one], content[other - 4 : other] = second, first
    return content


def _wrong_length(content: bytearray, rng: np.random.Generator) -> bytearray:
    values = _values(content)
    if values:
        start, _ = values[rng.integers(len(values))]
        wrong = rng.choice([0, 1, 7, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
        if rng.random() < 0.5:
            content[start - 4 : start] = struct.pack("<I", int(wrong))
        else:
            content[start - 2 : start] = struct.pack("<H", int(wrong) & 0xFFFF)
    return content


def _extreme_value(content: bytearray, rng: np.random.Generator) -> bytearray:
    values = [each for each in _values(content) if each[1]]
    if values:
        start, length = values[rng.integers(len(values))]
        fill = rng.choice([0x00, 0xFF, 0x39, 0x20, 0x7F])
        length = min(length, 64)
        content[start : start + length] = bytes([fill]) * length
    return content


def _cut_out(content: bytearray, rng: np.random.Generator) -> bytearray:
    start = _where(content, rng)
    del content[start : start + int(rng.integers(1, 300))]
    return content


def _repeat(content: bytearray, rng: np.random.Generator) -> bytearray:
    start = _where(content, rng)
    piece = content[start : start + int(rng.integers(1, 300))]
    content[start:start] = piece * int(rng.integers(1, 20))
    return content


KINDS: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (
    _flip_bits,
    _overwrite,
    _truncate,
    _truncate_at_an_element,
    _swap_lengths,
    _wrong_length,
    _extreme_value,
    _cut_out,
    _repeat,
)

_known: dict[int, list[tuple[int, int]]] = {}


def _values(content: bytearray) -> list[tuple[int, int]]:
    """Place and length of the values of the elements at the top."""
    key = zlib.crc32(content)
    if key not in _known:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ds = pydicom.dcmread(io.BytesIO(content), force=True)
                items = [ds.get_item(tag) for tag in ds.keys()]
            except Exception:
                items = []
        _known[key] = [
            (item.value_tell, item.length)
            for item in items
            if getattr(item, "length", None) is not None and item.value_tell >= 8
        ]
    return _known[key]


def bombs(folder: Path) -> Iterator[Path]:
    """Small files that would be enormous, endless or bottomless, one after another."""
    for name, make in BOMBS.items():
        path = folder / f"bomb_{name}"
        make(path)
        yield path


def _dataset(rows: int, columns: int, syntax: uid.UID) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.MRImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = syntax
    ds = Dataset()
    ds.file_meta = meta
    ds.SOPClassUID, ds.SOPInstanceUID = uid.MRImageStorage, "1.2.3"
    ds.Modality = "MR"
    ds.PixelSpacing = [1, 1]
    ds.Rows, ds.Columns = rows, columns
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    return ds


def _save(path: Path, ds: Dataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(path, enforce_file_format=True)


def _deflated(path: Path) -> None:
    drawn(path.parent, path.name)
    content = path.read_bytes()
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    ds.PixelData = bytes(1000)
    _save(path, ds)
    head = path.read_bytes()
    length = struct.unpack_from("<I", head, 140)[0]
    meta = head[: 144 + length]
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = pack.compress(content[len(content) - 2000 :])
    zeros = bytes(16 << 20)
    body += b"".join(pack.compress(zeros) for _ in range(64)) + pack.flush()
    path.write_bytes(meta + body)


def _rle(side: int, size: int) -> Callable[[Path], None]:
    """Runs of RLE, of which each two bytes become 128."""

    def make(path: Path) -> None:
        ds = _dataset(side, side, uid.RLELossless)
        runs = b"\x81\x00" * (size // 2)
        header = struct.pack("<16I", 2, 64, 64 + len(runs) // 2, *[0] * 13)
        ds.PixelData = encapsulate([header + runs])
        _save(path, ds)

    return make


def _codestream(name: str, marker: bytes, form: str, at: int) -> Callable[[Path], None]:
    """A real compressed file whose pixels tell of 20000 x 20000."""

    def make(path: Path) -> None:
        from pydicom.data import get_testdata_file

        content = bytearray(Path(get_testdata_file(name, download=False)).read_bytes())
        start = content.index(marker) + at
        struct.pack_into(form, content, start, 20000, 20000)
        path.write_bytes(content)

    return make


def _large_header(path: Path) -> None:
    """The header tells of as much as the codestream does, within the limit."""
    _codestream("MR_small_jp2klossless.dcm", b"\xff\x4f\xff\x51", ">II", 8)(path)
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\x4f\xff\x51")
    struct.pack_into(">II", content, start + 8, 2048, 2048)
    struct.pack_into(">II", content, start + 24, 2048, 2048)
    path.write_bytes(content)
    ds = pydicom.dcmread(path)
    ds.Rows = ds.Columns = 2048
    _save(path, ds)


def _many_frames(path: Path) -> None:
    ds = _dataset(64, 64, uid.ExplicitVRLittleEndian)
    ds.NumberOfFrames = 2_000_000_000
    ds.PixelData = bytes(64 * 64 * 2)
    _save(path, ds)


def _frames_without_pixels(path: Path) -> None:
    """As many frames as are allowed, in a kilobyte."""
    ds = _dataset(64, 64, uid.ExplicitVRLittleEndian)
    ds.NumberOfFrames = MAX_FRAMES
    ds.PixelData = bytes(64)
    _save(path, ds)


def _tiny_frames(path: Path) -> None:
    """As many as are allowed and all there, of one pixel each."""
    ds = _dataset(1, 1, uid.ExplicitVRLittleEndian)
    ds.NumberOfFrames = MAX_FRAMES
    ds.PixelData = bytes(2 * MAX_FRAMES)
    _save(path, ds)


def _many_pixels(path: Path) -> None:
    ds = _dataset(65535, 65535, uid.ExplicitVRLittleEndian)
    ds.PixelData = bytes(64)
    _save(path, ds)


def _nested(path: Path) -> None:
    """3000 sequences, each the only thing in the one around it."""
    drawn(path.parent, path.name)
    start = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    path.write_bytes(path.read_bytes() + start * 3000 + end * 3000)


def _many_items(path: Path) -> None:
    """A sequence of millions of empty items, each an object when it is read."""
    drawn(path.parent, path.name)
    content = path.read_bytes()
    at = content.index(b"\x28\x00\x02\x00US")
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 6_000_000
    head = b"\x00\x52\x29\x92SQ\0\0" + struct.pack("<I", len(items))
    pixels = content.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(
        content[:at] + content[at:pixels] + head + items + content[pixels:]
    )


def _many_elements(path: Path) -> None:
    """Two million empty private elements."""
    drawn(path.parent, path.name)
    content = path.read_bytes()
    at = content.index(b"\x28\x00\x02\x00US")
    elements = b"".join(
        struct.pack("<HH2sH", group, number, b"LO", 0)
        for group in range(0x0021, 0x0027, 2)
        for number in range(0x1000, 0xFFFF)
    )
    path.write_bytes(content[:at] + elements * 10 + content[at:])


def _sparse(path: Path) -> None:
    """A file of a terabyte, of which only the first bytes are on the disk."""
    drawn(path.parent, path.name)
    with path.open("r+b") as file:
        file.truncate(1 << 40)


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.dcm", "w", force_zip64=True) as member:
            member.write(bytes(128) + b"DICM")
            for _ in range(20):
                member.write(bytes(16 << 20))


def _lying_zip(path: Path) -> None:
    """An archive that tells of 1000 bytes where there are 320 MiB."""
    _zip(path)
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, central + 24, 1000)
    path.write_bytes(content)


def _dictionary(path: Path) -> None:
    """An archive with a file that takes two gigabytes to be unpacked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.dcm", bytes(128) + b"DICM")
        start = archive.infolist()[0].header_offset + 30 + len("a.dcm")
    content = bytearray(path.read_bytes())
    # After two numbers of two bytes each come the properties, of which this is one.
    struct.pack_into("<I", content, start + 5, 2 << 30)
    path.write_bytes(content)


BOMBS: dict[str, Callable[[Path], None]] = {
    "deflated.dcm": _deflated,
    "rle_small.dcm": _rle(64, 16 << 20),
    "rle_large.dcm": _rle(2048, 8 << 20),
    "jpeg_2000.dcm": _codestream(
        "MR_small_jp2klossless.dcm", b"\xff\x4f\xff\x51", ">II", 8
    ),
    "jpeg_2000_honest.dcm": _large_header,
    "jpeg_ls.dcm": _codestream("MR_small_jpeg_ls_lossless.dcm", b"\xff\xf7", ">HH", 5),
    "frames.dcm": _many_frames,
    "frames_without_pixels.dcm": _frames_without_pixels,
    "frames_tiny.dcm": _tiny_frames,
    "pixels.dcm": _many_pixels,
    "nested.dcm": _nested,
    "items.dcm": _many_items,
    "elements.dcm": _many_elements,
    "sparse.dcm": _sparse,
    "archive.zip": _zip,
    "lying.zip": _lying_zip,
    "dictionary.zip": _dictionary,
}
