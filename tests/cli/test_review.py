"""`phdnet-tf review`, from its options to its exit codes."""

import csv
import json
import re
import signal
import subprocess
import sys

import pytest
import requests
from support.browser import drawn_project, poll
from support.cines import write_cine
from support.command import run
from support.drawn import exported
from support.review import ADA, change

from phdnet_tf.review.project import Project
from phdnet_tf.review.trail import append

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = drawn_project(tmp_path_factory.mktemp("review"), images=3)
    rows = project.store.rows("SELECT content_hash FROM images ORDER BY id")
    hashes = [row["content_hash"] for row in rows]
    moved = [
        change(1, "lv_apex", content_hash=hashes[0], x=100.0, y=50.0),
        change(2, "lv_apex", content_hash=hashes[1], status="accepted", x=120, y=70),
        change(3, "lv_apex", content_hash=hashes[2], status="unsure", x=1, y=1),
    ]
    append(project.store, ADA, moved)
    return project


def test_what_is_exported_passes_the_check(project, tmp_path):
    result = run("review", "export", project.folder, "--output", tmp_path / "out")

    assert "1 images with points" in result.output
    assert "Left out: 1 points that the reader is unsure of" in result.output
    run("dataset", "check", tmp_path / "out")


def test_all_formats_go_to_one_folder(project, tmp_path):
    formats = [f"--format={each}" for each in ("folder", "csv", "slicer", "sr")]
    out = tmp_path / "out"
    run("review", "export", project.folder, "--output", out, "--accepted", *formats)

    names = {path.name for path in out.rglob("*") if path.is_file()}
    assert {"landmarks.csv", "points.csv", "image_000001.mrk.json"} <= names
    assert "cine_000001-sr.dcm" in names
    rows = csv.DictReader((out / "landmarks.csv").read_text().splitlines())
    assert [float(row["lv_apex_x"]) for row in rows] == [100, 120]
    again = run("review", "export", project.folder, "--output", out, code=1)
    assert "--overwrite" in again.output


def test_statistics_are_told_as_text_and_as_json(project):
    text = run("review", "stats", project.folder).output
    found = json.loads(run("review", "stats", project.folder, "--format=json").output)

    assert "lv_apex: 1 accepted, 1 corrected, 0 absent, 1 unsure" in text
    # 20 pixels of 1.25 mm and 20 of 1.5 mm.
    assert found["landmarks"]["lv_apex"]["moved_mm"]["mean"] == pytest.approx(39.051)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "P", "--output", "O", "--verified-as", "A", "B"], "--format sr"),
        (["export", "P", "--output", "O", "--previous", "P"], "--verified-as"),
        (["open", "--project", "P", "--landmark", "a", "--model", "P"], "--model"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    project, tmp_path, arguments, said
):
    names = {"P": project.folder, "O": tmp_path / "out"}

    result = run("review", *(names.get(a, a) for a in arguments), code=2)

    assert said in result.output


def test_a_folder_that_is_no_project_is_told_how_to_make_one(tmp_path):
    for arguments in (["stats", tmp_path], ["export", tmp_path, "--output", "x"]):
        result = run("review", *arguments, code=1)
        assert "review open IMAGE" in result.output
    result = run("review", "open", "--project", tmp_path / "none", code=1)
    assert "review open IMAGE" in result.output
    assert not (tmp_path / "none").exists()


def test_other_landmarks_are_another_project(project):
    result = run(
        *("review", "open", "--project", project.folder, "--landmark", "elbow"), code=1
    )

    assert "Choose another --project" in result.output


def opened(*arguments):
    """A running review, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from phdnet_tf.cli import main; main()"]
        + ["review", "open", "--no-browser", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for line in process.stdout:
        found = re.match(r"(http://\S+)/#code=(\S+)", line)
        if found:
            return process, *found.groups()
    raise AssertionError(process.wait())


def test_images_are_predicted_in_the_background_and_it_goes_on(tmp_path):
    write_cine(tmp_path / "cine", phases=6)
    exported(tmp_path / "models", "4ch")
    project = tmp_path / "project"
    options = ["--models", tmp_path / "models", "--project", project]
    process, origin, code = opened(tmp_path / "cine", "--frames", "all", *options)
    try:
        headers = {"Origin": origin}
        answer = requests.post(f"{origin}/api/session", data=code, headers=headers)
        headers["Authorization"] = f"Bearer {answer.json()['token']}"
        told = f"{origin}/api/project"
        poll(
            lambda: not requests.get(told, headers=headers).json()["filling"]["what"],
            seconds=90,
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()

    made = Project(project)
    rows = made.store.rows("SELECT jump, recognised FROM predictions")
    assert len(rows) == 12
    assert all(row["jump"] is not None for row in rows)
    assert made.setting("filled") == made.model
    assert made.view == "4ch"
