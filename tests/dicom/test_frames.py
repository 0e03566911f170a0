import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from support.cines import BEAT, edit, oblique, write_cine, write_enhanced

from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.read import DicomFile, read_image


@pytest.fixture
def cine(tmp_path):
    return write_cine(tmp_path / "cine")


def test_a_frame_of_enhanced_mr_is_the_same_image_as_its_classic_file(cine, tmp_path):
    enhanced = tmp_path / "enhanced.dcm"
    write_enhanced(enhanced, cine)

    file = DicomFile(enhanced)
    header = file.header()

    assert [frame.number for frame in header.frames] == list(range(1, 7))
    assert header.heart_beat == BEAT
    for frame, path in zip(header.frames, cine, strict=True):
        one, classic = file.image(frame.number), read_image(path)
        np.testing.assert_array_equal(one.pixels, classic.pixels)
        assert one.pixel_spacing == classic.pixel_spacing == (1.5, 1.25)
        assert one.position == classic.position == frame.position
        assert one.orientation == classic.orientation == frame.orientation
        assert frame.time == DicomFile(path).header().frames[0].time


def test_the_rescale_of_a_frame_is_that_of_its_functional_group(cine, tmp_path):
    hd = pytest.importorskip("highdicom")
    for number, path in enumerate(cine, 1):
        edit(path, RescaleSlope=str(number), RescaleIntercept="-5", RescaleType="US")
    enhanced = tmp_path / "enhanced.dcm"
    write_enhanced(enhanced, cine)

    reference = hd.imread(enhanced)
    for number in range(1, 7):
        np.testing.assert_array_equal(
            read_image(enhanced, frame=number).pixels,
            reference.get_frame(number, apply_modality_transform=True),
        )


def test_what_is_shared_holds_for_all_frames(cine, tmp_path):
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, cine)
    shared = ds.SharedFunctionalGroupsSequence[0]
    for frame in ds.PerFrameFunctionalGroupsSequence:
        for macro in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
            if macro in frame:
                setattr(shared, macro, frame[macro].value)
                delattr(frame, macro)
    ds.save_as(path)

    image = read_image(path, frame=4)

    assert image.pixel_spacing == (1.5, 1.25)
    assert image.orientation == oblique()


def test_the_times_of_enhanced_mr_are_its_trigger_delays(cine, tmp_path):
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, cine)
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        cardiac = Dataset()
        cardiac.NominalCardiacTriggerDelayTime = 7.5 * number
        cardiac.RRIntervalTimeNominal = 800.0
        frame.CardiacSynchronizationSequence = [cardiac]
        frame.FrameContentSequence[0].TemporalPositionIndex = number + 1
    del ds.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence
    ds.save_as(path)

    header = DicomFile(path).header()

    assert [frame.time for frame in header.frames] == [0, 7.5, 15, 22.5, 30, 37.5]
    assert [frame.order for frame in header.frames] == [1, 2, 3, 4, 5, 6]
    assert header.heart_beat == 800


def test_the_trigger_delays_of_frames_come_before_a_step_of_the_file(cine, tmp_path):
    """The frames are two slices of three phases, by turns."""
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, cine)
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        cardiac = Dataset()
        cardiac.NominalCardiacTriggerDelayTime = 300.0 * (number // 2)
        frame.CardiacSynchronizationSequence = [cardiac]
    ds.FrameTime = "33"
    ds.save_as(path)

    times = [frame.time for frame in DicomFile(path).header().frames]

    assert times == [0, 0, 300, 300, 600, 600]


def test_enhanced_mr_without_functional_groups_has_no_spacing(cine, tmp_path):
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, cine)
    del ds.PerFrameFunctionalGroupsSequence
    del ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    ds.save_as(path)

    with pytest.raises(DicomError, match="has no PixelSpacing"):
        read_image(path, frame=1)
    assert read_image(path, pixel_spacing=(2, 3), frame=1).pixel_spacing == (2, 3)


def hybrid(path, **groups):
    """A classic file with a functional group of timing, and a shared one as given."""
    ds = pydicom.dcmread(path)
    content = Dataset()
    content.FrameAcquisitionDateTime = "20200101120000"
    ds.PerFrameFunctionalGroupsSequence = [Dataset()]
    ds.PerFrameFunctionalGroupsSequence[0].FrameContentSequence = [content]
    ds.SharedFunctionalGroupsSequence = [Dataset()]
    for keyword, item in groups.items():
        setattr(ds.SharedFunctionalGroupsSequence[0], keyword, [item])
    ds.save_as(path)


def test_what_functional_groups_do_not_tell_the_file_does(cine):
    """As in classic files of vendors that have groups of timing only."""
    edit(cine[2], RescaleSlope="2", RescaleIntercept="-5", RescaleType="US")
    before, header = read_image(cine[2]), DicomFile(cine[2]).header()

    hybrid(cine[2])

    after = read_image(cine[2])
    np.testing.assert_array_equal(after.pixels, before.pixels)
    assert after.pixel_spacing == before.pixel_spacing == (1.5, 1.25)
    assert after.position == before.position != None  # noqa: E711
    assert after.orientation == before.orientation != None  # noqa: E711
    (frame,), (old,) = DicomFile(cine[2]).header().frames, header.frames
    assert (frame.time, frame.kind) == (old.time, old.kind) == (300, old.kind)
    assert DicomFile(cine[2]).header().heart_beat == BEAT
    assert frame.acquired == 12 * 3600


def test_groups_that_are_there_and_empty_tell_nothing(cine):
    rescale = Dataset()
    rescale.RescaleSlope = None
    edit(cine[0], RescaleSlope="2", RescaleIntercept="1")
    before = read_image(cine[0])
    hybrid(
        cine[0],
        PixelMeasuresSequence=Dataset(),
        PlanePositionSequence=Dataset(),
        PixelValueTransformationSequence=rescale,
    )

    after = read_image(cine[0])

    assert after.pixel_spacing == (1.5, 1.25) and after.position == before.position
    np.testing.assert_array_equal(after.pixels, before.pixels)


def test_an_empty_group_of_a_frame_gives_way_to_the_shared_one(cine, tmp_path):
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, cine)
    measures = Dataset()
    measures.PixelSpacing = [0.75, 0.5]
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = [measures]
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.PixelMeasuresSequence = [Dataset()]
    ds.save_as(path)

    assert read_image(path, frame=2).pixel_spacing == (0.75, 0.5)


@pytest.mark.parametrize("frames", [0, 2_000_000_000, -3])
def test_absurd_numbers_of_frames_are_refused_or_one(cine, frames):
    edit(cine[0], NumberOfFrames=frames)

    if frames == 0:
        assert read_image(cine[0]).pixels.shape == (80, 100)
    else:
        with pytest.raises(DicomError, match="expected 1 to 10000 frames"):
            read_image(cine[0])


@pytest.mark.parametrize(("frames", "fits"), [(1, True), (2, True), (3, False)])
def test_more_frames_than_the_file_has_bytes_for_are_refused(cine, frames, fits):
    # Two frames of 80 x 100 pixels of 16 bits.
    edit(cine[0], NumberOfFrames=frames, PixelData=bytes(2 * 80 * 100 * 2))

    if fits:
        assert len(DicomFile(cine[0]).header().frames) == frames
    else:
        with pytest.raises(DicomError, match="48000 bytes or more for 3 frames"):
            DicomFile(cine[0]).header()


@pytest.mark.parametrize(("frames", "fits"), [(6, True), (2000, False)])
def test_a_compressed_frame_is_an_item_at_least(cine, tmp_path, frames, fits):
    path = tmp_path / "enhanced.dcm"
    write_enhanced(path, cine)
    ds = pydicom.dcmread(path)
    ds.PixelData = encapsulate([b"\xff\xd8\xff\xd9"] * 6)
    ds["PixelData"].is_undefined_length = True
    ds.NumberOfFrames = frames
    ds.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    ds.save_as(path)
    assert 6 * 8 < path.stat().st_size < 2000 * 8, path.stat().st_size

    if fits:
        assert len(DicomFile(path).header().frames) == 6
    else:
        with pytest.raises(DicomError, match="16000 bytes or more for 2000 frames"):
            DicomFile(path).header()


def test_positions_in_the_patient_are_those_of_highdicom():
    hd = pytest.importorskip("highdicom")
    image = MRImage(
        np.zeros((80, 100), "f4"), (1.5, 1.25), (-120.5, 40.25, 60.125), oblique()
    )
    points = np.array([[0, 0], [99, 79], [12.34, 56.78], [-3, 200.5]])

    transform = hd.spatial.ImageToReferenceTransformer(
        image_position=image.position,
        image_orientation=image.orientation,
        pixel_spacing=image.pixel_spacing,
    )

    # highdicom counts from the corner of the first pixel, and we from its centre.
    np.testing.assert_allclose(
        image.patient_positions(points), transform(points + 0.5), atol=1e-9
    )
    # By hand: one pixel along x is 1.25 mm in the first direction.
    step = image.patient_positions([[1, 0]]) - image.patient_positions([[0, 0]])
    np.testing.assert_allclose(step[0], 1.25 * np.array(oblique()[:3]))


@pytest.mark.parametrize(
    ("position", "orientation"),
    [
        (None, oblique()),
        ((0, 0, 0), None),
        ((0, 0, 0), (1, 0, 0, 1, 0, 0)),
        ((0, 0, 0), (0, 0, 0, 0, 0, 0)),
        ((0, 0, 0), (2, 0, 0, 0, 2, 0)),
    ],
)
def test_without_a_place_there_is_no_position(position, orientation):
    image = MRImage(np.zeros((8, 8), "f4"), (1, 1), position, orientation)

    assert image.patient_positions([[1, 2]]) is None


@pytest.mark.parametrize(
    "absurd",
    [
        {"ImagePositionPatient": ["1e300", "0", "0"]},
        {"ImagePositionPatient": [0, 0, 100_001]},
        {"ImageOrientationPatient": [1, 0, 0, 0, "1e308", 0]},
    ],
)
def test_an_absurd_place_is_none(cine, absurd):
    image = read_image(edit(cine[0], **absurd))

    assert image.position is None or image.orientation is None
    assert image.patient_positions([[1, 2]]) is None


def test_frames_of_compressed_files_are_decoded_one_by_one(cine, tmp_path):
    path = tmp_path / "enhanced.dcm"
    write_enhanced(path, cine)
    ds = pydicom.dcmread(path)
    ds.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom")
    ds.save_as(path)

    for number, classic in enumerate(cine, 1):
        np.testing.assert_array_equal(
            read_image(path, frame=number).pixels, read_image(classic).pixels
        )
