"""`phdnet-tf predict` on what hospitals have: folders, archives, cines, identities."""

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from matplotlib.text import Text
from PIL import Image
from PIL.ImageDraw import ImageDraw
from support.cines import SAGITTAL, SHORT_AXIS, edit, write_cine, write_enhanced
from support.drawn import exported

from phdnet_tf.cli import main
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.inference import many_images
from phdnet_tf.outputs.formats import FORMATS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    exported(folder, view="4ch", thresholds=(0, 0))
    return folder


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    exported(folder, view="sa")
    exported(folder, view="4ch")
    return folder


def predict(*arguments, models, code=0):
    arguments = ["predict", *arguments, "--models", models]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def as_json(*arguments, **keywords):
    return json.loads(predict(*arguments, "--format", "json", **keywords).stdout)


def points(predictions):
    return [
        [(landmark["x"], landmark["y"]) for landmark in prediction["landmarks"]]
        for prediction in predictions
    ]


def test_of_a_cine_the_first_phase_is_predicted_and_the_rest_told_of(models, tmp_path):
    write_cine(tmp_path / "cine", reverse_names=True)

    result = predict(tmp_path / "cine", "--format", "json", models=models)

    (only,) = json.loads(result.stdout)
    assert only["image"].endswith("phase_06.dcm") and only["phase"] == 1
    assert "Left out: 5 other phases. To include them" in result.stderr
    (third,) = as_json(tmp_path / "cine", "--frame", 3, models=models)
    assert third["phase"] == 3 and third["time_ms"] == 300


def test_a_phase_that_is_not_there_is_named(models, tmp_path):
    write_cine(tmp_path / "cine")

    result = predict(tmp_path / "cine", "--frame", 9, models=models, code=2)

    assert "has no phase 9. Expected a phase from 1 to 6" in result.stderr


@pytest.mark.parametrize("value", ["0", "-1", "last", "1.5"])
def test_a_frame_that_is_no_number_is_a_usage_error(models, tmp_path, value):
    path = write_cine(tmp_path / "cine")[0]

    result = predict(path, "--frame", value, models=models, code=2)

    assert "is neither first, nor all, nor a whole number from 1" in result.stderr


def test_classic_files_an_archive_and_enhanced_mr_give_identical_landmarks(
    models, tmp_path
):
    paths = write_cine(tmp_path / "cine")
    write_enhanced(tmp_path / "enhanced.dcm", paths)
    with zipfile.ZipFile(tmp_path / "cine.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)

    classic = as_json(tmp_path / "cine", "--frames", "all", models=models)
    packed = as_json(tmp_path / "cine.zip", "--frames", "all", models=models)
    enhanced = as_json(tmp_path / "enhanced.dcm", "--frames", "all", models=models)

    assert len(classic) == len(packed) == len(enhanced) == 6
    for other in (packed, enhanced):
        for one, same in zip(classic, other, strict=True):
            assert one["landmarks"] == same["landmarks"]
            assert one["time_ms"] == same["time_ms"]
    assert [each["frame"] for each in enhanced] == [1, 2, 3, 4, 5, 6]


def test_all_phases_give_tracks_an_animation_a_report_and_markups(models, tmp_path):
    write_cine(tmp_path / "cine")
    output = tmp_path / "out"
    formats = ["json", "csv", "png", "gif", "tracks", "sr", "slicer"]

    result = predict(
        tmp_path / "cine",
        *("--frames", "all", "--output", output),
        *(part for form in formats for part in ("--format", form)),
        models=models,
    )

    phases = [f"cine/phase_0{n}" for n in range(1, 7)]
    written = {str(p.relative_to(output)) for p in output.rglob("*") if p.is_file()}
    assert written == {
        *("manifest.txt", ".phdnet-tf.lock"),
        *("predictions.json", "predictions.csv", "cines.json"),
        *("cine/cine-1-tracks.png", "cine/cine-1.gif", "cine/cine-1-sr.dcm"),
        *(f"{phase}.png" for phase in phases),
        *(f"{phase}.mrk.json" for phase in phases),
    }
    (cine,) = json.loads((output / "cines.json").read_text())
    assert cine["phases"] == 6 and cine["heart_beat_ms"] == 900
    predictions = json.loads((output / "predictions.json").read_text())
    assert [each["phase"] for each in predictions] == [1, 2, 3, 4, 5, 6]
    assert all("jump_mm" in mark for each in predictions for mark in each["landmarks"])
    with Image.open(output / "cine/cine-1.gif") as movie:
        assert movie.n_frames == 6
    report = pydicom.dcmread(output / "cine/cine-1-sr.dcm")
    assert (
        len(
            report.CurrentRequestedProcedureEvidenceSequence[0]
            .ReferencedSeriesSequence[0]
            .ReferencedSOPSequence
        )
        == 6
    )
    markup = json.loads((output / f"{phases[2]}.mrk.json").read_text())["markups"][0]
    np.testing.assert_allclose(
        [point["position"] for point in markup["controlPoints"]],
        [mark["position_lps"] for mark in predictions[2]["landmarks"]],
    )
    # A summary of the tracks, not thousands of lines.
    assert len(result.stdout.splitlines()) == 3


def test_the_model_is_found_from_the_description_and_said(both, tmp_path):
    write_cine(tmp_path / "study" / "a", description="cine 4CH", position=(0, 0, 0))
    for name, view, plane in (("b", "SAX", SHORT_AXIS), ("c", "2CH", SAGITTAL)):
        write_cine(
            tmp_path / "study" / name,
            description=f"cine {view}",
            ImageOrientationPatient=plane,
        )

    result = predict(tmp_path / "study", "--format", "json", models=both)

    views = {
        Path(each["image"]).parent.name: each["view"]
        for each in json.loads(result.stdout)
    }
    assert views == {"a": "4ch", "b": "sa"}
    assert "view 4ch, from '4CH' in its description" in result.stderr
    assert "view sa, from 'SAX' in its description" in result.stderr
    assert "Skipped 1: looks like 2ch, from '2CH'" in result.stderr


def test_where_nothing_tells_the_view_it_is_asked_for(both, tmp_path):
    (path, *_) = write_cine(tmp_path / "cine", description="cine")
    edit(path, ImageOrientationPatient=[1, 0, 0, 0, 1, 0])

    refused = predict(path, models=both, code=2)
    given = predict(path, "--view", "sa", "--format", "json", models=both)

    assert "--view sa or --view 4ch" in refused.stderr
    assert json.loads(given.stdout)[0]["view"] == "sa"


def test_an_image_of_another_view_is_not_silently_predicted(models, tmp_path):
    (path, *_) = write_cine(
        tmp_path / "cine", description="SAX", ImageOrientationPatient=SHORT_AXIS
    )

    refused = predict(path, models=models, code=2)
    told = predict(path, "--view", "4ch", models=models)

    assert "looks like sa" in refused.stderr and "--view 4ch" in refused.stderr
    assert "but 'SAX' in its description suggests sa" in told.stderr


def test_what_was_skipped_is_summarised(models, tmp_path):
    paths = write_cine(tmp_path / "study")
    edit(paths[4], Modality="CT")
    edit(paths[5], Modality="CT")
    (tmp_path / "study" / "report.pdf").write_bytes(b"%PDF")

    result = predict(tmp_path / "study", models=models)

    assert "Skipped 2: not MR, but CT: " in result.stderr
    assert "phase_05.dcm and 1 more" in result.stderr
    assert "Skipped 1: not DICOM: " in result.stderr


def test_a_localiser_is_predicted_if_its_view_is_said(models, tmp_path):
    write_cine(tmp_path / "study", description="Scout", CardiacNumberOfImages=25)

    refused = predict(tmp_path / "study", models=models, code=1)
    given = predict(tmp_path / "study", "--view", "4ch", models=models)

    assert "Skipped 6: localiser" in refused.stderr
    assert "localisers, choose the model with --view or --model" in refused.stderr
    assert "view 4ch, as you chose" in given.stderr
    assert "Note: " in given.stderr and "6 of the 25 phases" in given.stderr


def test_what_is_damaged_in_a_folder_makes_the_command_fail(models, tmp_path):
    write_cine(tmp_path / "study")
    (tmp_path / "study" / "empty.dcm").write_bytes(b"")

    result = predict(tmp_path / "study", models=models, code=1)

    assert "empty.dcm: named like a DICOM file, but is empty" in result.stderr


def test_a_folder_without_images_is_refused(models, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")

    result = predict(tmp_path, models=models, code=1)

    assert "found no image to predict" in result.stderr


def test_a_report_that_cannot_be_written_fails_alone(models, tmp_path):
    a, b, *_ = write_cine(tmp_path / "cine")
    edit(a, StudyDate="notadate", SeriesInstanceUID="1.2.3")
    output = tmp_path / "out"

    result = predict(
        *(a, b, "--output", output, "--format", "sr", "--format", "json"),
        models=models,
        code=1,
    )

    assert "do not follow the standard" in result.stderr
    assert (output / "phase_02-sr.dcm").is_file()
    assert not (output / "phase_01-sr.dcm").exists()
    assert not list(output.rglob(".unfinished*"))
    assert len(json.loads((output / "predictions.json").read_text())) == 3


def test_a_name_that_cannot_be_written_costs_nothing_else(models, tmp_path):
    (one,) = write_cine(tmp_path / "one", phases=1)
    (other,) = write_cine(tmp_path / "other", phases=1, position=(0, 0, 9))
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        archive.write(one, "x" * 255)
        archive.write(other, "z.dcm")
    output = tmp_path / "out"

    result = predict(tmp_path / "study.zip", "--output", output, models=models, code=1)

    assert "not written: File name too long" in result.stderr
    assert "z.dcm" in result.stdout and "x" * 255 in result.stdout
    predictions = json.loads((output / "predictions.json").read_text())
    assert ["error" in each for each in predictions] == [False, True, False]
    with (output / "predictions.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4  # Two landmarks each.
    assert [p.name for p in output.rglob("*.png")] == ["z.png"]


def test_whatever_ends_a_batch_the_results_are_there(models, tmp_path, monkeypatch):
    for number in (1, 2):
        write_cine(tmp_path / "study" / f"{number}", position=(0, 0, number))
    output = tmp_path / "out"
    done = []

    def write(self, finished):
        done.append(finished)
        if len(done) == 2:
            raise TypeError("a bug")
        return []

    monkeypatch.setattr("phdnet_tf.outputs.writer.PredictionWriter.write", write)

    with pytest.raises(TypeError, match="a bug"):
        predict(tmp_path / "study", "--output", output, models=models)

    assert len(json.loads((output / "predictions.json").read_text())) == 2


def test_a_file_that_fails_is_told_of_where_no_model_fits_the_rest(models, tmp_path):
    (path, *_) = write_cine(
        tmp_path / "cine", description="2CH", ImageOrientationPatient=SAGITTAL
    )
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(path.read_bytes()[:700])

    result = predict(broken, path, "--format", "json", models=models, code=1)

    errors = [each["error"] for each in json.loads(result.stdout)]
    assert "broken.dcm: " in errors[0] and "looks like 2ch" in errors[1]
    assert all(f"Error: {error}" in result.stderr for error in errors)


def test_a_file_replaced_after_its_header_was_read_is_no_result(
    models, tmp_path, monkeypatch
):
    paths = write_cine(tmp_path / "cine", phases=6)
    plan = many_images.plan

    def replaced_meanwhile(*arguments):
        edit(paths[2], PatientName="Another^One")
        return plan(*arguments)

    monkeypatch.setattr(many_images, "plan", replaced_meanwhile)
    output = tmp_path / "output"

    result = predict(
        *(tmp_path / "cine", "--frames", "all", "--output", output, "--format", "json"),
        *("--format", "tracks"),
        models=models,
        code=1,
    )

    line = "phase_03.dcm: the file has changed since its header was read"
    assert line in result.stderr
    *found, failed = json.loads((output / "predictions.json").read_text())
    assert [each["phase"] for each in found] == [1, 2, 4, 5, 6]
    assert line in failed["error"]
    (cine,) = json.loads((output / "cines.json").read_text())
    for track in cine["landmarks"]:
        assert track["phases"] == 5


def test_uids_that_can_no_longer_be_read_cost_no_landmarks(
    models, tmp_path, monkeypatch
):
    write_cine(tmp_path / "cine", phases=2)
    identity = Sandbox.identity

    def gone(self, source, token):
        if source.path.name == "phase_01.dcm":
            raise DicomError(f"{source}: no such file.")
        return identity(self, source, token)

    monkeypatch.setattr(Sandbox, "identity", gone)

    result = predict(
        *(tmp_path / "cine", "--frames", "all", "--include-uids", "--format", "json"),
        models=models,
        code=1,
    )

    first, second, failed = json.loads(result.stdout)
    assert "uids" in second and "uids" not in first and len(first["landmarks"]) == 2
    assert failed["error"].endswith("Its landmarks are written without UIDs.")


@pytest.mark.parametrize("form", ["png", "gif", "tracks", "sr", "slicer"])
def test_files_need_a_folder(models, tmp_path, form):
    path = write_cine(tmp_path / "cine")[0]

    result = predict(path, "--format", form, models=models, code=2)

    assert "add --output DIR" in result.stderr


MARKS = {
    "PatientName": "MARKEDNAME^A",
    "PatientID": "MARKEDID",
    "PatientBirthDate": "19291031",
    "OtherPatientIDs": "MARKEDOTHER",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.111111111",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.222222222",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.333333333",
    "AccessionNumber": "MARKEDACC",
    "InstitutionName": "MARKEDPLACE",
    "ReferringPhysicianName": "MARKEDDOCTOR",
    "SeriesDescription": "MARKEDDESCRIPTION cine 4ch",
}


@pytest.fixture
def marked(tmp_path):
    """A study full of identity, with a file for every kind of message."""
    folder = tmp_path / "marked"
    paths = write_cine(folder / "a", **MARKS)
    write_enhanced(folder / "enhanced.dcm", paths)
    write_cine(folder / "ct", position=(1, 1, 1), **MARKS | {"Modality": "CT"})
    cut = write_cine(folder / "cut", position=(2, 2, 2), **MARKS)[0]
    cut.write_bytes(cut.read_bytes()[:-900])
    # A report cannot repeat this, and must not when it says so.
    write_cine(folder / "bad", 1, position=(3, 3, 3), **MARKS, StudyDate="MARKEDDATE")
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in paths]
    secrets = [part for value in MARKS.values() for part in value.split("^")[:1]]
    secrets[-1] = "MARKEDDESCRIPTION"
    return folder, [*secrets, "MARKEDDATE", *uids]


@pytest.fixture
def drawn(monkeypatch):
    """All text that is drawn into pictures, where no search of bytes would find it."""
    texts = []

    def record(kind, name, at):
        method = getattr(kind, name)

        def recording(self, *arguments, **keywords):
            texts.append(str(arguments[at]))
            return method(self, *arguments, **keywords)

        monkeypatch.setattr(kind, name, recording)

    record(Text, "set_text", 0)  # PNG
    record(ImageDraw, "text", 1)  # GIF
    return texts


def artefacts(folder, result):
    """Everything that a run leaves: names and contents of files, and what it prints."""
    yield "standard output", result.stdout.encode()
    yield "standard error", result.stderr.encode()
    for path in folder.rglob("*"):
        yield str(path), str(path.relative_to(folder)).encode()
        # A report belongs to the patient; its test is another.
        if path.is_file() and not path.name.endswith("-sr.dcm"):
            yield str(path), path.read_bytes()


def leaks(folder, result, secrets, drawn=()):
    contents = [*artefacts(folder, result), *(("drawn", t.encode()) for t in drawn)]
    return [
        (where, secret)
        for where, content in contents
        for secret in secrets
        if secret.encode() in content
    ]


def test_no_artefact_of_a_run_holds_an_identity(models, marked, tmp_path, drawn):
    folder, secrets = marked
    output = tmp_path / "out"

    result = predict(
        *(folder, "--frames", "all", "--output", output, "--maps"),
        *(part for form in FORMATS for part in ("--format", form)),
        models=models,
        code=1,
    )

    endings = [path.name.split(".", 1)[-1] for path in output.rglob("*.*")]
    assert endings.count("png") > 12 and endings.count("mrk.json") > 12
    assert endings.count("gif") == 3 and endings.count("dcm") == 3
    assert "do not follow the standard" in result.stderr
    assert leaks(output, result, secrets, drawn) == []
    # The test can find what there is to find: in files, and in titles and labels.
    assert leaks(folder, result, secrets[:1]) != []
    shown = [
        "phase_03.dcm",
        "enhanced.dcm frame 2",
        "votes: bright",
        "phase 6",
        "cine-",
    ]
    for text in shown:
        assert any(text in each for each in drawn), text


def test_printed_formats_hold_no_identity(models, marked, tmp_path):
    folder, secrets = marked
    for form in ("table", "json", "csv"):
        result = predict(
            folder, "--frames", "all", "--format", form, models=models, code=1
        )
        assert leaks(tmp_path / "nothing", result, secrets) == []


def test_uids_are_written_when_they_are_asked_for_and_nothing_else(
    models, marked, tmp_path
):
    folder, secrets = marked
    output = tmp_path / "out"

    result = predict(
        *(folder / "a", "--frames", "all", "--output", output, "--include-uids"),
        *("--format", "json", "--format", "csv"),
        models=models,
    )

    assert leaks(output, result, [s for s in secrets if not s.startswith("1.2")]) == []
    first, *_ = json.loads((output / "predictions.json").read_text())
    ds = pydicom.dcmread(folder / "a" / "phase_01.dcm")
    assert first["uids"] == {
        "study": ds.StudyInstanceUID,
        "series": ds.SeriesInstanceUID,
        "instance": ds.SOPInstanceUID,
    }
    with (output / "predictions.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert row["instance_uid"] == ds.SOPInstanceUID


def test_a_report_holds_the_patient_and_study_and_no_other_identity(
    models, marked, tmp_path
):
    folder, _ = marked
    output = tmp_path / "out"

    predict(
        *(folder / "a", "--frames", "all", "--output", output, "--format", "sr"),
        models=models,
    )

    (report,) = output.rglob("*-sr.dcm")
    content = report.read_bytes()
    for name in ("MARKEDNAME", "MARKEDID", "MARKEDACC", "MARKEDDOCTOR"):
        assert name.encode() in content
    for name in ("MARKEDOTHER", "MARKEDPLACE", "MARKEDDESCRIPTION"):
        assert name.encode() not in content


def test_the_real_cine_from_one_command(real_data, models, tmp_path):
    output = tmp_path / "out"

    result = predict(
        *(real_data / "bivme_4ch" / "DICOM", "--frames", "all", "--output", output),
        *("--format", "tracks", "--format", "gif", "--format", "sr"),
        *("--format", "slicer"),
        models=models,
    )

    assert "view 4ch, from '4CH' in its description" in result.stderr
    assert len(list((output / "DICOM").glob("*.mrk.json"))) == 25
    with Image.open(output / "DICOM" / "cine-1.gif") as movie:
        assert movie.n_frames == 25
    assert Path(output / "DICOM" / "cine-1-sr.dcm").stat().st_size > 10_000
