"""`phdnet-tf evaluate` as a user runs it."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from support.cines import edit
from support.command import run

from phdnet_tf.export.checksums import CHECKSUMS, checksums

pytestmark = pytest.mark.slow


def test_evaluation_takes_the_fold_that_training_left_untouched(
    trained, data, tmp_path
):
    models = trained[1] / "models"
    output = tmp_path / "evaluation"

    result = run("evaluate", "--data", data, "--models", models, "--output", output)

    report = json.loads((output / "evaluation.json").read_text())
    assert report["images"] == 1 and report["left_out"] == 7
    assert "Caution" not in result.output
    with (output / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    errors = [float(row["error_mm"]) for row in rows]
    assert report["landmarks"]["overall"]["all"]["mean"] == pytest.approx(
        np.mean(errors), rel=1e-3
    )
    assert (output / "error_curve.png").stat().st_size > 1000


def evaluated(folder, models, *options, code=0):
    return run("evaluate", "--data", folder, "--models", models, *options, code=code)


@pytest.fixture
def models(trained):
    return trained[1] / "models"


@pytest.fixture
def copy(data, tmp_path):
    """The data once more, to be changed."""
    return Path(shutil.copytree(data, tmp_path / "copy"))


def resave_with_other_line_ends(folder):
    table = folder / "landmarks.csv"
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))


def add_a_subject(folder):
    """Before all others, so that by its place in the table it would move each."""
    table = folder / "landmarks.csv"
    header, first, *rest = table.read_text().splitlines()
    image = first.split(",")[1]
    new = folder / "DICOM" / "newcomer.dcm"
    shutil.copy(folder / image, new)
    ds = pydicom.dcmread(new)
    ds.PixelData = bytes(ds.PixelData[::-1])
    ds.save_as(new)
    cells = first.split(",")
    cells[:2] = ["newcomer", "DICOM/newcomer.dcm"]
    table.write_text("\n".join([header, ",".join(cells), first, *rest]) + "\n")


def rename_subjects_and_files(folder):
    """As an anonymiser does, which writes every file anew."""
    table = folder / "landmarks.csv"
    header, *rows = table.read_text().splitlines()
    renamed = []
    for number, row in enumerate(rows):
        cells = row.split(",")
        edit(folder / cells[1], PatientID=f"P{number}", SOPInstanceUID=f"1.2.{number}")
        (folder / cells[1]).rename(folder / "DICOM" / f"{number}.dcm")
        cells[:2] = [f"P{number}", f"DICOM/{number}.dcm"]
        renamed.append(",".join(cells))
    table.write_text("\n".join([header, *renamed]) + "\n")


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (resave_with_other_line_ends, 1),
        (add_a_subject, 2),
        (rename_subjects_and_files, 1),
    ],
)
def test_no_image_that_was_learnt_from_is_scored_in_silence(
    models, copy, tmp_path, change, left
):
    change(copy)
    output = tmp_path / "out"

    result = evaluated(copy, models, "--output", output)

    report = json.loads((output / "evaluation.json").read_text())
    assert (report["images"], report["left_out"]) == (left, 7)
    assert "without 7 images that it has learnt from" in result.output


def test_where_nothing_is_left_to_score_it_is_said_in_a_line(models, data):
    refused = evaluated(data, models, "--fold", 2, code=1)

    assert "has learnt from all 1 images" in refused.output
    assert "--include-seen" in refused.output


def test_images_without_an_annotated_point_are_no_result(models, copy, tmp_path):
    table = copy / "landmarks.csv"
    header, *rows = table.read_text().splitlines()
    empty = [",".join([*row.split(",")[:2], *[""] * 6]) for row in rows]
    table.write_text("\n".join([header, *empty]) + "\n")
    output = tmp_path / "out"

    refused = evaluated(copy, models, "--output", output, code=1)

    assert "expected an annotated landmark" in refused.output
    assert not (output / "evaluation.json").exists()


def test_images_that_were_learnt_from_are_scored_under_a_heading(models, data):
    result = evaluated(data, models, "--include-seen")

    assert "THOSE IT HAS LEARNT FROM AMONG THEM" in result.output
    assert "8 images of 8 subjects" in result.output


def test_other_images_of_subjects_that_were_learnt_from_are_cautioned(models, copy):
    table = copy / "landmarks.csv"
    add_a_subject(copy)
    rows = table.read_text()
    known = rows.splitlines()[2].split(",")[0]
    table.write_text(rows.replace("newcomer,DICOM", f"{known},DICOM"))

    result = evaluated(copy, models)

    assert "Caution: of 1 subjects that are scored" in result.output


@pytest.mark.parametrize("lacking", ["bins", "data"])
def test_a_model_of_another_version_is_one_clear_line(models, data, tmp_path, lacking):
    [name] = [path.name for path in models.iterdir() if path.name.startswith("phdnet_")]
    copied = Path(shutil.copytree(models / name, tmp_path / "models" / name))
    file = copied / "1" / "phdnet.json"
    description = json.loads(file.read_text())
    del description[lacking]
    file.write_text(json.dumps(description))
    (file.parent / CHECKSUMS).write_text(checksums(file.parent))

    listed = run("models", "--models", copied.parent)
    assert name in listed.output and ("unknown" in listed.output) == (lacking == "data")
    refused = evaluated(data, copied.parent, code=1 if lacking == "bins" else 0)
    assert "Traceback" not in refused.output
    assert ("Train it again" in refused.output) == (lacking == "bins")
