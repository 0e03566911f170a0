import csv
import re
import sys

import pytest
from pyarrow import parquet
from support.batch import landmarks, part_bytes, write_study
from support.command import run
from support.drawn import exported

import phdnet_tf.workers
from phdnet_tf.files import OutputFolder


@pytest.fixture
def models(tmp_path):
    exported(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def archive(tmp_path):
    for name in ("a", "b", "c"):
        write_study(tmp_path / "in" / name, name, images=2)
    (tmp_path / "in" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 99)
    return tmp_path / "in"


@pytest.mark.slow
def test_slices_and_a_report_of_what_predict_would_find(tmp_path, models, archive):
    output = tmp_path / "out"
    common = ["--output", output, "--models", models, "--shard-images", 3]

    told = run("batch", "plan", archive, "--output", output).stderr
    assert "Planned 6 files of 3 studies." in told and "1 files cannot be" in told
    told = run("batch", "run", *common, "--shard", "1/2").stderr
    assert "2 of 3 shards are done: 4 images of 2 studies." in told
    assert "1 shards are not done. Run the same command to resume." in told
    first = part_bytes(output, 1)
    told = run("batch", "run", *common, "--shard", "2/2").stderr
    assert "3 of 3 shards are done: 6 images of 3 studies." in told
    assert part_bytes(output, 1) == first

    # What predict finds, to the digits that are written.
    told = run(
        *("predict", archive, "--models", models, "--format", "csv"), code=1
    ).stdout
    expected = list(csv.DictReader(told.splitlines()))
    found = landmarks(output)
    assert len(found) == len(expected) == 12
    for row, other in zip(found, expected, strict=True):
        assert row["image"] == other["image"]
        assert row["landmark"] == other["landmark"]
        for name in ("x", "y"):
            assert row[name] == pytest.approx(float(other[name]), abs=1e-3)
        assert row["confidence"] == pytest.approx(float(other["confidence"]), abs=1e-4)

    [error] = parquet.read_table(output / "errors.parquet").to_pylist()
    assert error["file"] == str(archive / "broken.dcm")

    run("batch", "report", output)
    page = (output / "report.html").read_text()
    assert "<h2>View sa</h2>" in page and "1 files that failed" in page
    assert len(re.findall(r"<figure>.*?data:image/png", page)) == 6
    assert "<script" not in page and "http://" not in page and "https://" not in page


@pytest.mark.slow
def test_one_command_plans_and_goes_on_workers(tmp_path, models, archive):
    output = tmp_path / "out"
    common = ["--output", output, "--models", models, "--workers", 1]

    told = run("batch", "run", archive, *common).stderr
    assert "Planned 6 files of 3 studies." in told
    assert "1 of 1 shards are done: 6 images of 3 studies." in told
    assert "Failed: 1; see" in told
    before = (output / "parts" / "part-00000.parquet").stat().st_mtime_ns

    assert "1 of 1 shards are done" in run("batch", "run", *common).stderr
    assert (output / "parts" / "part-00000.parquet").stat().st_mtime_ns == before
    told = run("batch", "run", *common, "--frames", "all", code=1).stderr
    assert "expected the frames that it was started with, null. Received" in told


def test_without_a_plan_a_slice_is_refused(tmp_path, models):
    arguments = ["--output", tmp_path / "out", "--models", models, "--shard", "1/2"]

    told = run("batch", "run", *arguments, code=1).stderr

    assert "start with 'phdnet-tf batch plan SOURCE --output" in told


@pytest.mark.parametrize("piece", ["0/3", "4/3", "3", "a/b", "1/0"])
def test_a_slice_that_is_none_is_refused(piece):
    told = run("batch", "run", "--output", "x", "--shard", piece, code=2).stderr

    assert f"'{piece}' is not I/N with I from 1 to N" in told


def test_two_ways_to_run_are_refused(tmp_path):
    arguments = ["--output", tmp_path, "--shard", "1/1", "--workers", "2"]

    told = run("batch", "run", *arguments, code=2).stderr

    assert "Give only one of --workers, --scheduler and --shard." in told


def test_without_dask_the_way_without_it_is_told(
    tmp_path, models, archive, monkeypatch
):
    monkeypatch.setitem(sys.modules, "distributed", None)
    # As if no test before had imported it.
    monkeypatch.delitem(sys.modules, "phdnet_tf.workers.engine", raising=False)
    monkeypatch.delattr(phdnet_tf.workers, "engine", raising=False)
    arguments = ["--output", tmp_path / "out", "--models", models]

    told = run("batch", "run", archive, *arguments, code=1).stderr

    assert "pip install 'phdnet-tf[cluster]'" in told and "--shard 1/1" in told


def test_a_folder_of_something_else_is_left_alone(tmp_path, archive):
    with OutputFolder(tmp_path / "out", False, print) as other:
        with other.whole_file(tmp_path / "out" / "predictions.json") as path:
            path.write_text("[]")

    told = run("batch", "plan", archive, "--output", tmp_path / "out", code=1).stderr

    assert "expected a new or an empty folder, or that of a batch" in told
