"""What is one cine, and in which order its phases are."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from support.cines import BEAT, edit, oblique, write_cine, write_enhanced

from phdnet_tf.dicom.survey import survey


def found(sandbox, folder):
    """For each cine the names of its files, in order."""
    return [names(cine) for cine in survey([folder], sandbox).cines]


def names(cine):
    return [frame.file.source.path.name for frame in cine.frames]


def notes(found):
    return sorted(found.notes)


# Order


@pytest.mark.parametrize("missing", [0, 3, 5])
def test_a_trigger_time_that_one_phase_lacks_orders_none(sandbox, tmp_path, missing):
    paths = write_cine(tmp_path, reverse_names=True)
    edit(paths[missing], TriggerTime="")

    (cine,) = survey([tmp_path], sandbox).cines

    assert names(cine) == [path.name for path in paths]
    assert cine.order == "instance number" and not cine.order_is_guess


def test_what_orders_phases_is_asked_in_turn(sandbox, tmp_path):
    """Each step contradicts the next, and is taken away when it was seen to count."""
    paths = write_cine(tmp_path, phases=8)
    # The places of files 1 to 8 by each of these. Names are in the order of files.
    temporal, trigger = [3, 1, 2, 4, 5, 6, 8, 7], [8, 7, 6, 5, 4, 3, 2, 1]
    acquired, instance = [2, 1, 4, 3, 6, 5, 8, 7], [5, 6, 7, 8, 1, 2, 3, 4]
    for number, path in enumerate(paths):
        edit(
            path,
            TemporalPositionIdentifier=temporal[number],
            TriggerTime=str(trigger[number] * 100),
            AcquisitionTime=f"1200{acquired[number]:02d}.5",
            InstanceNumber=instance[number],
        )
    steps = {
        "TemporalPositionIdentifier": ("temporal position", temporal),
        "TriggerTime": ("trigger time", trigger),
        "AcquisitionTime": ("acquisition time", acquired),
        "InstanceNumber": ("instance number", instance),
    }

    for keyword, (order, places) in steps.items():
        (cine,) = survey([tmp_path], sandbox).cines
        assert cine.order == order
        assert names(cine) == [paths[i].name for i in np.argsort(places)]
        edit(paths[6], **{keyword: None})
    (cine,) = survey([tmp_path], sandbox).cines
    assert cine.order_is_guess and names(cine) == [path.name for path in paths]


@pytest.mark.parametrize("seconds", [0.9, 1800])
def test_images_of_one_moment_of_many_beats_are_in_the_order_of_their_acquisition(
    sandbox, tmp_path, seconds
):
    """Perfusion: the trigger times differ by jitter only. The slow one goes past
    midnight."""
    paths = write_cine(tmp_path, phases=12, reverse_names=True)
    jitter = np.random.default_rng(3).permutation(12) * 4 + 300
    for number, path in enumerate(paths):
        time = (23 * 3600 + 1800 + number * seconds) % 86400
        clock = f"{time // 3600:02.0f}{time // 60 % 60:02.0f}{time % 60:09.6f}"
        edit(path, TriggerTime=str(jitter[number]), AcquisitionTime=clock)
        edit(path, InstanceNumber=1)

    (cine,) = survey([tmp_path], sandbox).cines

    assert names(cine) == [path.name for path in paths]
    assert cine.order == "acquisition time"
    assert cine.heart_beat is None


def test_without_anything_the_order_is_a_guess_and_the_user_is_told(sandbox, tmp_path):
    nothing = {"TriggerTime": "", "InstanceNumber": None}
    paths = write_cine(tmp_path, phases=11, **nothing)
    for number, path in enumerate(paths, 1):
        path.rename(tmp_path / f"im{number}.dcm")

    result = survey([tmp_path], sandbox)

    # 2 comes before 10.
    assert found(sandbox, tmp_path) == [[f"im{n}.dcm" for n in range(1, 12)]]
    (note,) = result.notes
    assert "the order of its phases is a guess" in note
    assert [str(source) for source in result.notes[note]] == [f"{tmp_path}/im1.dcm"]


def test_a_known_order_and_a_still_are_no_guess(sandbox, tmp_path):
    write_cine(tmp_path / "a")
    write_cine(tmp_path / "b", phases=1, TriggerTime="", InstanceNumber=None)

    assert not survey([tmp_path / "a"], sandbox).notes
    assert not survey([tmp_path / "b"], sandbox).notes


def test_frames_of_a_file_that_tells_no_time_are_in_the_order_of_the_file(
    sandbox, tmp_path
):
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, write_cine(tmp_path / "cine"))
    for frame in ds.PerFrameFunctionalGroupsSequence:
        del frame.UnassignedPerFrameConvertedAttributesSequence
    del ds.InstanceNumber
    ds.save_as(path)

    (cine,) = survey([path], sandbox).cines

    assert [frame.number for frame in cine.frames] == [1, 2, 3, 4, 5, 6]
    assert not cine.order_is_guess


def test_enhanced_frames_are_in_the_order_of_their_acquisition(sandbox, tmp_path):
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, write_cine(tmp_path / "cine"))
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        del frame.UnassignedPerFrameConvertedAttributesSequence
        content = frame.FrameContentSequence[0]
        content.FrameAcquisitionDateTime = f"202001011200{50 - number}.25"
    ds.save_as(path)

    (cine,) = survey([path], sandbox).cines

    assert [frame.number for frame in cine.frames] == [6, 5, 4, 3, 2, 1]
    assert cine.order == "acquisition time"


# Which frames are one cine's


def twice(folder, by, shift=0.0, phases=8):
    """Two acquisitions of a slice in one series, and their files."""
    first, second = (
        write_cine(folder / name, phases=phases, position=(-120.5, 40.25, 60.125))
        for name in ("a", "b")
    )
    for number, path in enumerate(second):
        # A little faster, as hearts are the second time.
        time = number * BEAT / phases * 0.97 + shift
        uid = f"1.2.3.{number}"
        new = {"TriggerTime": f"{time:.3f}", "SOPInstanceUID": uid}
        edit(path, **new, InstanceNumber=phases + number + 1)
    for number, path in enumerate(first + second):
        edit(path, **by(number, number // phases))
        path.rename(folder / f"{number:02d}.dcm")
    return [
        [f"{number:02d}.dcm" for number in range(start, start + phases)]
        for start in (0, phases)
    ]


@pytest.mark.parametrize(
    "by",
    [
        lambda number, which: {"AcquisitionNumber": which + 1},
        # Without, a series tells by its instance numbers where the times start again.
        lambda number, which: {},
        # And with these in turns, by the number of the acquisition.
        lambda number, which: {
            "AcquisitionNumber": which + 1,
            "InstanceNumber": 2 * (number % 8) + which,
        },
        lambda number, which: {
            "AcquisitionNumber": which + 1,
            "TriggerTime": "",
            "TemporalPositionIdentifier": number % 8 + 1,
        },
    ],
)
def test_two_acquisitions_of_one_series_are_two_cines(sandbox, tmp_path, by):
    expected = twice(tmp_path, by)

    assert found(sandbox, tmp_path) == expected


@pytest.mark.parametrize("numbers", ["each its own", "one", "in halves"])
def test_numbers_of_acquisitions_do_not_part_the_phases_of_one(
    sandbox, tmp_path, numbers
):
    paths = write_cine(tmp_path, phases=8)
    for number, path in enumerate(paths):
        value = {"each its own": number, "one": 1, "in halves": number // 4}[numbers]
        edit(path, AcquisitionNumber=value)

    assert found(sandbox, tmp_path) == [[path.name for path in paths]]


def test_frames_of_equal_times_are_parted_by_their_image_type(sandbox, tmp_path):
    paths = write_cine(tmp_path, phases=8)
    for number, path in enumerate(paths):
        kind = ("ORIGINAL", "DERIVED")[number % 2]
        time = str(number // 2 * 200)
        edit(path, TriggerTime=time, ImageType=[kind, "PRIMARY", "M"])

    assert found(sandbox, tmp_path) == [
        [path.name for path in paths[::2]],
        [path.name for path in paths[1::2]],
    ]


@pytest.mark.parametrize("element", [0x102F, 0x1030])
def test_magnitude_and_phase_by_ge_are_two_cines(sandbox, tmp_path, element):
    """Their ImageType is the same; what tells them apart is an element of GE's."""
    paths = write_cine(tmp_path, phases=8)
    for number, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        ds.TriggerTime = str(number // 2 * 200)
        block = ds.private_block(0x0043, "GEMS_PARM_01", create=True)
        block.add_new(element & 0xFF, "SS", number % 2)
        ds.save_as(path)

    assert [len(cine) for cine in found(sandbox, tmp_path)] == [4, 4]
    assert found(sandbox, tmp_path)[1] == [path.name for path in paths[1::2]]


def test_frames_of_equal_times_that_nothing_parts_are_no_cine(sandbox, tmp_path):
    paths = write_cine(tmp_path, phases=8)
    for number, path in enumerate(paths):
        edit(path, TriggerTime=str((0, 200, 400, 600, 0, 200, 400, 600)[number // 1]))
        edit(path, InstanceNumber=None)

    result = survey([tmp_path], sandbox)

    assert [len(cine.frames) for cine in result.cines] == [1] * 8
    assert [note for note in result.notes if "have the same time" in note]


@pytest.mark.parametrize(
    ("keyword", "step"), [("InversionTime", 80), ("EchoTime", 1.4)]
)
def test_images_of_several_weightings_are_no_phases(sandbox, tmp_path, keyword, step):
    """As of a T1 map or a T2* map, which even go through a heart beat here."""
    paths = write_cine(tmp_path, phases=6)
    for number, path in enumerate(paths):
        edit(path, **{keyword: str(100 + number // 2 * step)})

    assert [len(cine) for cine in found(sandbox, tmp_path)] == [2, 2, 2]


def test_the_last_digit_of_an_echo_time_tells_no_images_apart(sandbox, tmp_path):
    for number, path in enumerate(write_cine(tmp_path, phases=6)):
        edit(path, EchoTime=f"{1.05 + number * 1e-5:.5f}")

    assert [len(cine) for cine in found(sandbox, tmp_path)] == [6]


def test_enhanced_frames_of_several_inversion_times_are_no_phases(sandbox, tmp_path):
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, write_cine(tmp_path / "cine"))
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        modifier = Dataset()
        modifier.InversionTimes = [100.0 + number // 3 * 80]
        frame.MRModifierSequence = [modifier]
    ds.save_as(path)

    cines = survey([path], sandbox).cines

    assert [[f.number for f in cine.frames] for cine in cines] == [[1, 2, 3], [4, 5, 6]]


def test_phases_that_are_missing_are_told(sandbox, tmp_path):
    paths = write_cine(tmp_path, phases=6, CardiacNumberOfImages=6)
    assert not survey([tmp_path], sandbox).notes
    paths[2].unlink()

    (note,) = survey([tmp_path], sandbox).notes

    assert note.startswith("found 5 of the 6 phases")
    # Who names them one by one knows it.
    assert not survey([paths[0], paths[1]], sandbox).notes


# Patients, studies, places


@pytest.mark.parametrize(
    "other",
    [
        {"PatientID": "another"},
        {"PatientName": "Another^One"},
        {"PatientBirthDate": "19991231"},
        {"StudyInstanceUID": "1.2.3.4"},
    ],
)
def test_patients_and_studies_are_told_apart_where_a_series_is_not(
    sandbox, tmp_path, other
):
    """As where all were given the same UIDs."""
    write_cine(tmp_path / "a")
    for path in write_cine(tmp_path / "b"):
        edit(path, **other)

    cines = found(sandbox, tmp_path)

    assert [len(cine) for cine in cines] == [6, 6]
    for cine in survey([tmp_path], sandbox).cines:
        assert len({frame.file.source.path.parent for frame in cine.frames}) == 1


def test_no_identity_leaves_the_sandbox_with_a_header(sandbox, tmp_path):
    (path,) = write_cine(tmp_path, phases=1)
    edit(path, PatientName="Roentgen^Wilhelm", PatientBirthDate="18450327")
    edit(path, PatientID="WCR-1895", AcquisitionDate="18951108", StudyDate="18951108")

    (cine,) = survey([path], sandbox).cines

    told = repr(cine).lower()
    for secret in ("roentgen", "wilhelm", "18450327", "wcr", "1895"):
        assert secret not in told.replace(str(path).lower(), "")


@pytest.mark.parametrize("value", [-120.5, 0.05, 0.15, 40.25])
def test_the_last_digit_of_a_position_tells_no_slices_apart(sandbox, tmp_path, value):
    rng = np.random.default_rng(1)
    for path in write_cine(tmp_path, phases=8):
        place = value + rng.uniform(-1e-6, 1e-6, 3)
        turned = np.array(oblique()) + rng.uniform(-1e-5, 1e-5, 6)
        # 0.05 and 0.15 lie where the tenths of a mm change.
        edit(
            path,
            ImagePositionPatient=[f"{number:.9f}" for number in place],
            ImageOrientationPatient=[f"{number:.9f}" for number in turned],
        )

    assert [len(cine) for cine in found(sandbox, tmp_path)] == [8]


@pytest.mark.parametrize("step", [0.3, 0.5, 8])
def test_slices_are_apart_however_they_lie(sandbox, tmp_path, step):
    """Of 0.3 mm along an oblique normal, none of x, y and z need change by 0.2."""
    x = np.array([1, -1, 0]) / np.sqrt(2)
    y = np.array([1, 1, -2]) / np.sqrt(6)
    for number, path in enumerate(write_cine(tmp_path, phases=8)):
        place = number // 2 * step * np.cross(x, y)
        edit(
            path,
            ImagePositionPatient=[f"{v:.9f}" for v in place],
            ImageOrientationPatient=[f"{v:.9f}" for v in [*x, *y]],
        )

    assert [len(cine) for cine in found(sandbox, tmp_path)] == [2, 2, 2, 2]


def test_planes_through_one_corner_are_apart(sandbox, tmp_path):
    for number, path in enumerate(write_cine(tmp_path, phases=8)):
        turn = np.radians(number // 2 * 3)
        edit(
            path,
            ImageOrientationPatient=[np.cos(turn), np.sin(turn), 0, 0, 0, -1],
            ImagePositionPatient=[1, 2, 3],
        )

    assert [len(cine) for cine in found(sandbox, tmp_path)] == [2, 2, 2, 2]


def test_slices_are_apart_whose_orientation_is_nonsense(sandbox, tmp_path):
    for number, path in enumerate(write_cine(tmp_path, phases=8)):
        place = [0, 0, number // 2 * 8]
        edit(path, ImagePositionPatient=place, ImageOrientationPatient=[0] * 6)

    assert [len(cine) for cine in found(sandbox, tmp_path)] == [2, 2, 2, 2]


def test_absurd_places_are_grouped_all_the_same(sandbox, tmp_path):
    paths = write_cine(tmp_path, phases=4)
    edit(paths[0], ImagePositionPatient=["1e300", "-1e300", "1e308"])
    edit(paths[1], ImageOrientationPatient=["1e308"] * 6)
    edit(paths[2], ImageOrientationPatient=[0] * 6)

    assert [len(cine) for cine in found(sandbox, tmp_path)] == [1, 1, 1, 1]
