import pytest
from support.cines import write_cine

from phdnet_tf.review.filling import Progress, fill
from phdnet_tf.review.project import Project


def filled(folder, images):
    project = Project(folder, create=True)
    project.choose_landmarks("", ["apex"])
    project.set("inputs", [*map(str, images)])
    fill(project, None, None, None, None, Progress(), lambda *found: None)
    return project


def test_a_project_is_of_one_view_and_its_landmarks(tmp_path):
    project = Project(tmp_path / "project", create=True)
    project.choose_landmarks("", ["apex", "base"])
    # Trained meanwhile: now there is a model, and so a view.
    project.choose_landmarks("2ch", ["apex", "base"])

    assert (project.view, project.landmarks) == ("2ch", ["apex", "base"])
    with pytest.raises(ValueError, match="2ch with apex, base.* another --project"):
        project.choose_landmarks("4ch", ["apex", "base"])
    with pytest.raises(ValueError, match="Received: 2ch with apex, tip"):
        project.choose_landmarks("2ch", ["apex", "tip"])


def test_two_models_of_one_name_are_two(tmp_path):
    project = Project(tmp_path / "project", create=True)

    first = project.choose_model("phdnet_sa/1", "sums of one", tmp_path)
    second = project.choose_model("phdnet_sa/1", "sums of another", tmp_path)

    assert first != second
    assert project.model_named().startswith("phdnet_sa/1 (")
    assert project.choose_model("phdnet_sa/1", "sums of one", tmp_path) == first
    assert project.model_named() == "phdnet_sa/1"


def test_of_a_cine_the_first_phase_is_reviewed_and_all_can_be_seen(tmp_path):
    write_cine(tmp_path / "cine", phases=4)

    project = filled(tmp_path / "project", [tmp_path / "cine"])

    rows = project.store.rows("SELECT phase, queued FROM images ORDER BY phase")
    assert [tuple(row) for row in rows] == [(1, 1), (2, 0), (3, 0), (4, 0)]


def test_the_same_images_are_there_once_however_often_they_are_named(tmp_path):
    write_cine(tmp_path / "cine", phases=4)
    project = filled(tmp_path / "project", [tmp_path / "cine"])
    before = project.store.rows("SELECT * FROM images")

    fill(project, "all", None, None, None, Progress(), lambda *found: None)

    after = project.store.rows("SELECT * FROM images")
    assert len(after) == 4
    assert [row["id"] for row in after] == [row["id"] for row in before]
    assert all(row["queued"] and row["content_hash"] for row in after)


def test_subjects_are_told_apart_and_named_by_nothing(tmp_path):
    for name in ("Ada", "Bo"):
        write_cine(tmp_path / name, phases=1, patient=name, StudyInstanceUID="1.2.3")
    for number, study in enumerate(("1.2.4", "1.2.5")):
        blank = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1"}
        write_cine(tmp_path / f"blank{number}", phases=1, patient="", **blank)

    folders = [tmp_path / name for name in ("Ada", "Bo", "blank0", "blank1")]
    project = filled(tmp_path / "project", folders)

    # Two patients of one study, and two studies of nobody.
    rows = project.store.rows("SELECT subject FROM images ORDER BY id")
    assert [row["subject"] for row in rows] == [1, 2, 3, 4]
    assert b"Ada^" not in (tmp_path / "project" / "review.sqlite").read_bytes()


def test_the_folder_is_for_its_owner_alone(tmp_path):
    Project(tmp_path / "project", create=True)

    assert (tmp_path / "project").stat().st_mode & 0o077 == 0
