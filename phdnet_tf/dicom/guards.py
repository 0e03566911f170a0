"""Checks a DICOM file before anything in it is decoded.

A small file can claim an enormous image, by mistake or on purpose. The checks therefore
come first. They read only a few bytes: the file's size, its transfer syntax, and the
size of the image as the header and as the compressed pixels give it.
"""

from __future__ import annotations

import struct
from pathlib import Path

from pydicom import uid

from phdnet_tf.dicom.errors import DicomError, shown

START_BYTES = 512
"""Number of first bytes that show a file's kind: the length of a tar's first block."""

# A cine of 30 phases in 20 slices of 256 x 256 has 80 MB; what is larger would not fit
# into the decoding process beside its own frame.
MAX_FILE_BYTES = 256 * 1024 * 1024

# Of one frame: 2048 x 2048, twice as wide as the finest that scanners interpolate to,
# and small enough for the network as well as for the decoder.
MAX_PIXELS = 4 * 1024 * 1024

# Rows and columns of an image that has landmarks: two patches of the network.
MIN_SIDE = 16

# Of an image that has landmarks, after the modality LUT. Beyond it the variance of the
# intensities overflows a float32, and every image would look flat.
MAX_INTENSITY = 1e15

# Of one file. A list is made of them all, in this process too: some megabytes.
MAX_FRAMES = 10_000

# Outside these limits, in mm, a pixel spacing is a slip of units or of the decimal
# point: microscopy of a mouse heart has 0.05, a scout image of a whole body 5.
SPACING_LIMITS = (0.02, 20.0)

# The transfer syntaxes that are read, each with the decoder that pydicom should use, or
# "" where the choice is its own. GDCM has only what no other reads: a damaged JPEG 2000
# ends the process there, and raises an exception elsewhere. Deflated Explicit VR is not
# here, for a megabyte of it can unpack to gigabytes before there is anything to check.
DECODERS = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "gdcm",
    uid.JPEGExtended12Bit: "",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
}

_JPEG_2000 = {
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
}


# SOF0 to SOF15 of JPEG, without the three numbers that mean something else, and SOF55
# of JPEG-LS.
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def may_be_dicom(start: bytes) -> bool:
    """Whether a file that starts with these bytes, 132 or more, can be DICOM.

    It can if it has a preamble, or if it begins like a data set, little or big endian:
    in group 8, or in group 2 if only the preamble is missing.
    """
    if start[128:132] == b"DICM":
        return True
    little, big = start[:2], start[1::-1]
    low = (b"\x02\x00", b"\x08\x00")
    return (little in low and start[3:4] == b"\0") or (
        big in low and start[2:3] == b"\0"
    )


def require_plausible_file(path: Path) -> None:
    """Refuses a file that is too large to be read whole.

    Raises:
        DicomError: If the file is too large.
        OSError: If there is no such file.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise DicomError(
            f"{path}: expected a file of at most {MAX_FILE_BYTES >> 20} MiB. Received: "
            f"{size >> 20} MiB. Export it as single-frame (classic) MR, one file per "
            "frame."
        )


def require_room_for_frames(
    path: Path, syntax: uid.UID, frames: int, bits: int
) -> None:
    """Refuses a file that is too short for the number of frames in its header.

    Args:
        path: The file.
        syntax: Its transfer syntax.
        frames: Number of frames in the header.
        bits: Size of an uncompressed frame by the header, in bits.

    Raises:
        DicomError: If the file is too short.
    """
    # A compressed frame is an item at least: its tag and its length.
    least = frames * 8 if syntax.is_encapsulated else max(frames, frames * bits // 8)
    size = path.stat().st_size
    if frames > 1 and least > size:
        raise DicomError(
            f"{path}: the pixel data are incomplete: expected {least} bytes or more "
            f"for {frames} frames. Received: a file of {size} bytes. Export or copy "
            "the file again."
        )


def require_decoder(path: Path, syntax: uid.UID) -> None:
    """Refuses a transfer syntax that no installed decoder supports.

    Raises:
        DicomError: If the transfer syntax is not supported.
    """
    if syntax not in DECODERS:
        raise DicomError(
            f"{path}: unsupported transfer syntax {shown(syntax.name)}. Convert it to "
            "Explicit VR Little Endian, for example with `gdcmconv --raw`."
        )


def require_honest_codestream(
    path: Path, syntax: uid.UID, codestream: bytes, rows: int, columns: int, bytes_: int
) -> None:
    """Refuses compressed pixels whose size differs from the header's.

    Args:
        path: The file, for the message.
        syntax: Its transfer syntax.
        codestream: The compressed frame.
        rows: Rows of the image by the header.
        columns: Columns of the image by the header.
        bytes_: Bytes of a stored pixel by the header.

    Raises:
        DicomError: If the sizes differ.
    """
    if syntax == uid.RLELossless:
        # The worst that RLE makes of an image is 129 bytes for each 128.
        longest = rows * columns * bytes_ * 129 // 128 + 1024
        if len(codestream) > longest:
            raise DicomError(
                f"{path}: the compressed pixels are longer than an image of {rows} "
                f"rows and {columns} columns can be. Export or copy the file again."
            )
        return
    size = (_jpeg_2000_size if syntax in _JPEG_2000 else _jpeg_size)(codestream)
    if size is not None and size != (rows, columns):
        raise DicomError(
            f"{path}: the header has {rows} rows and {columns} columns, the compressed "
            f"pixels have {size[0]} rows and {size[1]} columns. Export or copy the "
            "file again."
        )


def _jpeg_size(stream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG or JPEG-LS frame header; None if there is none.

    Like the decoders, it uses the first frame header.
    """
    at = 2
    while at + 9 <= len(stream):
        if stream[at] != 0xFF:
            at += 1  # As decoders do, what stands between segments is passed over.
            continue
        marker = stream[at + 1]
        if marker == 0xFF or marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_HEADERS:
            rows, columns = struct.unpack_from(">HH", stream, at + 5)
            return rows, columns
        if marker in (0xD9, 0xDA):
            return None
        at += 2 + struct.unpack_from(">H", stream, at + 2)[0]
    return None


def _jpeg_2000_size(stream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG 2000 codestream, bare or in a JP2 file; or None."""
    at = stream.find(b"\xff\x4f\xff\x51")
    if at < 0 or at + 24 > len(stream):
        return None
    width, height, left, top = struct.unpack_from(">IIII", stream, at + 8)
    return height - top, width - left
