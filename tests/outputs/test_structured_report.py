import shutil
import subprocess
import warnings
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from support.cines import RADII, edit, oblique, write_cine, write_enhanced

from phdnet_tf.dicom.read import DicomFile
from phdnet_tf.inference.results import Landmark, Prediction

hd = pytest.importorskip("highdicom")

from phdnet_tf.outputs.structured_report import CERTAINTY, Reported, save_report

NAMES = ("tricuspid_valve", "mitral_valve", "lv_apex")
POINTS = np.array([[10.25, 20.5], [33.125, 44.75], [70.0, 60.0625]])


def reported(path, frame=None, names=NAMES, place=True):
    file = DicomFile(path)
    image = file.image(frame)
    positions = image.patient_positions(POINTS)
    landmarks = tuple(
        Landmark(
            *(
                name,
                x,
                y,
                1.5,
                name != "mitral_valve",
                RADII,
                tuple(p) if place else None,
            )
        )
        for name, (x, y), p in zip(names, POINTS.tolist(), positions, strict=True)
    )
    prediction = Prediction(
        str(path), "4ch", "phdnet_4ch/1", image.pixel_spacing, True, landmarks
    )
    return Reported(prediction, file.identity(), frame)


@pytest.fixture
def cine(tmp_path):
    return write_cine(tmp_path / "cine", phases=2, StudyDate="20200102", StudyID="7")


def groups(path, **wanted):
    report = hd.sr.srread(path)
    return report.content.get_planar_roi_measurement_groups(**wanted)


def test_highdicom_reads_the_points_back_equal(cine, tmp_path):
    path = tmp_path / "sr.dcm"
    save_report(path, [reported(file) for file in cine])

    in_image = groups(path, graphic_type=hd.sr.GraphicTypeValues.POINT)
    in_patient = groups(path, graphic_type=hd.sr.GraphicTypeValues3D.POINT)

    assert len(in_image) == len(in_patient) == 6
    transform = hd.spatial.ImageToReferenceTransformer(
        image_position=(-120.5, 40.25, 60.125),
        image_orientation=oblique(),
        pixel_spacing=(1.5, 1.25),
    )
    for number, (flat, solid) in enumerate(zip(in_image, in_patient, strict=True)):
        drawn = flat.roi.value
        # The corner of the first pixel is (0, 0) in a report; here it is its centre.
        np.testing.assert_array_equal(drawn, POINTS[number % 3][None] + 0.5)
        np.testing.assert_allclose(solid.roi.value, transform(drawn), atol=1e-4)
        assert (
            flat.tracking_identifier == solid.tracking_identifier == NAMES[number % 3]
        )
        assert (
            flat.tracking_uid == solid.tracking_uid == in_image[number % 3].tracking_uid
        )
        image = (
            flat.referenced_region if hasattr(flat, "referenced_region") else flat.roi
        )
        source = image.ContentSequence[0].ReferencedSOPSequence[0]
        ds = pydicom.dcmread(cine[number // 3])
        assert source.ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert len({group.tracking_uid for group in in_image}) == 3


def test_each_point_says_what_it_is_and_how_sure(cine, tmp_path):
    path = tmp_path / "sr.dcm"
    save_report(path, [reported(cine[0])])

    tricuspid, mitral, apex = groups(path, graphic_type=hd.sr.GraphicTypeValues.POINT)

    sites = [group.finding_sites[0].value for group in (tricuspid, mitral, apex)]
    assert [site.value for site in sites] == ["46030003", "91134007", "128564006"]
    certainties = [
        group.get_qualitative_evaluations(name=CERTAINTY)[0].value.meaning
        for group in (tricuspid, mitral, apex)
    ]
    assert certainties == ["High", "Low", "High"]
    assert tricuspid.get_measurements()[0].value == 1.5


def test_nobody_has_verified_it_and_it_belongs_to_the_study(cine, tmp_path):
    path = tmp_path / "sr.dcm"
    edit(cine[0], PatientName="Müller^Anna", PatientBirthDate="19500101")
    save_report(path, [reported(cine[0])])

    report, image = pydicom.dcmread(path), pydicom.dcmread(cine[0])

    assert report.VerificationFlag == "UNVERIFIED"
    assert report.SOPClassUID == pydicom.uid.Comprehensive3DSRStorage
    assert report.SeriesInstanceUID != image.SeriesInstanceUID
    for keyword in (
        "StudyInstanceUID StudyDate StudyID AccessionNumber PatientName PatientID "
        "PatientBirthDate PatientSex"
    ).split():
        assert report[keyword].value == image[keyword].value, keyword


@pytest.mark.parametrize(
    "attributes",
    [
        # The space between family and given name is an ideographic one.
        {"PatientName": "YAMADA^TARO=\u5c71\u7530\u3000\u592a\u90ce"},
        {"PatientName": "Van\u00a0Dyck^A"},
        {"PatientID": "one\\two"},
    ],
)
def test_the_patient_of_a_report_is_the_image_s(cine, tmp_path, attributes):
    path = tmp_path / "sr.dcm"
    edit(cine[0], SpecificCharacterSet="ISO_IR 192", **attributes)
    save_report(path, [reported(cine[0])])

    report, image = pydicom.dcmread(path), pydicom.dcmread(cine[0])

    for keyword, value in attributes.items():
        assert report[keyword].value == image[keyword].value
        written = report[keyword].value
        assert str(written) == value or written == value.split("\\")


def test_a_part_of_a_cine_is_not_called_complete(cine, tmp_path):
    path = tmp_path / "sr.dcm"

    save_report(path, [reported(cine[0])], complete=False)
    assert pydicom.dcmread(path).CompletionFlag == "PARTIAL"

    save_report(path, [reported(cine[0])])
    assert pydicom.dcmread(path).CompletionFlag == "COMPLETE"


def test_nothing_else_of_the_image_is_repeated(cine, tmp_path):
    path = tmp_path / "sr.dcm"
    edit(
        cine[0],
        **dict.fromkeys(("InstitutionName", "OperatorsName"), "marked"),
        **dict.fromkeys(("PatientAddress", "PatientComments"), "marked"),
        **dict.fromkeys(("StudyDescription", "SeriesDescription"), "marked"),
        OtherPatientIDs="marked",
        ReferringPhysicianTelephoneNumbers="marked",
    )
    save_report(path, [reported(cine[0])])

    assert b"marked" not in path.read_bytes()


def test_a_report_of_two_patients_is_refused(cine, tmp_path):
    edit(cine[1], PatientName="Another^One")

    with pytest.raises(ValueError, match="belongs to another patient or study"):
        save_report(tmp_path / "sr.dcm", [reported(cine[0]), reported(cine[1])])

    assert not (tmp_path / "sr.dcm").exists()


def test_frames_of_enhanced_mr_are_referred_to_by_number(cine, tmp_path):
    enhanced, path = tmp_path / "enhanced.dcm", tmp_path / "sr.dcm"
    write_enhanced(enhanced, cine)
    save_report(path, [reported(enhanced, 1), reported(enhanced, 2)])

    flat = groups(path, graphic_type=hd.sr.GraphicTypeValues.POINT)
    numbers = [
        group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber
        for group in flat
    ]
    assert numbers == [1, 1, 1, 2, 2, 2]


def test_without_a_place_the_points_are_in_the_image_only(cine, tmp_path):
    path = tmp_path / "sr.dcm"
    save_report(path, [reported(cine[0], place=False)])

    assert len(groups(path)) == 3


def test_a_damaged_frame_of_reference_is_no_place(cine, tmp_path):
    path = tmp_path / "sr.dcm"
    edit(cine[0], FrameOfReferenceUID="1.2.x")
    save_report(path, [reported(cine[0])])

    assert len(groups(path)) == 3
    assert b"1.2.x" not in path.read_bytes()


def test_landmarks_of_ones_own_are_at_the_heart(cine, tmp_path):
    path = tmp_path / "sr.dcm"
    save_report(path, [reported(cine[0], names=("a", "mitral_valve", "c"))])

    first = groups(path, graphic_type=hd.sr.GraphicTypeValues.POINT)[0]
    assert first.finding_sites[0].value.value == "80891009"
    assert first.tracking_identifier == "a"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"StudyInstanceUID": ""}, "no valid StudyInstanceUID"),
        ({"SOPInstanceUID": "1.2.x"}, "no valid SOPInstanceUID"),
        ({"SeriesInstanceUID": "1." + "2" * 63}, "no valid SeriesInstanceUID"),
        ({"StudyDate": "marked"}, "do not follow the standard"),
        # Valid as an identifier, but of no kind of image.
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.5.4.4"}, "its kind .* do not follow"),
    ],
)
def test_what_cannot_be_referred_to_is_refused_in_a_line(
    cine, tmp_path, attributes, message
):
    edit(cine[0], **attributes)

    with pytest.raises(ValueError, match=message) as error:
        save_report(tmp_path / "sr.dcm", [reported(cine[0])])

    assert str(cine[0]) in str(error.value) and "marked" not in str(error.value)
    assert not (tmp_path / "sr.dcm").exists()


def test_phases_that_share_an_identifier_have_no_report(cine, tmp_path):
    for path in cine:
        edit(path, SOPInstanceUID="1.2.3")

    with pytest.raises(ValueError, match="shares its SOPInstanceUID .* Give each"):
        save_report(tmp_path / "sr.dcm", [reported(path) for path in cine])

    assert not (tmp_path / "sr.dcm").exists()


def test_a_long_name_of_a_model_is_whole_where_it_may_be(cine, tmp_path):
    path, model = tmp_path / "sr.dcm", f"phdnet_4ch_{'x' * 60}/3"
    one = reported(cine[0])

    save_report(path, [replace(one, prediction=replace(one.prediction, model=model))])

    ds = pydicom.dcmread(path)
    assert ds.ManufacturerModelName == model[:64]
    assert model in [item.get("TextValue") for item in ds.ContentSequence]


def test_writing_does_not_warn(cine, tmp_path):
    edit(cine[0], PatientName="single")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_report(tmp_path / "sr.dcm", [reported(cine[0])])


@pytest.mark.parametrize("multi_frame", [False, True])
def test_other_tools_find_the_report_valid(cine, tmp_path, multi_frame):
    for tool in ("dciodvfy", "dsrdump"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (Debian: dicom3tools, dcmtk)")
    path = tmp_path / "sr.dcm"
    if multi_frame:
        write_enhanced(tmp_path / "enhanced.dcm", cine)
        save_report(path, [reported(tmp_path / "enhanced.dcm", n) for n in (1, 2)])
    else:
        save_report(path, [reported(file) for file in cine])

    checked = subprocess.run(
        ["dciodvfy", path], capture_output=True, text=True, errors="replace"
    )
    printed = subprocess.run(
        ["dsrdump", path], capture_output=True, text=True, errors="replace"
    )

    assert "Error" not in checked.stdout + checked.stderr
    assert checked.returncode == printed.returncode == 0
    assert printed.stdout.count("SCOORD:") == printed.stdout.count("SCOORD3D:") == 6
    assert "UNVERIFIED" in printed.stdout
