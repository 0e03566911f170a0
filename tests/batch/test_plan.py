import os
import shutil
import zipfile
from pathlib import Path

import pytest
from support.batch import write_study
from support.cines import edit, write_cine

from phdnet_tf.batch import index as index_module
from phdnet_tf.batch import plan as plan_module
from phdnet_tf.batch.index import Index
from phdnet_tf.batch.layout import INDEX
from phdnet_tf.batch.plan import plan, require_same_sources
from phdnet_tf.dicom.sandbox import Sandbox


def studies(folder):
    with Index(folder) as index:
        return list(index.studies(1, 10**9))


def names(study):
    return [found.source.path.name for found in study.files]


def test_files_of_one_study_in_several_folders_are_one_study(tmp_path):
    write_study(tmp_path / "in" / "a", "one", images=1)
    write_study(tmp_path / "in" / "b", "two", images=2)
    write_study(tmp_path / "in" / "c", "one", images=3)

    plan([tmp_path / "in"], None, tmp_path / "out", readers=2)

    one, two = studies(tmp_path / "out")
    assert names(one) == ["one_0.dcm", "one_0.dcm", "one_1.dcm", "one_2.dcm"]
    assert names(two) == ["two_0.dcm", "two_1.dcm"]
    assert (one.number, two.number) == (1, 2)


def test_a_drive_that_pauses_for_half_a_minute_costs_no_file(tmp_path, monkeypatch):
    limits = []

    def patient(seconds):
        limits.append(seconds)
        return Sandbox(seconds=seconds)

    monkeypatch.setattr(plan_module, "Sandbox", patient)
    write_study(tmp_path / "in", "one", images=1)

    plan([tmp_path / "in"], None, tmp_path / "out", readers=2)

    assert len(limits) == 2 and min(limits) > 30


def test_all_kinds_of_sources_are_taken(tmp_path):
    write_study(tmp_path / "loose", "one", images=1)
    write_study(tmp_path / "packed", "two", images=1)
    write_study(tmp_path / "listed", "three", images=1)
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.write(tmp_path / "packed" / "two_0.dcm", "x/two.dcm")
    listed = tmp_path / "list.txt"
    listed.write_text(f"{tmp_path / 'listed'}\n\n")

    sources = [tmp_path / "loose", tmp_path / "study.zip"]
    plan(sources, listed, tmp_path / "out", readers=2)

    found = [file.source for study in studies(tmp_path / "out") for file in study.files]
    assert [(each.path.name, each.member) for each in found] == [
        ("one_0.dcm", None),
        ("study.zip", "x/two.dcm"),
        ("three_0.dcm", None),
    ]
    require_same_sources(sources, listed, tmp_path / "out")
    with pytest.raises(ValueError, match="expected the sources that it was planned"):
        require_same_sources(sources[:1], listed, tmp_path / "out")
    listed.write_text(f"{tmp_path}\n")
    with pytest.raises(ValueError, match="choose another --output"):
        require_same_sources(sources, listed, tmp_path / "out")


def test_what_cannot_be_used_is_told_and_what_is_none_is_counted(tmp_path):
    write_study(tmp_path / "in", "one")
    (tmp_path / "in" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 99)
    (tmp_path / "in" / "a.txt").write_text("no image")
    (tmp_path / "in" / "z.txt").write_text("no image")

    plan([tmp_path / "in"], None, tmp_path / "out", readers=1)

    with Index(tmp_path / "out") as index:
        [(file, reason)] = index.failures()
        assert index.about()["skipped"] == {"not DICOM": 2}
        assert index.totals() == (1, 2)
    assert file == str(tmp_path / "in" / "broken.dcm")
    assert reason.startswith(f"{file}: begins like a DICOM file, but")


def test_nothing_that_names_a_patient_is_in_the_index(tmp_path):
    write_study(tmp_path / "in", "one")
    edit(tmp_path / "in" / "one_0.dcm", PatientName="Doe^Jane", PatientID="4711")

    plan([tmp_path / "in"], None, tmp_path / "out", readers=1)

    data = (tmp_path / "out" / INDEX).read_bytes()
    assert b"one_0.dcm" in data
    for secret in (b"Doe", b"4711", b"patient of", b"short axis", b"1.2.826"):
        assert secret not in data


def test_files_that_tell_no_study_are_parted_by_series(tmp_path):
    for name in "one", "two":
        paths = write_cine(tmp_path / "in" / name, phases=3, patient="", PatientName="")
        for path in paths:
            edit(path, StudyInstanceUID="", SeriesInstanceUID=f"1.2.{len(name + name)}")
        if name == "two":
            for path in paths:
                edit(path, SeriesInstanceUID="1.2.3")

    plan([tmp_path / "in"], None, tmp_path / "out", readers=1)

    assert [len(study.files) for study in studies(tmp_path / "out")] == [3, 3]


def test_the_size_of_a_study_counts_slices_or_all_phases(tmp_path):
    write_cine(tmp_path / "in" / "a", phases=4)
    write_cine(tmp_path / "in" / "b", phases=5, position=(0, 0, 0))
    write_study(tmp_path / "in" / "c", "still", images=1)

    plan([tmp_path / "in"], None, tmp_path / "out", readers=1)

    with Index(tmp_path / "out") as index:
        assert list(index.sizes(all_phases=True)) == [9, 1]
        assert list(index.sizes(all_phases=False)) == [2, 1]


def test_a_name_that_is_no_text_is_found_again(tmp_path):
    write_study(tmp_path / "in", "one", images=1)
    strange = os.fsencode(tmp_path / "in") + b"/\xff.dcm"
    os.rename(tmp_path / "in" / "one_0.dcm", strange)

    plan([tmp_path / "in"], None, tmp_path / "out", readers=1)

    [study] = studies(tmp_path / "out")
    assert os.fsencode(study.files[0].source.path) == strange
    with Index(tmp_path / "out") as index:
        shown = str(study.files[0].source)
        assert index.locations({shown}) == {shown: study.files[0].source}


def test_an_index_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    write_study(tmp_path / "in", "one")

    def fail(self, **about):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index_module.IndexWriter, "finish", fail)
    with pytest.raises(OSError, match="No space left"):
        plan([tmp_path / "in"], None, tmp_path / "out", readers=1)

    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(ValueError, match=r"start with 'phdnet-tf batch plan SOURCE"):
        Index(tmp_path / "out")


def test_an_archive_without_images_is_refused(tmp_path):
    (tmp_path / "in").mkdir()

    with pytest.raises(ValueError, match=r"in: found no image to predict\. Name"):
        plan([tmp_path / "in"], None, tmp_path / "out", readers=1)


def test_a_study_is_the_same_wherever_it_lies(tmp_path):
    write_study(tmp_path / "in", "one")
    shutil.copytree(tmp_path / "in", tmp_path / "copy")
    plan([tmp_path / "in"], None, tmp_path / "out", readers=1)
    plan([tmp_path / "copy"], None, tmp_path / "out2", readers=1)

    [here], [there] = studies(tmp_path / "out"), studies(tmp_path / "out2")

    assert here.key == there.key and len(here.key) == 32
    assert Path(here.files[0].source.path).parent == tmp_path / "in"


def test_what_is_named_twice_is_there_once(tmp_path):
    write_study(tmp_path / "one", "one", images=2)
    listed = tmp_path / "list.txt"
    first = tmp_path / "one" / "one_0.dcm"
    listed.write_text(f"\ufeff{first}\n{first}\n", encoding="utf-8")

    plan([tmp_path / "one"], listed, tmp_path / "out", readers=2)

    [study] = studies(tmp_path / "out")
    assert [file.source.path.name for file in study.files] == ["one_0.dcm", "one_1.dcm"]
    with Index(tmp_path / "out") as index:
        assert index.about()["skipped"] == {"named twice": 2}
        assert list(index.sizes(all_phases=True)) == [2]


def test_a_line_that_can_be_no_path_is_one_error(tmp_path):
    write_study(tmp_path / "one", "one", images=1)
    listed = tmp_path / "list.txt"
    listed.write_text(f"{tmp_path / ('x' * 300)}\n{tmp_path / 'one'}\n")

    plan([], listed, tmp_path / "out", readers=1)

    assert len(studies(tmp_path / "out")) == 1
    with Index(tmp_path / "out") as index:
        [(source, reason)] = index.failures()
    assert source.endswith("x") and "not a regular file" in reason


def test_a_list_that_can_be_read_only_once_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ValueError, match="Write the list to a file"):
        plan([], tmp_path / "pipe", tmp_path / "out", readers=1)
