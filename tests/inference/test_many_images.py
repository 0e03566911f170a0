import math

import pytest
from pydicom.dataset import Dataset
from support.cines import (
    RADII,
    SAGITTAL,
    SHORT_AXIS,
    edit,
    write_cine,
    write_enhanced,
)

from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.survey import survey
from phdnet_tf.inference.errors import NotServedError, ServerDownError
from phdnet_tf.inference.many_images import plan, predict_jobs
from phdnet_tf.inference.results import Landmark, Prediction


class Locator:
    """Says that the landmark goes back and forth, and jumps once."""

    at_once = 4

    def __init__(self, jump_at="phase_04", reach=4):
        self.jump_at = jump_at
        self.reach = reach
        self.seen = []

    def predict_many(self, images, names):
        return [self._predict(*each) for each in zip(images, names, strict=True)]

    def _predict(self, image, name):
        self.seen.append(name)
        number = int(name[-6:-4])
        x = 20 + self.reach * math.cos(2 * math.pi * number / 18)
        x += 64 if self.jump_at in name else 0
        landmark = Landmark("lv_apex", x, 30.0, 2.0, True, RADII)
        return Prediction(name, "4ch", "m/1", image.pixel_spacing, True, (landmark,))


def done(jobs, locator, sandbox, **keywords):
    found = predict_jobs(jobs, {"4ch": locator}, sandbox, **keywords)
    return [each for _, each in found if each is not None]


def test_a_jump_lowers_the_confidence_of_its_phase(sandbox, tmp_path):
    write_cine(tmp_path / "cine", phases=18)
    cines = survey([tmp_path / "cine"], sandbox).cines
    planned = plan(cines, ["4ch"], "4ch", "all")

    (cine,) = done(planned.jobs, Locator(), sandbox)

    assert [each.origin["phase"] for each in cine.predictions] == list(range(1, 19))
    for prediction in cine.predictions:
        (landmark,) = prediction.landmarks
        jumped = prediction.origin["phase"] == 4
        assert landmark.high_confidence is not jumped
        # 64 pixels of 1.25 mm are 80 mm, ten times the tolerance.
        assert landmark.confidence == pytest.approx(0.2 if jumped else 2.0, rel=0.05)
        assert landmark.frame_confidence == 2.0


@pytest.mark.parametrize("beat", ["900", ""])
def test_files_that_are_missing_make_no_smooth_track_jump(sandbox, tmp_path, beat):
    paths = write_cine(tmp_path / "cine", phases=18, NominalInterval=beat)
    for path in paths[4:8]:
        path.unlink()
    cines = survey([tmp_path / "cine"], sandbox).cines
    jobs = plan(cines, ["4ch"], "4ch", "all").jobs

    # It goes through 30 mm, and 18 of them over the gap.
    (cine,) = done(jobs, Locator("none", reach=12), sandbox)

    assert [each.origin["phase"] for each in cine.predictions] == list(range(1, 15))
    # The phases beside the gap.
    at_gap = [each.landmarks[0].jump_mm for each in cine.predictions[3:5]]
    assert max(at_gap) < 5


def test_a_phase_that_cannot_be_read_does_not_end_the_others(sandbox, tmp_path):
    paths = write_cine(tmp_path / "cine", phases=6)
    cines = survey([tmp_path / "cine"], sandbox).cines
    paths[2].write_bytes(b"gone bad meanwhile")
    planned = plan(cines, ["4ch"], "4ch", "all")

    (cine,) = done(planned.jobs, Locator("none"), sandbox)

    assert [frame.phase for frame in cine.frames] == [1, 2, 4, 5, 6]
    ((frame, error),) = cine.errors
    assert frame.phase == 3 and "phase_03.dcm: not a DICOM file" in str(error)
    assert len(cine.tracks[0].phases) == 5


def test_a_frame_that_cannot_be_read_is_told_by_its_number(sandbox, tmp_path):
    path = tmp_path / "enhanced.dcm"
    ds = write_enhanced(path, write_cine(tmp_path / "cine", phases=3))
    measures = Dataset()
    measures.PixelSpacing = [0, 0]
    ds.PerFrameFunctionalGroupsSequence[1].PixelMeasuresSequence = [measures]
    ds.save_as(path)
    planned = plan(survey([path], sandbox).cines, ["4ch"], "4ch", "all")

    class Numbered(Locator):
        def _predict(self, image, name):
            return super()._predict(image, "phase_01.dcm")

    (cine,) = done(planned.jobs, Numbered("none"), sandbox)

    ((_, error),) = cine.errors
    assert str(error).startswith(f"{path} frame 2: expected PixelSpacing to be")
    assert isinstance(error, DicomError)


def test_what_was_predicted_before_ctrl_c_is_not_lost(sandbox, tmp_path):
    class Interrupted(Locator):
        at_once = 1

        def predict_many(self, images, names):
            if "phase_04" in names[0]:
                raise KeyboardInterrupt
            return super().predict_many(images, names)

    write_cine(tmp_path / "cine", phases=6)
    planned = plan(survey([tmp_path / "cine"], sandbox).cines, ["4ch"], "4ch", "all")
    jobs = []
    with pytest.raises(KeyboardInterrupt):
        for _, job in predict_jobs(planned.jobs, {"4ch": Interrupted()}, sandbox):
            jobs.append(job)

    assert jobs[:3] == [None] * 3
    assert [frame.phase for frame in jobs[3].frames] == [1, 2, 3]
    assert len(jobs[3].predictions) == 3


def test_a_spacing_is_given_to_files_that_have_none(sandbox, tmp_path):
    path = write_cine(tmp_path / "cine", phases=1)[0]
    edit(path, PixelSpacing=None)
    planned = plan(survey([path], sandbox).cines, ["4ch"], "4ch", None)

    (without,) = done(planned.jobs, Locator(), sandbox)
    (given,) = done(planned.jobs, Locator(), sandbox, pixel_spacing=(1.5, 2))

    assert not without.predictions and "no PixelSpacing" in str(without.errors[0][1])
    assert given.predictions[0].pixel_spacing == (1.5, 2)


def decided(sandbox, folder, views, chosen=None, **keywords):
    write_cine(folder, phases=1, **keywords)
    return plan(survey([folder], sandbox).cines, views, chosen, "first")


def test_the_view_is_said_or_proposed_or_the_only_one(sandbox, tmp_path):
    both = ["sa", "4ch"]
    oblique = decided(sandbox, tmp_path / "a", both, description="cine")
    short = {"ImageOrientationPatient": SHORT_AXIS}
    named = decided(sandbox, tmp_path / "b", both, description="SAX", **short)
    said = decided(sandbox, tmp_path / "c", ["4ch"], "4ch", description="SAX", **short)

    assert oblique.jobs[0].view == "4ch"
    assert "orientation" in next(iter(oblique.reasons))
    assert named.jobs[0].view == "sa"
    assert said.jobs[0].view == "4ch"
    assert "suggests sa" in next(iter(said.reasons))


def test_with_one_model_a_series_that_tells_nothing_is_its(sandbox, tmp_path):
    (path,) = write_cine(tmp_path / "a", phases=1, description="cine")
    edit(path, ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    cines = survey([path], sandbox).cines

    one = plan(cines, ["sa"], None, None)
    two = plan(cines, ["sa", "4ch"], None, None)

    assert one.jobs[0].view == "sa"
    assert "view sa, the only model" in next(iter(one.reasons))
    assert not two.jobs and "it: --view sa or --view 4ch" in two.skipped[0].reason


def test_a_series_of_a_view_without_model_is_left_out(sandbox, tmp_path):
    sagittal = {"ImageOrientationPatient": SAGITTAL}
    planned = decided(sandbox, tmp_path / "a", ["4ch"], description="2CH", **sagittal)

    assert not planned.jobs
    assert "looks like 2ch" in planned.skipped[0].reason
    assert not planned.skipped[0].failed


def test_a_name_that_the_plane_contradicts_goes_to_no_model_of_another_view(
    sandbox, tmp_path
):
    axial = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}

    planned = decided(sandbox, tmp_path / "a", ["sa"], description="4CH", **axial)

    assert not planned.jobs
    assert "'4CH' in its description, 5" in planned.skipped[0].reason
    assert planned.skipped[0].reason.endswith("shows the view. Choose it: --view sa.")


def test_frames_that_are_predicted_know_their_pixels(sandbox, tmp_path):
    write_cine(tmp_path / "cine", phases=6)
    cines = survey([tmp_path / "cine"], sandbox).cines

    (cine,) = done(plan(cines, ["4ch"], "4ch", "all").jobs, Locator("none"), sandbox)

    tokens = [sandbox.image(frame.file.source).token for frame in cine.frames]
    assert [frame.token for frame in cine.frames] == tokens and len({*tokens}) == 6


@pytest.mark.parametrize(
    "change",
    [
        {"PatientName": "Another^One"},
        {"SOPInstanceUID": "1.2.3"},
        {"ImagePositionPatient": [0, 0, 1]},
        {"TriggerTime": "451"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_pixels_under_another_header_than_was_read_are_no_phase(
    sandbox, tmp_path, change
):
    paths = write_cine(tmp_path / "cine", phases=6)
    cines = survey([tmp_path / "cine"], sandbox).cines
    edit(paths[2], **change)

    (cine,) = done(plan(cines, ["4ch"], "4ch", "all").jobs, Locator("none"), sandbox)

    ((frame, error),) = cine.errors
    assert frame.phase == 3 and "phase_03.dcm: the file has changed" in str(error)
    # Neither in the table and JSON, nor in the tracks.
    assert [each.origin["phase"] for each in cine.predictions] == [1, 2, 4, 5, 6]
    assert cine.tracks[0].phases.tolist() == [1, 2, 4, 5, 6]


def test_frames_of_one_file_have_the_header_that_was_read(sandbox, tmp_path):
    (path,) = write_cine(tmp_path / "cine", phases=1)
    pixels = bytes(2 * 2 * 80 * 100)
    edit(path, NumberOfFrames=2, FrameTime="30", PixelData=pixels)
    cines = survey([path], sandbox).cines

    (cine,) = done(plan(cines, ["4ch"], "4ch", "all").jobs, Locator("none"), sandbox)

    assert [each.origin["time_ms"] for each in cine.predictions] == [0, 30]


@pytest.mark.parametrize("error", [ServerDownError, NotServedError])
def test_a_server_that_is_down_is_asked_once(sandbox, tmp_path, error):
    class Down(Locator):
        def predict_many(self, images, names):
            self.seen += names
            raise error("http://host: no answer.")

    write_cine(tmp_path / "cine", phases=9)
    planned = plan(survey([tmp_path / "cine"], sandbox).cines, ["4ch"], "4ch", "all")
    locator = Down()

    [job] = done(planned.jobs, locator, sandbox)

    assert len(locator.seen) == locator.at_once and not job.predictions
    assert len(job.errors) == 9
    assert all("phase_" in str(e) and "no answer" in str(e) for _, e in job.errors)
