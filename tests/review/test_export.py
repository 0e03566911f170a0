import csv
import shutil

import numpy as np
import pytest
from support.cines import oblique, write_cine
from support.review import ADA, change

from phdnet_tf.datasets.folder.check import check, inspect
from phdnet_tf.dicom.read import read_image
from phdnet_tf.dicom.write import write_image
from phdnet_tf.files import OutputFolder
from phdnet_tf.review.export import place_of, select, write_folder, write_points
from phdnet_tf.review.filling import Progress, fill
from phdnet_tf.review.pictures import Pictures, encode
from phdnet_tf.review.project import Project
from phdnet_tf.review.trail import Lane, append, points

BO = Lane("reader", "Bo")


@pytest.fixture
def read(tmp_path):
    """A project of two phases of a cine, with no model."""
    project = Project(tmp_path / "project", create=True)
    project.choose_landmarks("4ch", ["apex", "base"])
    write_cine(tmp_path / "cine", phases=2, PatientName="Secret^Name")
    project.set("inputs", [str(tmp_path / "cine")])
    fill(project, "all", None, None, None, Progress(), lambda *found: None)
    return project


def hash_of(project, image):
    row = project.store.row("SELECT content_hash FROM images WHERE id = ?", image)
    return row["content_hash"]


def put(project, lane, image, landmark, **values):
    values = {"content_hash": hash_of(project, image), "model": ""} | values
    [found] = append(project.store, lane, [change(image, landmark, **values)])
    assert found["result"] == "stored"


def exported(project, sandbox, folder, accepted=False, reader=None):
    with OutputFolder(folder, False, print) as output:
        pictures = Pictures(project, sandbox, None)
        selection = select(project, reader)
        return write_folder(project, selection, pictures, output, accepted)


def table(folder):
    with (folder / "landmarks.csv").open() as file:
        return list(csv.DictReader(file))


def test_an_export_is_a_folder_that_the_check_passes(read, sandbox, tmp_path):
    put(read, ADA, 1, "apex", x=40.0, y=41.5)
    put(read, ADA, 1, "base", x=60.0, y=50.0)
    put(read, ADA, 2, "apex", x=42.0, y=41.0)
    put(read, ADA, 2, "base", status="absent", x=None, y=None)

    assert exported(read, sandbox, tmp_path / "out") == (2, [])

    first, second = table(tmp_path / "out")
    assert (first["apex_x"], first["apex_y"], first["reader"]) == (
        "40.0",
        "41.5",
        "Ada",
    )
    assert (second["base_x"], second["base_y"], second["frame"]) == ("", "", "1")
    problems = [p for p in check(tmp_path / "out") if p.severity == "error"]
    assert not problems
    # The same images, by their content, and nobody's name.
    facts = inspect(tmp_path / "out").images.values()
    assert [each.content_hash for each in facts] == [hash_of(read, 1), hash_of(read, 2)]
    for file in (tmp_path / "out").rglob("*.dcm"):
        assert b"Secret" not in file.read_bytes()


def test_accepted_points_are_written_only_if_asked_for(read, sandbox, tmp_path):
    put(read, ADA, 1, "apex", x=40.0, y=41.0)
    put(read, ADA, 1, "base", status="accepted", x=60.0, y=50.0)
    put(read, ADA, 2, "base", status="accepted", x=61.0, y=50.0)

    assert exported(read, sandbox, tmp_path / "human")[0] == 1
    assert exported(read, sandbox, tmp_path / "all", accepted=True)[0] == 2
    assert table(tmp_path / "human")[0]["base_x"] == ""
    assert table(tmp_path / "all")[0]["base_x"] == "60.0"


def test_what_a_reader_is_unsure_of_is_left_out(read):
    put(read, ADA, 1, "apex", status="unsure", x=40.0, y=41.0)
    put(read, ADA, 1, "base", x=60.0, y=50.0)

    found = select(read, None)

    assert found.unsure == 1
    assert set(found.images[1]) == {"base"}


def test_of_two_readers_nothing_is_taken_until_somebody_decides(read):
    put(read, ADA, 1, "apex", x=40.0)
    put(read, BO, 1, "apex", x=50.0)

    with pytest.raises(ValueError, match=r"reviewed 1 points.*--decide.*--reader Ada"):
        select(read, None)
    assert select(read, "Bo").images[1]["apex"]["x"] == 50.0

    put(read, Lane("judge", "Cy"), 1, "apex", x=45.0)
    assert select(read, None).images[1]["apex"]["x"] == 45.0
    assert select(read, "Bo").images[1]["apex"]["x"] == 45.0


def test_one_readers_points_are_taken_where_several_have_looked_and_only_there(read):
    put(read, ADA, 1, "apex", x=1.0, y=2.0)
    put(read, BO, 1, "apex", x=3.0, y=4.0)
    put(read, BO, 2, "apex", x=5.0, y=6.0)

    found = select(read, "Ada").images

    assert found[1]["apex"]["x"] == 1.0
    assert found[2]["apex"]["x"] == 5.0


def test_readers_who_agree_that_a_point_is_absent_have_decided(read):
    for lane in (ADA, BO):
        put(read, lane, 1, "apex", status="absent", action="absent", x=None, y=None)
        put(read, lane, 2, "apex", status="unsure", action="unsure", x=1.0, y=1.0)

    found = select(read, None)

    assert found.images[1]["apex"]["status"] == "absent"
    assert 2 not in found.images and found.unsure == 1


def test_a_reader_who_is_not_there_is_told_who_is(read):
    with pytest.raises(ValueError, match="nobody has reviewed"):
        select(read, None)
    put(read, ADA, 1, "apex")
    with pytest.raises(ValueError, match="no points of Eve.* Ada"):
        select(read, "Eve")


def test_an_image_that_changed_on_disk_is_told_and_left_out(read, sandbox, tmp_path):
    put(read, ADA, 1, "apex", x=40.0, y=41.0)
    put(read, ADA, 2, "apex", x=40.0, y=41.0)
    cine = tmp_path / "cine"
    shutil.copy(cine / "phase_02.dcm", cine / "phase_01.dcm")

    count, [line] = exported(read, sandbox, tmp_path / "out")

    assert count == 1
    assert "image 1 has changed on disk" in line


def test_values_that_are_not_whole_are_written_exactly(tmp_path):
    pixels = np.random.default_rng(0).normal(0, 50, (8, 10)).astype(np.float32)
    path = tmp_path / "image.dcm"
    about = {"uid_seed": "t", "series_description": "t", "patient_id": "t"}
    write_image(path, pixels, (1.5, 1.25), **about)

    np.testing.assert_array_equal(read_image(path).pixels, pixels)


def test_points_are_told_in_the_patient_too(read, tmp_path):
    put(read, ADA, 1, "apex", x=4.0, y=2.0)
    [point] = points(read.store)

    x, y = np.reshape(oblique(), (2, 3))
    # 4 pixels of 1.25 mm along x, 2 of 1.5 mm along y.
    expected = np.array([-120.5, 40.25, 60.125]) + 5.0 * x + 3.0 * y
    np.testing.assert_allclose(place_of(point), expected, atol=1e-6)
    with OutputFolder(tmp_path / "out", False, print) as output:
        assert write_points(select(read, None), output) == 1
    text = (tmp_path / "out" / "points.csv").read_text()
    [row] = csv.DictReader(text.splitlines())
    assert (row["landmark"], row["x"], row["status"]) == ("apex", "4.0", "corrected")
    assert float(row["position_lps_x"]) == pytest.approx(expected[0])


def test_directions_that_are_not_at_right_angles_give_no_place(read, tmp_path):
    with read.store.writing() as connection:
        connection.execute("UPDATE images SET orientation = '[1, 0, 0, 1, 0, 0]'")
    put(read, ADA, 1, "apex", x=4.0, y=2.0)

    with OutputFolder(tmp_path / "out", False, print) as output:
        write_points(select(read, None), output)

    text = (tmp_path / "out" / "points.csv").read_text()
    [row] = csv.DictReader(text.splitlines())
    assert row["x"] == "4.0"
    assert not any(row[f"position_lps_{axis}"] for axis in "xyz")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 32767], "int16"),
        ([-32768, 5], "int16"),
        ([0, 65535], "uint16"),
        ([-1, 65535], "float32"),
        ([0, 65536], "float32"),
        ([0.5, 1], "float32"),
    ],
)
def test_pixels_travel_in_the_smallest_form_that_is_exact(values, kind):
    pixels = np.array([values], np.float32)

    raw = encode(pixels)

    assert raw.kind == kind
    np.testing.assert_array_equal(np.frombuffer(raw.data, kind), values)
