"""What `phdnet-tf predict` writes: one file that cannot be written costs no other."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pydicom
from PIL import Image
from support.cines import RADII, edit, write_cine, write_enhanced

from phdnet_tf.cli.outputs import summarise
from phdnet_tf.dicom.survey import survey
from phdnet_tf.files import OutputFolder
from phdnet_tf.inference.errors import ServerDownError
from phdnet_tf.inference.many_images import plan, predict_jobs
from phdnet_tf.inference.results import Landmark, Prediction
from phdnet_tf.outputs.formats import FORMATS
from phdnet_tf.outputs.writer import PredictionWriter


class Locator:
    """Finds the landmark in the same place, and breaks down after some maps."""

    at_once = 4

    def __init__(self, maps=0, unrecognised=()):
        self.maps = maps
        self.unrecognised = unrecognised
        self.asked = 0

    def predict_many(self, images, names):
        place = (1.0, 2.0, 3.0)
        landmark = Landmark("lv_apex", 20.0, 30.0, 2.0, True, RADII, place)
        return [
            Prediction(
                *(name, "4ch", "m/1", image.pixel_spacing),
                not any(part in name for part in self.unrecognised),
                (landmark,),
            )
            for image, name in zip(images, names, strict=True)
        ]

    def candidate_maps(self, image):
        self.asked += 1
        if self.asked > self.maps:
            raise ServerDownError("http://host: no answer.")
        return np.ones((1, 8, 8), "f4"), np.array([[[0, 0], [63, 63]]], "f4")


def predicted(path, sandbox, locator=None):
    jobs = plan(survey([path], sandbox).cines, ["4ch"], "4ch", "all").jobs
    found = predict_jobs(jobs, {"4ch": locator or Locator()}, sandbox)
    return [done for _, done in found if done is not None]


def writer(folder, sandbox, *formats, locator=None, **options):
    predictors = None if locator is None else {"4ch": locator}
    output = OutputFolder(folder, True, print).__enter__()
    return PredictionWriter(output, set(formats), sandbox, None, predictors, **options)


def files(folder):
    own = {"manifest.txt", ".phdnet-tf.lock"}
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return found - own


def test_names_that_cannot_be_written_cost_no_other_file(sandbox, tmp_path):
    phases = write_cine(tmp_path / "cine", phases=5)
    # With ".png" too long, a formula, a folder like the picture before it, and others.
    names = ["$^$.dcm", "x" * 255, "y.dcm", "y.png/z.dcm", "z.dcm"]
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for name, path in zip(names, phases, strict=True):
            archive.write(path, name)
    output = tmp_path / "out"

    (done,) = predicted(tmp_path / "study.zip", sandbox)
    lines = writer(output, sandbox, *FORMATS).write(done)

    long = [line for line in lines if "File name too long" in line]
    below = [line for line in lines if "study.zip/y.png/z.dcm: " in line]
    # Of each the PNG and the markups.
    assert len(long) == len(below) == 2 and len(lines) == 4, lines
    assert all("not written: " in line for line in lines)
    assert files(output / "study") == {
        *("$^$.png", "y.png", "z.png"),
        *("$^$.mrk.json", "y.mrk.json", "z.mrk.json"),
        *("cine-1.gif", "cine-1-tracks.png", "cine-1-sr.dcm"),
    }


def test_an_image_that_is_gone_meanwhile_is_told_of_once(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine")
    (done,) = predicted(tmp_path / "cine", sandbox)
    paths[2].unlink()

    lines = writer(tmp_path / "out", sandbox, "png", "gif").write(done)

    (line,) = lines
    assert line.startswith(f"{paths[2]}: not drawn: ") and len(line.split(": ")) > 2
    pictures = {f"cine/phase_0{n}.png" for n in (1, 2, 4, 5, 6)}
    assert files(tmp_path / "out") == {*pictures, "cine/cine-1.gif"}
    with Image.open(tmp_path / "out" / "cine" / "cine-1.gif") as movie:
        assert movie.n_frames == 5


def test_nothing_is_said_of_another_image_under_the_same_name(sandbox, tmp_path):
    """As where a folder is filled with the next examination meanwhile."""
    paths = write_cine(tmp_path / "cine")
    (done,) = predicted(tmp_path / "cine", sandbox)
    edit(paths[2], PatientName="Another^One")

    lines = writer(tmp_path / "out", sandbox, "png", "sr").write(done)

    (drawn, reported) = lines
    assert drawn == f"{paths[2]}: not drawn: the file has changed."
    assert "cine-1-sr.dcm' not written: " in reported
    assert "the file has changed since its pixels were read" in reported
    pictures = {f"cine/phase_0{n}.png" for n in (1, 2, 4, 5, 6)}
    assert files(tmp_path / "out") == pictures


def test_no_report_is_of_two_patients(sandbox, tmp_path):
    """A file that was replaced before its pixels were read, but after its header."""
    paths = write_cine(tmp_path / "cine")
    jobs = plan(survey([tmp_path / "cine"], sandbox).cines, ["4ch"], "4ch", "all").jobs
    edit(paths[2], PatientName="Another^One")
    *_, (_, done) = predict_jobs(jobs, {"4ch": Locator()}, sandbox)

    assert not writer(tmp_path / "out", sandbox, "sr").write(done)

    report = pydicom.dcmread(tmp_path / "out/cine/cine-1-sr.dcm")
    assert report.PatientName == "" and report.CompletionFlag == "PARTIAL"
    [study] = report.CurrentRequestedProcedureEvidenceSequence
    assert len(study.ReferencedSeriesSequence[0].ReferencedSOPSequence) == 5


def test_what_the_user_should_know_of_cines_is_a_line_a_kind(capsys):
    notes = {
        "the order is a guess": ["a.dcm", "b.dcm", "c.dcm"],
        "one is missing": ["d"],
    }

    summarise([], {}, 0, notes)

    assert capsys.readouterr().err.splitlines() == [
        "Note: a.dcm and 2 more: the order is a guess.",
        "Note: d: one is missing.",
    ]


def test_a_server_that_is_gone_costs_only_the_votes(sandbox, tmp_path):
    write_cine(tmp_path / "cine")
    (done,) = predicted(tmp_path / "cine", sandbox)
    locator = Locator(maps=2)
    out = writer(tmp_path / "out", sandbox, "png", locator=locator)

    (line,) = out.write(done)

    assert "phase_03.dcm: this picture and all later ones do not show" in line
    assert line.endswith("http://host: no answer.")
    widths = []
    for path in sorted((tmp_path / "out" / "cine").iterdir()):
        with Image.open(path) as picture:
            widths.append(picture.width)
    assert len(widths) == 6
    assert widths[0] == widths[1] > 1.5 * widths[2] and len(set(widths[2:])) == 1
    # It is waited for once, and not at each of the other pictures.
    assert out.write(done) == [] and locator.asked == 3


def test_no_memory_for_a_picture_is_a_line(sandbox, tmp_path, monkeypatch):
    paths = write_cine(tmp_path / "cine", phases=2)
    (done,) = predicted(tmp_path / "cine", sandbox)

    def save(path, pixels, prediction, maps):
        if prediction.image == str(paths[0]):
            raise MemoryError
        path.write_bytes(b"drawn")

    monkeypatch.setattr("phdnet_tf.outputs.writer.save_overlay", save)

    lines = writer(tmp_path / "out", sandbox, "png").write(done)

    target = tmp_path / "out" / "cine" / "phase_01.png"
    assert lines == [f"{paths[0]}: {str(target)!r} not written: MemoryError"]
    assert files(tmp_path / "out") == {"cine/phase_02.png"}


def test_a_table_that_cannot_be_written_costs_no_other(sandbox, tmp_path):
    write_cine(tmp_path / "cine", phases=1)
    (done,) = predicted(tmp_path / "cine", sandbox)
    out = writer(tmp_path / "out", sandbox, "json", "csv")
    (tmp_path / "out" / "predictions.json").mkdir()

    (line,) = out.finish(done.predictions, [done])

    assert "predictions.json' not written: Is a directory" in line
    assert files(tmp_path / "out") == {"predictions.csv"}


def test_files_whose_names_differ_little_have_outputs_of_their_own(sandbox, tmp_path):
    study = tmp_path / "study"
    names = ["IM.dcm", "IM", "IM-2.dcm", "IM-2", "cine-1.dcm", "other.dcm"]
    for path, name in zip(write_cine(study), names, strict=True):
        path.rename(study / name)
    # Each is a still of its own, and there is a cine beside them.
    for number, name in enumerate(names):
        edit(study / name, SeriesInstanceUID=f"1.2.{number}")
    write_cine(study, position=(9, 9, 9), SeriesInstanceUID="1.3")
    out = writer(tmp_path / "out", sandbox, "slicer", "sr")

    for _ in range(2):  # The names stay the same.
        for done in predicted(study, sandbox):
            assert out.write(done) == []

    written = files(tmp_path / "out")
    # A cine and six stills; six phases and six stills.
    assert sum(name.endswith("-sr.dcm") for name in written) == 7
    assert sum(name.endswith(".mrk.json") for name in written) == 12


def test_a_report_on_a_part_of_a_cine_is_partial(sandbox, tmp_path):
    write_cine(tmp_path / "cine")
    (done,) = predicted(tmp_path / "cine", sandbox)
    # What there is when Ctrl-C comes in the fourth phase.
    part = replace(done, frames=done.frames[:3], predictions=done.predictions[:3])
    flags = []
    for each in (done, part):
        assert writer(tmp_path / "out", sandbox, "sr").write(each) == []
        report = pydicom.dcmread(tmp_path / "out" / "cine" / "cine-1-sr.dcm")
        flags.append(report.CompletionFlag)

    assert flags == ["COMPLETE", "PARTIAL"]


def test_a_line_names_a_frame_and_its_file_once(sandbox, tmp_path):
    enhanced = tmp_path / "enhanced.dcm"
    write_enhanced(enhanced, write_cine(tmp_path / "cine", phases=2))
    edit(enhanced, SOPInstanceUID="1.2.x")
    (done,) = predicted(enhanced, sandbox)

    (line,) = writer(tmp_path / "out", sandbox, "sr").write(done)

    target = tmp_path / "out" / "cine-1-sr.dcm"
    start = f"{enhanced} frame 1: {str(target)!r} not written: "
    assert line.startswith(start + "has no valid SOPInstanceUID")


def test_markups_tell_their_phase(sandbox, tmp_path):
    write_cine(tmp_path / "cine", phases=3)
    (done,) = predicted(tmp_path / "cine", sandbox)

    assert writer(tmp_path / "out", sandbox, "slicer").write(done) == []

    names = {
        json.loads(path.read_text())["markups"][0]["name"]
        for path in (tmp_path / "out").rglob("*.mrk.json")
    }
    assert names == {f"m/1 4ch cine 1 phase {number}" for number in (1, 2, 3)}


def said(report):
    """Meanings and values of all that a report says, one after the other."""
    found = []

    def walk(item):
        for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
            for code in item.get(keyword, []):
                found.append(code.CodeMeaning)
        for value in item.get("MeasuredValueSequence", []):
            found.append(float(value.NumericValue))
        for part in item.get("ContentSequence", []):
            walk(part)

    walk(report)
    return found


def test_no_report_and_no_markups_of_frames_that_are_not_recognised(sandbox, tmp_path):
    write_cine(tmp_path / "cine", phases=5)
    some = Locator(unrecognised=("phase_02", "phase_04"))
    none = Locator(unrecognised=("phase",))
    output = tmp_path / "out"

    (done,) = predicted(tmp_path / "cine", sandbox, some)
    lines = writer(output / "some", sandbox, "sr", "slicer").write(done)
    (nothing,) = predicted(tmp_path / "cine", sandbox, none)
    others = writer(output / "none", sandbox, "sr", "slicer").write(nothing)

    assert files(output / "some") == {
        "cine/cine-1-sr.dcm",
        *(f"cine/phase_0{n}.mrk.json" for n in (1, 3, 5)),
    }
    report = pydicom.dcmread(output / "some" / "cine" / "cine-1-sr.dcm")
    assert report.CompletionFlag == "PARTIAL"
    assert "2 of 5 frames are NOT RECOGNISED as 4ch" in lines[0]
    assert files(output / "none") == set()
    assert len(others) == 2 and "5 of 5" in others[0]
    assert all("--include-unrecognised" in line for line in (*lines, *others))


def test_a_report_of_what_is_not_recognised_says_so_in_words_and_code(
    sandbox, tmp_path
):
    write_cine(tmp_path / "cine", phases=3)
    (done,) = predicted(tmp_path / "cine", sandbox, Locator(unrecognised=("phase_02",)))
    output = tmp_path / "out"

    lines = writer(output, sandbox, "sr", "slicer", include_unrecognised=True).write(
        done
    )

    report = pydicom.dcmread(output / "cine" / "cine-1-sr.dcm")
    texts = said(report)
    assert lines == []
    assert "NOT RECOGNISED as 4ch: 1 of 3 frames" in report.SeriesDescription
    # Each landmark stands in the image and in the patient.
    assert texts.count("NOT RECOGNISED as 4ch") == 2
    assert texts.count("Recognised") == 4
    radius = texts.index("Radius that holds the landmark with 90 % probability")
    assert texts[radius:].index(RADII["90"]) <= 3
    markup = json.loads((output / "cine" / "phase_02.mrk.json").read_text())
    assert "NOT RECOGNISED as 4ch" in str(markup["markups"][0]["controlPoints"])


def test_tracks_and_animation_of_what_is_not_recognised_look_otherwise(
    sandbox, tmp_path
):
    write_cine(tmp_path / "cine", phases=5)
    pictures = []
    for name, locator in (("no", Locator(unrecognised=("phase",))), ("yes", Locator())):
        (done,) = predicted(tmp_path / "cine", sandbox, locator)
        writer(tmp_path / name, sandbox, "tracks", "gif").write(done)
        with Image.open(tmp_path / name / "cine" / "cine-1.gif") as movie:
            pictures.append(np.asarray(movie.convert("RGB"), float))
        tracks = tmp_path / name / "cine" / "cine-1-tracks.png"
        pictures.append(np.asarray(Image.open(tracks).convert("L")))

    # The second line of the animation's text is there only where it cautions.
    changed = np.abs(pictures[0] - pictures[2]).max(axis=-1) > 50
    assert changed[19:34, :150].any() and not changed[40:].any()
    assert pictures[1].shape != pictures[3].shape or (pictures[1] != pictures[3]).any()


def test_the_summary_of_a_cine_lists_the_phases_that_are_not_recognised(
    sandbox, tmp_path
):
    write_cine(tmp_path / "cine", phases=5)
    (done,) = predicted(tmp_path / "cine", sandbox, Locator(unrecognised=("phase_02",)))

    writer(tmp_path / "out", sandbox, "tracks").finish(done.predictions, [done])

    (cine,) = json.loads((tmp_path / "out" / "cines.json").read_text())
    assert cine["not_recognised_phases"] == [2]
