import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from support.cines import edit, write_cine, write_enhanced
from support.hostile import dicomdir, drawn

from phdnet_tf.dicom.cines import choose
from phdnet_tf.dicom.find import find_files
from phdnet_tf.dicom.read import DicomFile
from phdnet_tf.dicom.survey import survey


def names(cine):
    return [frame.file.source.path.name for frame in cine.frames]


def reasons(found):
    return sorted(each.reason for each in found.skipped)


def test_the_phases_of_a_slice_are_a_cine_in_the_order_of_time(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine", reverse_names=True)

    found = survey([tmp_path / "cine"], sandbox)

    (cine,) = found.cines
    assert names(cine) == [path.name for path in paths]
    assert [frame.phase for frame in cine.frames] == [1, 2, 3, 4, 5, 6]
    assert cine.heart_beat == 900
    assert not found.skipped


def test_slices_and_series_are_told_apart(sandbox, tmp_path):
    write_cine(tmp_path / "a", position=(0, 0, 0))
    write_cine(tmp_path / "b", position=(0, 0, 8))
    write_cine(tmp_path / "c", description="another")

    found = survey([tmp_path], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [6, 6, 6]


MAGNITUDE = ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"]
PHASE = ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "PCA"]


def test_magnitude_and_phase_of_one_slice_are_two_cines(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine", phases=8)
    for number, path in enumerate(paths):
        # Both at the same four times, as Philips stores a velocity measurement.
        time = str(number // 2 * 200)
        edit(path, TriggerTime=time, ImageType=(MAGNITUDE, PHASE)[number % 2])

    found = survey([tmp_path / "cine"], sandbox)

    assert [names(cine) for cine in found.cines] == [
        [path.name for path in paths[::2]],
        [path.name for path in paths[1::2]],
    ]


def test_magnitude_and_phase_of_one_file_are_two_cines(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine", phases=8)
    enhanced = tmp_path / "enhanced.dcm"
    ds = write_enhanced(enhanced, paths)
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        kind = Dataset()
        kind.FrameType = ["ORIGINAL", "PRIMARY", "CINE", "NONE"]
        kind.ComplexImageComponent = ("MAGNITUDE", "PHASE")[number % 2]
        frame.MRImageFrameTypeSequence = [kind]
    ds.save_as(enhanced)

    found = survey([enhanced], sandbox)

    assert [[frame.number for frame in cine.frames] for cine in found.cines] == [
        [1, 3, 5, 7],
        [2, 4, 6, 8],
    ]


def test_phases_that_were_given_the_same_uid_are_not_copies(sandbox, tmp_path):
    for path in write_cine(tmp_path / "cine"):
        edit(path, SOPInstanceUID="1.2.3")

    (cine,) = survey([tmp_path / "cine"], sandbox).cines

    assert len(cine.frames) == 6


def test_other_pixels_under_the_same_uid_are_no_copy(sandbox, tmp_path):
    path = drawn(tmp_path, "a.dcm")
    other = drawn(tmp_path, "b.dcm")
    pixels = pydicom.dcmread(path).pixel_array
    edit(other, PixelData=np.flipud(pixels).tobytes())

    found = survey([tmp_path], sandbox)

    assert sum(len(cine.frames) for cine in found.cines) == 2 and not found.skipped


def test_another_patient_under_the_same_uid_is_no_copy(sandbox, tmp_path):
    drawn(tmp_path, "a.dcm")
    edit(drawn(tmp_path, "b.dcm"), PatientName="Another")

    found = survey([tmp_path], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [1, 1]
    assert not found.skipped


def test_a_copy_that_was_compressed_is_a_copy(sandbox, tmp_path):
    paths = write_cine(tmp_path)
    ds = pydicom.dcmread(paths[2])
    ds.compress(
        pydicom.uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False
    )
    ds.save_as(tmp_path / "copy.dcm")

    found = survey([tmp_path], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [6]
    assert reasons(found) == ["copy of another file"]


@pytest.mark.parametrize("copy", ["a_copy.dcm", "z_copy.dcm"])
def test_a_damaged_copy_has_failed_and_the_cine_is_whole(sandbox, tmp_path, copy):
    paths = write_cine(tmp_path)
    (tmp_path / copy).write_bytes(paths[2].read_bytes()[:-500])

    found = survey([tmp_path], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [6]
    (skipped,) = found.skipped
    assert skipped.failed
    assert skipped.reason.startswith(f"{tmp_path / copy}: the pixel data are incompl")


def test_a_file_that_is_named_twice_stands_for_itself(sandbox, tmp_path):
    paths = write_cine(tmp_path)

    found = survey([*paths, paths[1]], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [6, 1]


def test_without_times_the_instance_numbers_tell_the_order(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine", reverse_names=True, TriggerTime="")

    (cine,) = survey([tmp_path / "cine"], sandbox).cines

    assert names(cine) == [path.name for path in paths]
    assert cine.heart_beat is None


def test_phases_that_end_before_the_beat_does_do_not_come_round(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine", phases=10)
    for path in paths[5:]:
        path.unlink()

    (cine,) = survey([tmp_path / "cine"], sandbox).cines

    assert len(cine.frames) == 5 and cine.heart_beat is None


def test_the_frames_of_an_enhanced_file_are_a_cine(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine")
    enhanced = tmp_path / "enhanced.dcm"
    write_enhanced(enhanced, paths)

    (cine,) = survey([enhanced], sandbox).cines

    assert [frame.number for frame in cine.frames] == [1, 2, 3, 4, 5, 6]
    assert str(cine.frames[2]) == f"{enhanced} frame 3"
    assert cine.heart_beat == 900


def test_files_without_series_or_place_stand_for_themselves(sandbox, tmp_path):
    for number, path in enumerate(write_cine(tmp_path / "cine", phases=4)):
        if number < 2:
            edit(path, SeriesInstanceUID="")
        else:
            edit(path, ImagePositionPatient=None)

    found = survey([tmp_path / "cine"], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [1, 1, 1, 1]


def test_what_is_no_image_is_skipped_with_its_reason(sandbox, tmp_path):
    folder = tmp_path / "study"
    a, b, c, *_ = write_cine(folder)
    edit(a, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    edit(b, SeriesDescription="3-plane Scout")
    edit(c, Modality="CT")
    (folder / "notes.txt").write_text("hello")
    (folder / "DICOMDIR").write_bytes(b"")
    (folder / "copy").write_bytes((folder / "phase_06.dcm").read_bytes())
    plan = Path(get_testdata_file("rtplan.dcm", download=False))
    (folder / "plan").write_bytes(plan.read_bytes())

    found = survey([folder], sandbox)

    assert len(found.cines) == 1 and len(found.cines[0].frames) == 3
    assert reasons(found) == [
        "copy of another file",
        "index of a folder",
        "localiser",
        "localiser",
        "no pixels (RT Plan Storage)",
        "not DICOM",
        "not MR, but CT",
    ]
    assert not any(each.failed for each in found.skipped)


def test_a_protocol_of_a_whole_examination_makes_no_localiser(sandbox, tmp_path):
    edit(drawn(tmp_path), ProtocolName="scout, cine, LGE")
    assert len(survey([tmp_path], sandbox).cines) == 1

    edit(tmp_path / "drawn.dcm", SeriesDescription="")
    assert reasons(survey([tmp_path], sandbox)) == ["localiser"]


@pytest.mark.parametrize(
    "localiser",
    [
        {"SeriesDescription": "Scout"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    ],
)
def test_a_localiser_is_an_image_if_the_user_says_so(sandbox, tmp_path, localiser):
    path = edit(drawn(tmp_path), **localiser)

    assert reasons(survey([tmp_path], sandbox)) == ["localiser"]
    for found in (
        survey([path], sandbox),
        survey([tmp_path], sandbox, localisers=True),
    ):
        assert len(found.cines) == 1 and not found.skipped


def test_what_the_user_named_has_failed_if_it_is_no_image(sandbox, tmp_path):
    path = drawn(tmp_path)
    edit(path, Modality="CT")

    (skipped,) = survey([path], sandbox).skipped

    assert skipped.failed
    assert skipped.reason == f"{path}: not MR, but CT. Expected an MR image."


def test_a_damaged_file_in_a_folder_has_failed(sandbox, tmp_path):
    path = drawn(tmp_path)
    path.write_bytes(path.read_bytes()[:200])

    (skipped,) = survey([tmp_path], sandbox).skipped

    assert skipped.failed and skipped.reason.startswith(f"{path}: ")


def failed(found, name):
    """The one file that is left out has failed; why."""
    (skipped,) = found.skipped
    assert skipped.failed
    assert skipped.reason.startswith(f"{name}: ") and skipped.reason.isprintable()
    return skipped.reason


@pytest.mark.parametrize("modality", ["MR", ""])
def test_an_image_that_lacks_its_pixels_has_failed(sandbox, tmp_path, modality):
    path = edit(drawn(tmp_path), Modality=modality)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\xe0\x7f\x10\x00")])

    assert "MR Image Storage without pixels" in failed(
        survey([tmp_path], sandbox), path
    )


@pytest.mark.parametrize("length", [132, 200, 330])
def test_an_image_that_is_cut_in_its_header_has_failed(sandbox, tmp_path, length):
    path = drawn(tmp_path)
    path.write_bytes(path.read_bytes()[:length])

    assert "copy" in failed(survey([tmp_path], sandbox), path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.dcm", b""),
        ("a.DCM", bytes(100)),
        ("a.IMA", b"<html>" * 90),
        ("IM0001", bytes(5000)),
        ("im_12", b""),
        ("MR.1.2.840.113619.2.55.3", bytes(100)),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_has_the_name_of_a_dicom_file_and_is_none_has_failed(
    sandbox, tmp_path, name, content, packed
):
    """A copy that was cut short, or is all zeros where the disk gave up."""
    path = tmp_path / "study" / name
    path.parent.mkdir()
    path.write_bytes(content)
    if packed:
        with zipfile.ZipFile(tmp_path / "study.zip", "w") as file:
            file.write(path, name)
        path = tmp_path / "study.zip" / name

    reason = failed(survey([path.parent], sandbox), path)

    assert ("is empty" if not content else "does not begin like one") in reason


@pytest.mark.parametrize("name", ["._a.dcm", "notes.txt", "IMG_map.nii.gz", "v1.2.3.4"])
def test_what_lies_beside_images_has_not_failed(sandbox, tmp_path, name):
    """Such as what a Mac adds to an archive: a file beside each, with its ending."""
    (tmp_path / name).write_bytes(b"\x00\x05\x16\x07" + bytes(4000))

    (skipped,) = survey([tmp_path], sandbox).skipped

    assert not skipped.failed and skipped.reason == "not DICOM"


# Links


def test_folders_that_are_linked_are_looked_through_once(sandbox, tmp_path):
    write_cine(tmp_path / "store" / "cine")
    study = tmp_path / "study"
    study.mkdir()
    (study / "linked").symlink_to(tmp_path / "store", target_is_directory=True)
    (study / "again").symlink_to(tmp_path / "store" / "cine")
    # Round and round.
    (tmp_path / "store" / "up").symlink_to(study)
    (tmp_path / "store" / "here").symlink_to(".")

    found = survey([study], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [6]
    assert not found.skipped


def test_a_folder_keeps_its_name_before_a_link_to_it(sandbox, tmp_path):
    write_cine(tmp_path / "study" / "real")
    (tmp_path / "study" / "a_link").symlink_to("real")

    (cine,) = survey([tmp_path / "study"], sandbox).cines

    assert cine.frames[0].file.name == Path("study/real/phase_01.dcm")


@pytest.mark.parametrize("target", ["nowhere.dcm", "link.dcm"])
def test_a_link_to_nothing_has_failed(sandbox, tmp_path, target):
    drawn(tmp_path)
    (tmp_path / "link.dcm").symlink_to(target)

    found = survey([tmp_path], sandbox)

    assert len(found.cines) == 1
    assert "is a link to a missing file" in failed(found, tmp_path / "link.dcm")


# Containers


def tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for file in files:
            archive.add(file, file.name)
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("unnamed", "w")],
)
def test_a_tar_archive_is_to_be_unpacked(sandbox, tmp_path, name, mode):
    (tmp_path / "study").mkdir()
    path = tar(tmp_path / "study" / name, write_cine(tmp_path / "cine"), mode)

    for named in (path, path.parent):
        assert "Unpack it" in failed(survey([named], sandbox), path)


@pytest.mark.parametrize("name", ["b.zip", "b.ZIP", "b.tar", "b.7z"])
def test_an_archive_in_an_archive_is_to_be_unpacked(sandbox, tmp_path, name):
    inner = tmp_path / name
    paths = write_cine(tmp_path / "cine")
    if name == "b.tar":
        tar(inner, paths)
    else:
        with zipfile.ZipFile(inner, "w") as file:
            file.write(paths[0], "one.dcm")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as file:
        file.write(inner, f"a/{name}")
        file.write(paths[1], "one.dcm")

    found = survey([tmp_path / "outer.zip"], sandbox)

    assert len(found.cines) == 1
    assert "Unpack it" in failed(found, f"{tmp_path}/outer.zip/a/{name}")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_all_files_of_one_name_in_an_archive_are_read(sandbox, tmp_path):
    """As of an exporter that names the images of each series from 1."""
    paths = write_cine(tmp_path / "cine", phases=3)
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as file:
        file.write(paths[0], "1.dcm")
        file.write(paths[1], "1.dcm (2)")
        file.write(paths[2], "1.dcm")

    found = survey([tmp_path / "study.zip"], sandbox)

    (cine,) = found.cines
    assert not found.skipped
    assert [frame.header.time for frame in cine.frames] == [0, 300, 600]
    assert len({frame.file.name for frame in cine.frames}) == 3
    contents = {sandbox.content(frame.file.source) for frame in cine.frames}
    assert contents == {DicomFile(path).content() for path in paths}


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no /proc/self/mem")
def test_a_file_that_cannot_be_opened_has_failed(sandbox, tmp_path):
    """As one whose permissions forbid it, which the superuser has none of."""
    drawn(tmp_path)
    (tmp_path / "secret.dcm").symlink_to("/proc/self/mem")  # Its start is unreadable.

    found = survey([tmp_path], sandbox)

    assert len(found.cines) == 1
    (skipped,) = found.skipped
    assert skipped.failed
    assert skipped.reason.startswith(f"{tmp_path}/secret.dcm: cannot be opened: ")


@pytest.mark.parametrize(("mode", "name"), [(0, "secret"), (0o400, "secret/b.dcm")])
def test_a_folder_that_cannot_be_opened_has_failed(sandbox, tmp_path, mode, name):
    drawn(tmp_path)
    (tmp_path / "secret").mkdir()
    drawn(tmp_path / "secret", "b.dcm")
    (tmp_path / "secret").chmod(mode)
    if os.access(tmp_path / "secret", os.X_OK):
        pytest.skip("the superuser may open any folder")

    found = survey([tmp_path], sandbox)

    (tmp_path / "secret").chmod(0o700)  # To be removed.
    assert len(found.cines) == 1
    (skipped,) = found.skipped
    assert skipped.failed
    assert skipped.reason == f"{tmp_path}/{name}: cannot be opened: Permission denied."


def test_a_file_without_preamble_is_found_in_a_folder(sandbox, tmp_path):
    path = drawn(tmp_path)
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    (tmp_path / "no_preamble").write_bytes(content[132:])
    path.write_bytes(content[144 + length :])

    found = survey([tmp_path], sandbox)

    # One is found; the other is the same image.
    assert len(found.cines) == 1
    assert reasons(found) == ["copy of another file"]


def test_big_endian_without_preamble_is_found(sandbox, tmp_path):
    shipped = Path(get_testdata_file("MR_small_bigendian.dcm", download=False))
    content = shipped.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    (tmp_path / "image").write_bytes(content[144 + length :])

    assert len(survey([tmp_path], sandbox).cines) == 1


def test_archives_are_looked_through(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine")
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in paths:
            file.write(path, f"a/{path.name}")
        file.writestr("readme.txt", "hello")

    found = survey([archive], sandbox)

    (cine,) = found.cines
    assert len(cine.frames) == 6
    assert cine.frames[0].file.name == Path("study/a/phase_01.dcm")
    assert str(cine.frames[0]) == f"{archive}/a/phase_01.dcm"
    assert reasons(found) == ["not DICOM"]


def test_names_are_shown_whole_and_do_nothing_to_a_terminal(sandbox, tmp_path):
    """Lines of their own, colours and bytes that are no UTF-8, as old shares have."""
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    folder.mkdir()
    good, bad = drawn(folder, "a\nb.dcm"), drawn(folder, "\x1b[31m.dcm")
    bad.write_bytes(bad.read_bytes()[:200])
    archive = tmp_path / "study.zip"
    member = "a\r" + "long/" * 60 + "b"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(good, member + ".dcm")
        file.write(bad, member + "ad.dcm")

    loose, packed = survey([folder], sandbox), survey([archive], sandbox)

    (cine,), (one,) = loose.cines, loose.skipped
    (inside,), (other,) = packed.cines, packed.skipped
    assert str(cine.frames[0]) == f"{tmp_path}/M?ller/a?b.dcm"
    assert one.reason.startswith(f"{tmp_path}/M?ller/?[31m.dcm: ")
    shown = f"{archive}/a?{'long/' * 60}b"
    assert str(inside.frames[0]) == f"{shown}.dcm"
    assert other.reason.startswith(f"{shown}ad.dcm: ")
    assert sandbox.image(cine.frames[0].file.source).pixels.shape == (64, 64)


def test_files_that_look_alike_are_told_apart(sandbox, tmp_path):
    for name in (b"\xfc.dcm", b"\xf6.dcm"):
        path = drawn(tmp_path, os.fsdecode(name))
        edit(path, SeriesInstanceUID="", SOPInstanceUID=f"1.2.{name[0]}")

    found = survey([tmp_path], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [1, 1]


def test_a_damaged_file_in_an_archive_has_failed_and_the_rest_is_found(
    sandbox, tmp_path
):
    paths = write_cine(tmp_path / "cine")
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in paths:
            file.write(path, path.name)
        at = file.infolist()[2].header_offset
    content = bytearray(archive.read_bytes())
    content[at] = 0
    archive.write_bytes(content)

    found = survey([archive], sandbox)

    assert [len(cine.frames) for cine in found.cines] == [5]
    (skipped,) = found.skipped
    assert skipped.failed
    assert skipped.reason.startswith(f"{archive}/phase_03.dcm: ")


@pytest.mark.parametrize(
    ("archive", "member", "name"),
    [
        ("evil.zip", "../../up.dcm", "evil/up.dcm"),
        ("evil.zip", "/up.dcm", "evil/up.dcm"),
        # Two slashes are a root of their own, three and more are one.
        ("evil.zip", "//host/up.dcm", "evil/host/up.dcm"),
        ("evil.zip", "///up.dcm", "evil/up.dcm"),
        ("evil.zip", "\\\\host\\up.dcm", "evil/host/up.dcm"),
        ("evil.zip", "c:/up.dcm", "evil/up.dcm"),
        ("evil.zip", "a/..//./up.dcm", "evil/a/up.dcm"),
        ("evil.zip", "../..", "evil"),
        # Without its ending it would be the folder above.
        ("...zip", "up.dcm", "archive/up.dcm"),
    ],
)
def test_names_in_archives_do_not_lead_out_of_the_output_folder(
    sandbox, tmp_path, archive, member, name
):
    path = drawn(tmp_path)
    with zipfile.ZipFile(tmp_path / archive, "w") as file:
        file.writestr(member, path.read_bytes())

    (cine,) = survey([tmp_path / archive], sandbox).cines

    assert cine.frames[0].file.name == Path(name)


def test_a_dicomdir_is_read_for_its_files(sandbox, tmp_path):
    pydicom_fileset = pytest.importorskip("pydicom.fileset")
    paths = write_cine(tmp_path / "cine", phases=3)
    files = pydicom_fileset.FileSet()
    for path in paths:
        # Type 1 in the record of a study.
        edit(path, StudyDate="20200101", StudyTime="120000", StudyID="1")
        files.add(path)
    files.write(tmp_path / "cd")
    files._stage["t"].cleanup()  # It would warn that nobody else did.

    found = survey([tmp_path / "cd" / "DICOMDIR"], sandbox)

    (cine,) = found.cines
    assert len(cine.frames) == 3 and not found.skipped
    os.remove(cine.frames[0].file.source.path)
    found = survey([tmp_path / "cd" / "DICOMDIR"], sandbox)
    assert len(found.cines[0].frames) == 2
    assert "lists it, but it is missing" in found.skipped[0].reason


@pytest.mark.parametrize(
    "rename",
    [
        str.lower,
        str.title,
        lambda name: name + ".dcm",
        lambda name: name.lower() + ".DCM",
        lambda name: name + ";1",
    ],
)
@pytest.mark.parametrize("folders", [False, True])
def test_a_dicomdir_finds_its_files_as_they_are_called_now(
    sandbox, tmp_path, rename, folders
):
    index = dicomdir(tmp_path)
    files = [path for path in index.parent.rglob("*") if path.is_file()]
    for path in sorted(files):
        if path != index:
            path.rename(path.with_name(rename(path.name)))
    if folders:
        for path in sorted(index.parent.rglob("*"), reverse=True):
            if path.is_dir():
                path.rename(path.with_name(path.name.title()))

    found = survey([index], sandbox)

    assert sum(len(cine.frames) for cine in found.cines) == 2 and not found.skipped


def test_a_dicomdir_takes_no_other_file_for_one_that_is_missing(sandbox, tmp_path):
    index = dicomdir(tmp_path)
    path = max(path for path in index.parent.rglob("*") if path.is_file())
    assert path != index
    path.rename(path.with_name(path.name + "0"))

    found = survey([index], sandbox)

    assert sum(len(cine.frames) for cine in found.cines) == 1
    assert "lists it, but it is missing" in failed(found, path)


def test_a_file_called_dicomdir_that_is_none_is_refused(sandbox, tmp_path):
    path = drawn(tmp_path, "DICOMDIR")

    (skipped,) = survey([path], sandbox).skipped

    assert skipped.failed and "expected a DICOMDIR" in skipped.reason


def test_a_pipe_is_not_waited_for(sandbox, tmp_path):
    os.mkfifo(tmp_path / "pipe")

    (skipped,) = survey([tmp_path / "pipe"], sandbox).skipped

    assert skipped.failed and "not a regular file" in skipped.reason
    assert not survey([tmp_path], sandbox).cines


def test_frames_are_chosen(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine")
    (cine,) = survey([tmp_path / "cine"], sandbox).cines
    (named,) = survey([paths[1], paths[3]], sandbox).cines

    def phases(cine, which):
        return [frame.phase for frame in choose(cine, which)]

    assert phases(cine, None) == phases(cine, "first") == [1]
    assert phases(cine, "all") == [1, 2, 3, 4, 5, 6]
    assert phases(cine, 4) == [4]
    assert phases(cine, 7) == []
    # Files that were named one by one were chosen by that.
    assert phases(named, None) == [1, 2]
    assert phases(named, "first") == [1]


def test_a_folder_is_looked_into_when_its_turn_comes(tmp_path, sandbox):
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        drawn(tmp_path / "in" / name, "first.dcm")
    files = find_files([tmp_path / "in"], sandbox, [])

    first = next(files)
    # All names of an archive of millions would fill the memory.
    drawn(tmp_path / "in" / "b", "late.dcm")

    assert [str(found.name) for found in (first, *files)] == [
        "in/a/first.dcm",
        "in/b/first.dcm",
        "in/b/late.dcm",
    ]
