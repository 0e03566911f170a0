import json
import shutil
import subprocess

import pydicom
import pytest
from support.cines import write_cine
from support.review import ADA, change

from phdnet_tf.files import OutputFolder
from phdnet_tf.review.export import select
from phdnet_tf.review.filling import Progress, fill
from phdnet_tf.review.pictures import Pictures
from phdnet_tf.review.project import Project
from phdnet_tf.review.reports import write_reports, write_slicer
from phdnet_tf.review.trail import append

DOCTOR = ("Lovelace^Ada", "Hospital")


@pytest.fixture
def read(tmp_path):
    """A project of a cine of two phases, of which one is corrected and one accepted."""
    project = Project(tmp_path / "project", create=True)
    project.choose_landmarks("4ch", ["lv_apex"])
    number = project.choose_model("phdnet_4ch/1", "sums", tmp_path)
    write_cine(
        tmp_path / "cine", phases=2, PatientName="Secret^Name", StudyDate="20200102"
    )
    project.set("inputs", [str(tmp_path / "cine")])
    fill(project, "all", None, None, None, Progress(), lambda *found: None)
    with project.store.writing() as connection:
        for image in (1, 2):
            connection.execute(
                "INSERT INTO predictions VALUES "
                "(?, ?, 'lv_apex', 40, 41, 1.5, 1, 2, 4, 6, NULL, 1)",
                (image, number),
            )
    rows = project.store.rows("SELECT content_hash FROM images")
    hashes = [row["content_hash"] for row in rows]
    moved = change(1, "lv_apex", content_hash=hashes[0], x=30.0, y=31.0)
    kept = change(2, "lv_apex", content_hash=hashes[1], status="accepted", x=40, y=41)
    append(project.store, ADA, [moved, kept])
    return project


def reports(project, sandbox, folder, verified_as=None, previous=None):
    with OutputFolder(folder, False, print) as output:
        pictures = Pictures(project, sandbox, None)
        selection = select(project, None)
        count, lines = write_reports(
            project, selection, pictures, output, verified_as, previous
        )
    assert (count, lines) == (1, [])
    [path] = folder.glob("*-sr.dcm")
    return path


def test_a_report_is_verified_only_when_its_reader_asks(read, sandbox, tmp_path):
    plain = pydicom.dcmread(reports(read, sandbox, tmp_path / "plain"))
    signed = pydicom.dcmread(reports(read, sandbox, tmp_path / "signed", DOCTOR))

    assert plain.VerificationFlag == "UNVERIFIED"
    assert "VerifyingObserverSequence" not in plain
    assert "Ada" not in str(plain)
    assert signed.VerificationFlag == "VERIFIED"
    [observer] = signed.VerifyingObserverSequence
    assert observer.VerifyingObserverName == "Lovelace^Ada"
    assert signed.SeriesDescription == "Landmarks, verified"


def test_a_report_names_the_one_that_it_replaces(read, sandbox, tmp_path):
    old = pydicom.dcmread(reports(read, sandbox, tmp_path / "old"))
    new = reports(read, sandbox, tmp_path / "new", DOCTOR, tmp_path / "old")

    [study] = pydicom.dcmread(new).PredecessorDocumentsSequence
    [series] = study.ReferencedSeriesSequence
    [reference] = series.ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == old.SOPInstanceUID


def test_a_point_that_a_human_placed_has_nothing_of_the_models(read, sandbox, tmp_path):
    hd = pytest.importorskip("highdicom")
    path = reports(read, sandbox, tmp_path / "out")

    groups = hd.sr.srread(path).content.get_planar_roi_measurement_groups(
        graphic_type=hd.sr.GraphicTypeValues.POINT
    )

    placed, kept = groups
    assert placed.roi.value.tolist() == [[30.5, 31.5]]
    assert placed.get_measurements() == []
    assert len(kept.get_measurements()) == 4


def test_dciodvfy_finds_nothing_wrong_with_a_verified_report(read, sandbox, tmp_path):
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")
    reports(read, sandbox, tmp_path / "old")
    path = reports(read, sandbox, tmp_path / "out", DOCTOR, tmp_path / "old")

    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True)

    assert "Error" not in said.stdout + said.stderr, said.stderr


def test_markups_say_who_placed_the_point(read, tmp_path):
    with OutputFolder(tmp_path / "out", False, print) as output:
        assert write_slicer(read, select(read, None), output) == (2, [])

    text = (tmp_path / "out" / "image_000001.mrk.json").read_text()
    [point] = json.loads(text)["markups"][0]["controlPoints"]
    assert point["description"] == "corrected by Ada"
