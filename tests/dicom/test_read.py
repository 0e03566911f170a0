import logging
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.guards import MAX_PIXELS
from phdnet_tf.dicom.read import DicomFile, read_image
from phdnet_tf.dicom.write import write_image

DATA = Path(__file__).parents[3] / "shared" / "data"
PIXELS = np.arange(12 * 10, dtype=np.uint16).reshape(12, 10) * 500

with_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"real images: no {DATA}")


def shipped(name):
    """A test file of pydicom's own wheel; it would download others."""
    return Path(get_testdata_file(name, download=False))


def write(path, pixels=PIXELS, spacing=(0.9375, 1.5), **kwargs):
    arguments = {
        "uid_seed": "test",
        "series_description": "drawn",
        "patient_id": "phantom_1",
    }
    write_image(path, pixels, spacing, **(arguments | kwargs))
    return path


def edit(path, syntax=None, delete=(), **attributes):
    """Changes attributes of a file, also to what the standard forbids."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path)
        for keyword in delete:
            del ds[keyword]
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        if syntax is None:
            ds.save_as(path)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
            implicit = syntax == uid.ImplicitVRLittleEndian
            little = syntax != uid.ExplicitVRBigEndian
            pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=little)
    return path


@pytest.fixture
def image(tmp_path):
    return write(tmp_path / "a.dcm")


def refusal(path, **kwargs):
    """The one line with which a file is refused."""
    with pytest.raises(DicomError) as error:
        read_image(path, **kwargs)
    line = str(error.value)
    assert line.startswith(f"{path}: ") and line.isprintable()
    return line


# What is written


def test_what_is_written_is_read_back(tmp_path):
    sagittal = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
    path = write(
        tmp_path / "a.dcm",
        spacing=(0.9375, 1 / 3),
        position=(-180.1234567890123, 1e-9, 3),
        orientation=sagittal,
    )

    image = read_image(path)

    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert image.pixels.dtype == np.float32
    np.testing.assert_allclose(image.pixel_spacing, (0.9375, 1 / 3), rtol=1e-12)
    np.testing.assert_allclose(image.position, (-180.1234567890123, 1e-9, 3))
    assert image.orientation == sagittal


def test_the_same_image_gives_the_same_bytes(tmp_path):
    one, other = write(tmp_path / "one.dcm"), write(tmp_path / "other.dcm")

    assert one.read_bytes() == other.read_bytes()


def test_uids_tell_images_apart_and_studies_together(tmp_path):
    def uids(**kwargs):
        ds = pydicom.dcmread(write(tmp_path / "a.dcm", **kwargs))
        return ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID

    study, series, instance = uids()

    assert uids(pixels=PIXELS + 1)[:2] == (study, series)
    assert uids(pixels=PIXELS + 1)[2] != instance
    assert uids(position=(0, 0, 8))[2] != instance
    assert uids(series_description="other")[0] == study
    assert uids(series_description="other")[1] != series
    assert uids(patient_id="phantom_2")[0] != study
    assert uids(uid_seed="other")[0] != study


def test_the_file_is_a_valid_mr_image(image):
    ds = pydicom.dcmread(image)

    # Type 1 of the MR Image IOD (PS3.3 A.4): there, with a value.
    for keyword in (
        "SOPClassUID SOPInstanceUID Modality StudyInstanceUID SeriesInstanceUID "
        "FrameOfReferenceUID PixelSpacing ImageOrientationPatient "
        "ImagePositionPatient SamplesPerPixel PhotometricInterpretation Rows Columns "
        "BitsAllocated BitsStored HighBit PixelRepresentation PixelData ImageType "
        "ScanningSequence SequenceVariant"
    ).split():
        assert ds.get(keyword) not in (None, ""), keyword
    # Type 2: there, perhaps empty.
    for keyword in (
        "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime "
        "ReferringPhysicianName StudyID AccessionNumber SeriesNumber Manufacturer "
        "InstanceNumber PositionReferenceIndicator SliceThickness ScanOptions "
        "MRAcquisitionType EchoTime EchoTrainLength PatientPosition RepetitionTime"
    ).split():
        assert keyword in ds, keyword
    assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID == uid.MRImageStorage
    assert ds.file_meta.ImplementationVersionName == "PHDNET_TF"


@pytest.mark.parametrize("pixels", [PIXELS.astype(np.int32), PIXELS[None], PIXELS[:0]])
def test_only_images_of_two_types_are_written(tmp_path, pixels):
    with pytest.raises(ValueError, match=r"a\.dcm: expected pixels uint16\[H, W\] or"):
        write(tmp_path / "a.dcm", pixels)


def test_only_positive_spacings_are_written(tmp_path):
    with pytest.raises(ValueError, match="two positive pixel spacings"):
        write(tmp_path / "a.dcm", spacing=(0.0, 1.0))


# Encodings


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_padded.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
    ],
)
def test_every_encoding_gives_the_same_image(name):
    expected, image = read_image(shipped("MR_small.dcm")), read_image(shipped(name))

    np.testing.assert_array_equal(image.pixels, expected.pixels)
    assert image.pixels.dtype.isnative
    assert image.pixel_spacing == (0.3125, 0.3125)
    assert image.orientation == expected.orientation != None  # noqa: E711


def test_jpeg_lossless_is_decoded(tmp_path):
    gdcm = pytest.importorskip("gdcm", reason="python-gdcm is not installed")
    source, target = write(tmp_path / "a.dcm"), tmp_path / "b.dcm"
    reader = gdcm.ImageReader()
    reader.SetFileName(os.fspath(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(
        gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    )
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(os.fspath(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()

    assert pydicom.dcmread(target).file_meta.TransferSyntaxUID == uid.JPEGLosslessSV1
    np.testing.assert_array_equal(read_image(target).pixels, PIXELS)


def test_near_lossless_jpeg_ls_is_decoded():
    image = read_image(shipped("JPEGLSNearLossless_16.dcm"), pixel_spacing=(1, 1))

    assert image.pixels.shape == (50, 10)
    assert image.pixels.max() > 60000


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian]
)
def test_signed_pixels_stay_signed(image, syntax):
    signed = PIXELS.astype(np.int16) - 3000
    edit(image, syntax, PixelRepresentation=1, PixelData=signed.astype("<i2").tobytes())

    np.testing.assert_array_equal(read_image(image).pixels, signed)


def test_big_endian_pixels_are_turned_round(image):
    signed = (PIXELS // 500).astype(np.int16) - 60
    edit(
        image,
        uid.ExplicitVRBigEndian,
        PixelRepresentation=1,
        PixelData=signed.astype(">i2").tobytes(),
    )

    np.testing.assert_array_equal(read_image(image).pixels, signed)


def test_eight_bit_pixels_are_read(image):
    eight = np.arange(120, dtype=np.uint8).reshape(12, 10)
    edit(image, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=eight.tobytes())

    np.testing.assert_array_equal(read_image(image).pixels, eight)


def test_rescale_is_applied(image):
    edit(image, RescaleSlope="0.5", RescaleIntercept="-100", RescaleType="US")

    np.testing.assert_array_equal(read_image(image).pixels, PIXELS * 0.5 - 100)


def test_an_empty_rescale_is_none(image):
    edit(image, RescaleSlope=None, RescaleIntercept=None)

    np.testing.assert_array_equal(read_image(image).pixels, PIXELS)


def test_a_modality_lut_is_applied(image):
    lut = Dataset()
    lut.LUTDescriptor = [3, 0, 16]
    lut.ModalityLUTType = "US"
    lut.add_new("LUTData", "US", [7, 70, 700])
    edit(
        image,
        ModalityLUTSequence=[lut],
        PixelData=(PIXELS // 500 % 3).astype("<u2").tobytes(),
    )

    expected = np.array([7, 70, 700])[PIXELS // 500 % 3]
    np.testing.assert_array_equal(read_image(image).pixels, expected)


def test_monochrome1_is_turned_so_that_bright_is_signal(image):
    edit(image, PhotometricInterpretation="MONOCHROME1")

    np.testing.assert_array_equal(read_image(image).pixels, PIXELS[::-1, ::-1])


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize(
    "syntax",
    [
        uid.ExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEG2000Lossless,
        uid.JPEGLSLossless,
    ],
)
def test_bits_above_those_stored_are_no_pixels(tmp_path, syntax, signed):
    """12 bits are stored in 16, and those above them hold anything."""
    low = -2048 if signed else 0
    values = np.arange(64 * 64).reshape(64, 64) + low
    stored = (values & 0x0FFF) | 0x5000
    path = write(tmp_path / "a.dcm", stored.astype("uint16"))
    ds = pydicom.dcmread(path)
    ds.PixelRepresentation = signed
    if syntax.is_encapsulated:
        ds.compress(syntax, generate_instance_uid=False)
    ds.BitsStored, ds.HighBit = 12, 11
    ds.save_as(path)

    np.testing.assert_array_equal(read_image(path).pixels, values)


@pytest.mark.parametrize(("stored", "high"), [(12, 15), (8, 15), (15, 15)])
def test_values_that_do_not_begin_at_the_lowest_bit_are_refused(image, stored, high):
    edit(image, BitsStored=stored, HighBit=high)

    assert f"expected a HighBit of {stored - 1}" in refusal(image)


# Padding


def padded(path, values, value, outside, **attributes):
    """A round field of view, with what stands outside of it; where that is."""
    y, x = np.mgrid[:12, :10]
    outside_of_it = np.hypot(x - 4.5, y - 5.5) > 4.5
    stored = np.where(outside_of_it, outside, values)
    dtype = "<i2" if stored.min() < 0 else "<u2"
    edit(
        path,
        PixelData=stored.astype(dtype).tobytes(),
        PixelRepresentation=int(stored.min() < 0),
        **attributes,
    )
    ds = pydicom.dcmread(path)
    ds.add_new("PixelPaddingValue", "US" if value >= 0 else "SS", value)
    ds.save_as(path)
    return outside_of_it


@pytest.mark.parametrize(
    ("value", "outside"),
    [
        (-2000, -2000),
        (63536, -2000),  # the same bits, as if they had no sign
        (65535, 65535),
        (4000, 4000),
        (0, 0),
    ],
)
@pytest.mark.parametrize(
    ("photometric", "dark"), [("MONOCHROME2", 100), ("MONOCHROME1", 100)]
)
def test_padding_is_as_dark_as_the_darkest_pixel(
    image, value, outside, photometric, dark
):
    values = np.arange(120).reshape(12, 10) + 100
    around = padded(
        image, values, value, outside, PhotometricInterpretation=photometric
    )
    inside = values[~around]
    # By hand: turned within its range, so that the brightest becomes the darkest.
    turned = (
        inside if photometric == "MONOCHROME2" else inside.max() + inside.min() - inside
    )

    pixels = read_image(image).pixels

    np.testing.assert_array_equal(pixels[~around], turned)
    np.testing.assert_array_equal(pixels[around], inside.min())


@pytest.mark.parametrize("ends", [(60000, 65000), (65000, 60000), (-3000, -2000)])
def test_a_range_of_padding_is_all_padding(image, ends):
    values = np.arange(120).reshape(12, 10) + 100
    outside = np.linspace(*sorted(ends), 120).astype(int).reshape(12, 10)
    around = padded(image, values, ends[0], outside)
    ds = pydicom.dcmread(image)
    ds.add_new("PixelPaddingRangeLimit", "SS" if ends[1] < 0 else "US", ends[1])
    ds.RescaleSlope, ds.RescaleIntercept = "2", "-50"
    ds.save_as(image)

    pixels = read_image(image).pixels

    np.testing.assert_array_equal(pixels[~around], 2 * values[~around] - 50)
    np.testing.assert_array_equal(pixels[around], 2 * values[~around].min() - 50)


def test_padding_alone_is_no_image(image):
    padded(image, np.full((12, 10), 7), 7, 7)

    assert "all pixels are padding" in refusal(image)


# Letters


@pytest.mark.parametrize(
    "declared", [None, "", "ISO_IR 6", "ISO_IR 100", "ISO_IR 144", "UTF-8", "nonsense"]
)
@pytest.mark.parametrize("name", ["Müller^Jörg", "Петров^Пётр", "山田^太郎"])
def test_names_in_utf_8_are_read_as_what_they_are(image, declared, name):
    edit(image, PatientName="PLACE^HOLDER" + "_" * 20, SpecificCharacterSet=declared)
    content = image.read_bytes()
    whole = b"PLACE^HOLDER" + b"_" * 20
    assert content.count(whole) == 1
    image.write_bytes(content.replace(whole, name.encode().ljust(len(whole))))

    assert DicomFile(image).identity()["PatientName"] == name


@pytest.mark.parametrize(
    ("declared", "name", "encoding"),
    [
        ("ISO_IR 100", "Müller^Jörg", "latin-1"),
        ("ISO_IR 144", "Петров", "iso8859-5"),
        ("ISO_IR 192", "山田^太郎", "utf-8"),
        ("GB18030", "王^小东", "gb18030"),
        # Right as UTF-8, too, and there another word.
        ("GBK", "联通", "gbk"),
        ("ISO_IR 166", "เขต", "iso8859-11"),
        # Of a letter that is no UTF-8 and none of what is told, nothing is made up.
        ("ISO_IR 138", "שלום", "iso8859-8"),
    ],
)
def test_names_are_read_as_is_told(image, declared, name, encoding):
    stored = name.encode(encoding)
    edit(image, PatientName="_" * 40, SpecificCharacterSet=declared)
    content = image.read_bytes()
    image.write_bytes(content.replace(b"_" * 40, stored.ljust(40)))

    assert DicomFile(image).identity()["PatientName"] == name


# Files that lack something


def test_a_file_without_preamble_is_read_if_it_is_an_image(image):
    # The group's own length, 12 bytes on, says where the data set begins.
    content = image.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    image.write_bytes(content[144 + length :])

    np.testing.assert_array_equal(read_image(image).pixels, PIXELS)


def test_a_file_without_preamble_keeps_its_transfer_syntax(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(shipped("MR_small_jp2klossless.dcm").read_bytes()[132:])

    np.testing.assert_array_equal(
        read_image(path).pixels, read_image(shipped("MR_small.dcm")).pixels
    )
    path.write_bytes(shipped("image_dfl.dcm").read_bytes()[132:])
    assert "unsupported transfer syntax Deflated" in refusal(path)


def test_a_file_without_transfer_syntax_is_read(image):
    for syntax in (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian):
        edit(image, syntax)
        content = image.read_bytes()
        meta = pydicom.dcmread(image).file_meta
        length = 8 + len(meta.TransferSyntaxUID) + len(meta.TransferSyntaxUID) % 2
        start = content.index(b"\x02\x00\x10\x00UI")
        # A group that is shorter than it says is an oddity that pydicom reads.
        image.write_bytes(content[:start] + content[start + length :])

        np.testing.assert_array_equal(read_image(image).pixels, PIXELS)


def test_compressed_pixels_without_transfer_syntax_are_refused(tmp_path):
    path = write(tmp_path / "a.dcm")
    ds = pydicom.dcmread(path)
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    ds["PixelData"].is_undefined_length = True
    del ds.file_meta
    with path.open("wb") as stream:
        pydicom.dcmwrite(stream, ds, implicit_vr=False, little_endian=True)

    assert "no TransferSyntaxUID names" in refusal(path)


def test_a_missing_position_is_none(image):
    edit(image, delete=["ImagePositionPatient", "ImageOrientationPatient"])

    assert read_image(image).position is None
    assert read_image(image).orientation is None


def test_an_unusable_position_is_none(image):
    edit(image, ImagePositionPatient=[1, 2], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])

    assert read_image(image).position is None
    assert read_image(image).orientation == (1, 0, 0, 0, 1, 0)


def test_the_argument_supplies_a_spacing_only_where_it_is_missing(image):
    assert read_image(image, pixel_spacing=(2, 3)).pixel_spacing == (0.9375, 1.5)

    edit(image, PixelSpacing=None)
    assert read_image(image, pixel_spacing=(2, 3)).pixel_spacing == (2, 3)
    edit(image, delete=["PixelSpacing"])
    assert read_image(image, pixel_spacing=(2, 3)).pixel_spacing == (2, 3)


# Refusals


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    assert "no such file" in refusal(tmp_path / "nowhere.dcm")
    assert "Received a folder" in refusal(tmp_path)
    assert "cannot be opened" in refusal(tmp_path / ("x" * 300))


@pytest.mark.parametrize("content", [b"", b"PNG" * 300, bytes(2000), b"DICM"])
def test_what_is_not_dicom_is_called_so(tmp_path, content):
    path = tmp_path / "photo.png"
    path.write_bytes(content)

    assert "not a DICOM file" in refusal(path)


def test_what_is_deflated_is_refused_before_it_is_inflated(tmp_path):
    """A megabyte could become gigabytes; these bytes could not be inflated at all."""
    content = shipped("image_dfl.dcm").read_bytes()
    head = content[: 144 + int.from_bytes(content[140:144], "little")]
    for start in (0, 132):
        path = tmp_path / "deflated.dcm"
        path.write_bytes(head[start:] + b"\xff" * 1000)

        assert "unsupported transfer syntax Deflated" in refusal(path)


def test_a_line_is_a_line_whatever_the_file_is_called(tmp_path):
    path = tmp_path / os.fsdecode("a\nb\x1b[31m \u3000 é ".encode() + b"\xfc.dcm")
    path.write_bytes(b"nothing")

    with pytest.raises(DicomError) as error:
        read_image(path)

    assert str(error.value).startswith(f"{tmp_path}/a?b?[31m \u3000 é ?.dcm: not a ")


def test_other_dicom_objects_hold_no_pixels():
    for name in ("rtplan.dcm", "test-SR.dcm"):
        assert "holds no pixels" in refusal(shipped(name))


def test_a_missing_spacing_names_the_option(image):
    edit(image, delete=["PixelSpacing"])

    assert "`--pixel-spacing ROW,COLUMN`" in refusal(image)


@pytest.mark.parametrize(
    "spacing",
    [[0, 1], [1, -1], [900, 900], [0.0009, 1], [1], [1, 1, 1], ["nan", "nan"]],
)
def test_absurd_spacings_are_refused(image, spacing):
    edit(image, PixelSpacing=spacing)

    line = refusal(image, pixel_spacing=(1, 1))
    assert "expected PixelSpacing to be two numbers between 0.02 and 20 mm" in line
    assert line.endswith("Correct it in the file.")


def test_an_absurd_argument_is_refused_by_its_name(image):
    edit(image, delete=["PixelSpacing"])

    assert r"expected --pixel-spacing to be" in refusal(image, pixel_spacing=(0, 1))


def test_a_spacing_with_a_decimal_comma_is_refused_with_its_text(image):
    content = image.read_bytes()
    image.write_bytes(content.replace(b"0.9375\\1.5", b"0,9375\\1,5"))

    assert "0,9375" in refusal(image)


def test_colour_is_refused():
    assert "YBR_RCT, samples per pixel 3" in refusal(shipped("examples_jpeg2k.dcm"))
    assert "PALETTE COLOR" in refusal(shipped("examples_palette.dcm"))


def test_the_number_of_frames_is_told():
    line = refusal(shipped("rtdose.dcm"))

    assert "a multi-frame object with 15 frames. Choose one of them" in line


@pytest.mark.parametrize("frame", [0, -1, 16])
def test_a_frame_that_is_not_there_is_refused(frame):
    line = refusal(shipped("rtdose.dcm"), frame=frame)

    assert f"expected a frame between 1 and 15. Received: {frame}" in line


def test_an_unknown_transfer_syntax_is_named(image):
    assert "Deflated Explicit VR" in refusal(shipped("image_dfl.dcm"))
    content = image.read_bytes()
    image.write_bytes(content.replace(b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.9"))
    line = refusal(image)
    assert "unsupported transfer syntax 1.2.840.10008.1.2.9" in line
    assert "gdcmconv --raw" in line


def test_a_syntax_without_decoder_is_named():
    path = shipped("JPGExtended.dcm")  # only a decoder under the GPL reads 12 bits

    line = refusal(path)
    assert "cannot be decoded from transfer syntax JPEG Extended (Process 2" in line


@pytest.mark.parametrize(("rows", "columns"), [(0, 10), (12, 0)])
def test_an_image_without_rows_or_columns_is_refused(image, rows, columns):
    edit(image, Rows=rows, Columns=columns)

    assert f"Received: {rows} rows and {columns} columns" in refusal(image)


def test_an_image_too_large_to_be_one_is_refused_before_decoding(image):
    edit(image, Rows=65535, Columns=65535)

    assert f"1 to {MAX_PIXELS} pixels. Received: 65535 rows" in refusal(image)


def test_an_image_that_is_too_large_is_to_be_made_smaller(tmp_path):
    path = write(tmp_path / "a.dcm", np.zeros((4096, 4096), np.uint16))

    line = refusal(path)
    assert "4096 rows and 4096 columns" in line and "make it smaller" in line


def test_values_that_are_not_finite_are_refused(image):
    edit(image, RescaleSlope="1e300", RescaleIntercept="0")

    assert "not finite after the modality LUT" in refusal(image)


@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"]
)
def test_a_file_cut_off_anywhere_is_refused_in_one_line(tmp_path, name):
    content = shipped(name).read_bytes()
    path = tmp_path / "cut.dcm"
    pixels = pydicom.dcmread(shipped(name))["PixelData"].file_tell
    cuts = np.linspace(0, pixels + 3000, 60).astype(int)
    for cut in cuts:
        path.write_bytes(content[:cut])
        refusal(path)


def test_only_of_compressed_pixels_the_compression_is_blamed(image):
    edit(image, PixelRepresentation=None)

    with pytest.raises(DicomError, match=r"Pixel Representation.* the file again\.$"):
        read_image(image)


def test_missing_pixel_bytes_are_counted():
    line = refusal(shipped("MR_truncated.dcm"))

    assert "expected 8192 bytes. Received: 8130" in line


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "JPEG2000.dcm"])
def test_garbage_anywhere_is_read_or_refused_in_one_line(tmp_path, name):
    content = np.frombuffer(shipped(name).read_bytes(), np.uint8)
    path = tmp_path / "garbage.dcm"
    generator = np.random.default_rng(0)
    for _ in range(150):
        damaged = content.copy()
        start = generator.integers(0, len(content))
        damage = damaged[start : start + generator.integers(1, 40)]
        damage[:] = generator.integers(0, 256, len(damage))
        path.write_bytes(damaged.tobytes())
        try:
            assert np.isfinite(read_image(path).pixels).all()
        except DicomError as error:
            assert str(error).isprintable()


def test_reading_neither_warns_nor_logs_nor_prints(caplog, capfd):
    caplog.set_level(logging.WARNING)
    for name in ("MR_small_padded.dcm", "J2K_pixelrep_mismatch.dcm"):
        read_image(shipped(name))
    for name in ("MR_truncated.dcm", "rtplan_truncated.dcm", "badVR.dcm"):
        refusal(shipped(name))

    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_threads_that_read_leave_warnings_and_logging_as_they_were():
    before = warnings.filters[:], logging.getLogger("pydicom").level
    threads = [
        threading.Thread(
            target=lambda: [read_image(shipped("MR_small.dcm")) for _ in range(40)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (warnings.filters[:], logging.getLogger("pydicom").level) == before


# Real files


@with_data
def test_a_siemens_four_chamber_cine_is_read():
    for path in sorted((DATA / "bivme_4ch" / "DICOM").iterdir()):
        image = read_image(path)

        assert image.pixels.shape == (208, 256)
        assert image.pixel_spacing == (1.40625, 1.40625)
        np.testing.assert_allclose(image.position, (-180.784, 116.78, 78.6807))
        axes = np.reshape(image.orientation, (2, 3))
        np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-4)


@with_data
def test_the_acdc_images_are_read():
    paths = sorted((DATA / "acdc_sa" / "DICOM").glob("patient0?0/*.dcm"))

    assert len(paths) > 20
    for path in paths:
        image = read_image(path)
        assert image.pixels.max() > 0
        assert all(0.7 <= spacing <= 1.95 for spacing in image.pixel_spacing)
