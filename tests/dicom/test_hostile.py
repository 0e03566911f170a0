"""What damaged and malicious files do: a result or one line, and nothing else."""

import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from support.cines import write_cine, write_enhanced
from support.hostile import BOMBS, archive, dicomdir, drawn, mutate

from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.read import DicomFile
from phdnet_tf.dicom.sandbox import SECONDS, FileLocation
from phdnet_tf.dicom.survey import survey

SOURCES = (
    "MR_small.dcm MR_small_bigendian.dcm MR_small_implicit.dcm MR_small_RLE.dcm "
    "MR_small_jp2klossless.dcm MR_small_jpeg_ls_lossless.dcm"
).split()

CORPUS = Path(__file__).parent / "corpus"


def outcome(path, sandbox):
    """The images of a file, and the lines that refuse it."""
    found = survey([path], sandbox)
    lines = [each.reason for each in found.skipped]
    images = []
    for cine in found.cines:
        frame = cine.frames[0]
        try:
            images.append(sandbox.image(frame.file.source, frame.number))
        except DicomError as error:
            lines.append(str(error))
    assert images or lines
    assert all(line.isprintable() for line in lines)
    assert all(np.isfinite(image.pixels).all() for image in images)
    return images, lines


def test_mutants_give_an_image_or_one_line(sandbox, tmp_path):
    contents = [
        Path(get_testdata_file(name, download=False)).read_bytes() for name in SOURCES
    ]
    contents.append(drawn(tmp_path).read_bytes())
    write_enhanced(tmp_path / "e.dcm", write_cine(tmp_path / "cine", phases=3))
    contents.append((tmp_path / "e.dcm").read_bytes())
    rng = np.random.default_rng(1)
    path = tmp_path / "mutant.dcm"
    read = refused = 0
    for number in range(160):
        _, content = mutate(contents[number % len(contents)], rng)
        path.write_bytes(content)
        images, lines = outcome(path, sandbox)
        read += bool(images)
        refused += bool(lines)

    # Were all one or the other, the mutants would be none, or not be looked at.
    assert read > 20 and refused > 40


def meet(path, sandbox):
    """Nothing but images, or lines that refuse them, comes of a list of files.

    Returns whether the list can be read.
    """
    ask = sandbox.file_set if path.name == "DICOMDIR" else sandbox.members
    try:
        listed = bool(ask(path))
    except DicomError as error:
        assert str(error).startswith(f"{path}: ") and str(error).isprintable()
        listed = False
    found = survey([path], sandbox)
    assert all(each.reason.isprintable() for each in found.skipped)
    for cine in found.cines:
        for frame in cine.frames:
            name = frame.file.name
            assert not name.is_absolute() and ".." not in name.parts
    return listed


def meet_mutants(path, count, seed, sandbox):
    """Meets damaged copies of a file in its place, and returns how many can be read.

    One that gives anything else stays in `CORPUS`, where it is met from then on.
    """
    content = path.read_bytes()
    rng = np.random.default_rng(seed)
    read = 0
    for _ in range(count):
        _, damaged = mutate(content, rng)
        path.write_bytes(damaged)
        try:
            read += meet(path, sandbox)
        except Exception:
            name = f"{zlib.crc32(damaged):08x}"
            (CORPUS / f"{name}_{path.name}").write_bytes(damaged)
            raise
    return read


@pytest.mark.parametrize("make", [archive, dicomdir])
def test_mutants_of_lists_of_files_are_read_or_refused_in_a_line(
    sandbox, tmp_path, make
):
    read = meet_mutants(make(tmp_path), 120, 2, sandbox)

    # Were it none or all, the mutants would not be looked at, or not be damaged.
    assert 20 < read < 100


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_what_was_found_once_is_read_or_refused_in_a_line(sandbox, tmp_path, path):
    """Files of the corpus are drawn, and damaged by hand or by `meet_mutants`."""
    *_, name = path.name.split("_")
    (tmp_path / name).write_bytes(path.read_bytes())

    if name.endswith(".dcm"):
        outcome(tmp_path / name, sandbox)
    else:
        meet(tmp_path / name, sandbox)


# The others take seconds each; `benchmarks/speed/hostile.py` meets all of them.
FAST = sorted(set(BOMBS) - {"items.dcm", "elements.dcm", "deflated.dcm", "lying.zip"})


@pytest.mark.parametrize("name", FAST)
def test_a_bomb_does_not_go_off(sandbox, tmp_path, name):
    path = tmp_path / name
    BOMBS[name](path)
    started = time.monotonic()

    images, lines = outcome(path, sandbox)

    # Only these are what they say that they are, and within the limits.
    honest = {"jpeg_2000_honest.dcm", "frames_tiny.dcm"}
    assert bool(images) == (name in honest), lines
    assert len(lines) == (name not in honest)
    assert time.monotonic() - started < SECONDS + 5
    good = drawn(tmp_path, "good.dcm")
    assert sandbox.image(FileLocation(good)).pixels.shape == (64, 64)


def test_sizes_are_looked_at_before_anything_is_decoded(tmp_path):
    """In this very process, where a bomb would take its memory."""
    for name in ("jpeg_2000.dcm", "jpeg_ls.dcm", "rle_small.dcm"):
        BOMBS[name](tmp_path / name)

        with pytest.raises(DicomError, match="compressed pixels"):
            DicomFile(tmp_path / name).image()


@pytest.mark.parametrize(
    ("stream", "size"),
    [
        (b"\xff\xd8\xff\xc0\0\x0b\x08\x01\x02\x03\x04\x01\x11\0", (0x102, 0x304)),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xf7\0\x0b\x10\0\x05\0\x06\x01", (5, 6)),
        (b"\xff\xd8\xff\xda\0\x04", None),
        (b"\xff\xd8", None),
        (b"", None),
        (b"\xff\xd8" + b"\xff\xe1\0\0" * 50, None),
    ],
)
def test_the_size_in_a_jpeg_is_found(stream, size):
    from phdnet_tf.dicom.guards import _jpeg_size

    assert _jpeg_size(stream) == size


def test_the_size_in_a_jpeg_2000_is_found():
    from phdnet_tf.dicom.guards import _jpeg_2000_size

    marker = struct.pack(">HHHIIII", 0xFF51, 41, 0, 300, 200, 10, 20)
    assert _jpeg_2000_size(b"\xff\x4f" + marker + bytes(40)) == (180, 290)
    assert _jpeg_2000_size(b"\xff\x4f" + marker[:5]) is None
    assert _jpeg_2000_size(b"nothing") is None


# A data set as it comes: elements that matter to the reader, with any value.
TAGS = (
    "00080005 00080008 00080016 00080060 0008103E 0020000E 00180050 00181060 00181062 "
    "00200013 00200032 00200037 00280002 00280004 00280008 00280010 00280011 00280030 "
    "00280100 00280101 00280102 00280103 00281052 00281053 00283000 52009229 52009230 "
    "7FE00010 00289110 FFFEE000 FFFEE0DD"
).split()
VRS = "CS DS FD IS LO OB OW PN SQ SS UI UL UN US UT XX".split()
LONG = {"OB", "OW", "SQ", "UN", "UT"}


@st.composite
def elements(draw):
    tag = struct.pack(
        "<HH", *(int(t, 16) for t in _halves(draw(st.sampled_from(TAGS))))
    )
    vr = draw(st.sampled_from(VRS))
    value = draw(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [b"1\\1", b"MONOCHROME2", b"\x08\0", b"\x10\0", b"MR", b"2"]
            ),
            st.integers(0, 65535).map(lambda n: struct.pack("<H", n)),
            st.text("0123456789.\\-eE ", max_size=20).map(str.encode),
        )
    )
    length = draw(st.one_of(st.just(len(value)), st.sampled_from([0, 3, 0xFFFFFFFF])))
    if vr in LONG:
        return tag + vr.encode() + b"\0\0" + struct.pack("<I", length) + value
    return tag + vr.encode() + struct.pack("<H", length & 0xFFFF) + value


def _halves(tag):
    return tag[:4], tag[4:]


HEAD = (
    bytes(128) + b"DICM\x02\x00\x10\x00UI\x14\x00" + b"1.2.840.10008.1.2.1\0"
    b"\x08\x00\x16\x00UI\x1a\x00" + b"1.2.840.10008.5.1.4.1.1.4\0"
)


def read_or_refuse(content, path):
    path.write_bytes(HEAD + content)
    for read in (
        lambda file: file.header(),
        lambda file: file.identity(),
        lambda file: file.image(1, (1, 1)),
    ):
        try:
            read(DicomFile(path))
        except DicomError as error:
            assert str(error).startswith(f"{path}: ") and str(error).isprintable()


# The same examples every time; `benchmarks/speed/hostile.py --fuzz` has more.
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.lists(elements(), max_size=14).map(b"".join))
@example(content=b"")
@example(content=b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 40)
@example(content=b"\x28\x00\x10\x00US\x02\x00\x08\x00" * 3)
@example(content=b"\x28\x00\x08\x00IS\x04\x00-1  \xe0\x7f\x10\x00OW\0\0\0\0\0\0")
def test_any_elements_give_an_image_or_one_line(content, tmp_path):
    read_or_refuse(content, tmp_path / "fuzz.dcm")
