import contextlib
import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.noise import examples, make_source, move_landmark

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.aspire_cmr import Builder, cache, prepare
from phdnet_tf.dicom.write import write_image
from phdnet_tf.presets import VIEWS


def test_data_that_are_up_to_date_are_not_built_again(source, tmp_path, monkeypatch):
    prepare(source, "sa", tmp_path / "cache")
    monkeypatch.delattr(Builder, "_split_generators")

    builder = prepare(source, "sa", tmp_path / "cache")

    assert len(examples(builder)) == FOLDS


def test_a_changed_table_is_noticed(source, tmp_path):
    before = prepare(source, "sa", tmp_path / "cache")
    move_landmark(source, "7.25")
    after = prepare(source, "sa", tmp_path / "cache")

    moved = examples(after)["DICOM/subject_8/phase_1.dcm"]["landmarks"]
    assert moved[2, 0] == 7.25
    # A training that has begun goes on with the data that it began with.
    assert examples(before)["DICOM/subject_8/phase_1.dcm"]["landmarks"][2, 0] != 7.25


def test_a_changed_image_is_noticed(source, tmp_path):
    prepare(source, "sa", tmp_path / "cache")
    pixels = np.ones((20, 26), np.uint16)
    pixels[0] = 9
    write_image(
        source / "DICOM/subject_8/phase_1.dcm",
        pixels,
        (1, 1),
        uid_seed="new",
        series_description="drawn",
        patient_id="subject_8",
    )

    after = examples(prepare(source, "sa", tmp_path / "cache"))

    np.testing.assert_array_equal(after["DICOM/subject_8/phase_1.dcm"]["image"], pixels)


def test_preparing_is_silent(source, tmp_path, capfd, caplog):
    tf.constant(0)  # TensorFlow itself has something to say when it starts
    capfd.readouterr()

    prepare(source, "sa", tmp_path / "cache")

    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname != "INFO"]


def test_a_broken_folder_is_one_line_that_points_to_the_check(source, tmp_path):
    move_landmark(source, "seven")
    (source / "DICOM/subject_1/phase_1.dcm").unlink()

    with pytest.raises(ValueError, match=r"'seven'.*`phdnet-tf dataset check .*`") as e:
        prepare(source, "sa", tmp_path / "cache")

    assert "\n" not in str(e.value)
    assert not list((tmp_path).glob("cache/*/aspire_cmr/*"))


def test_an_unreadable_image_is_one_line_with_its_name(source, tmp_path):
    (source / "DICOM/subject_1/phase_1.dcm").write_text("not an image")
    (source / "DICOM/subject_2/phase_1.dcm").unlink()

    with pytest.raises(
        ValueError, match=r"subject_1.*not a DICOM file.*1 more error.*dataset check"
    ) as error:
        prepare(source, "sa", tmp_path / "cache")

    assert "\n" not in str(error.value)


def test_a_missing_folder_and_what_names_no_view_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no folder.*Check the path"):
        prepare(tmp_path / "nowhere", "sa", tmp_path / "cache")
    with pytest.raises(ValueError, match=r"letters, digits.*'\.\./sa'"):
        prepare(tmp_path, "../sa", tmp_path / "cache")


def test_a_cache_that_cannot_be_written_names_the_variable_to_set(source, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ValueError, match=r"cannot be written there.*XDG_CACHE_HOME"):
        prepare(source, "sa", tmp_path / "file" / "cache")


def test_a_full_disk_is_one_line_whoever_writes(source, tmp_path, monkeypatch):
    full = tf.errors.ResourceExhaustedError(None, None, "x.tfrecord; No space left")

    def fail(self, **arguments):
        raise RuntimeError("ResourceExhaustedError: Failed to finalize") from full

    monkeypatch.setattr(Builder, "download_and_prepare", fail)
    with pytest.raises(ValueError, match=r"cannot be written there: No space left\."):
        prepare(source, "sa", tmp_path / "cache")


def test_another_failure_of_tfds_stays_what_it_is(source, tmp_path, monkeypatch):
    def fail(self, **arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Builder, "download_and_prepare", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        prepare(source, "sa", tmp_path / "cache")


def test_the_landmarks_of_the_other_view_are_refused(tmp_path):
    source = make_source(tmp_path / "source", VIEWS["4ch"])

    with pytest.raises(ValueError, match=r"`--view 4ch`"):
        prepare(source, "sa", tmp_path / "cache")


def test_the_cache_follows_xdg_and_differs_between_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    one, other = (cache._default_cache(tmp_path / name) for name in ("one", "other"))

    assert one.parent == other.parent == tmp_path / "phdnet_tf" / "aspire_cmr"
    assert one != other
    monkeypatch.chdir(tmp_path)
    assert cache._default_cache(Path("one")) == one
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    home = Path.home() / ".cache" / "phdnet_tf" / "aspire_cmr"
    assert cache._default_cache(tmp_path / "one").parent == home


def test_states_out_of_use_are_removed_and_nothing_else(source, tmp_path):
    cache_folder = tmp_path / "cache"
    prepare(source, "sa", cache_folder)
    (old,) = cache_folder.iterdir()
    mine = cache_folder / "my work"
    mine.mkdir()
    for path in (old, mine):
        os.utime(path, (0, 0))
    move_landmark(source, "7.25")

    prepare(source, "sa", cache_folder)

    assert not old.exists() and mine.exists()
    assert len(list(cache_folder.iterdir())) == 2


def test_two_that_prepare_at_once_both_get_whole_data(source, tmp_path, monkeypatch):
    # Both have built and neither has put its data in place when the barrier opens.
    barrier = threading.Barrier(2)
    rename = os.rename

    def rename_together(old, new):
        barrier.wait(timeout=60)
        rename(old, new)

    monkeypatch.setattr(cache.os, "rename", rename_together)
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(prepare(source, "sa", tmp_path / "cache"))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(examples(builder)) for builder in found] == [FOLDS, FOLDS]


def test_what_a_killed_process_leaves_behind_does_no_harm(
    source, tmp_path, monkeypatch
):
    left = tmp_path / "cache" / "incomplete-a1b2c3d4"
    left.mkdir(parents=True)
    rename = os.rename

    def rename_in_staging_only(old, new):
        if left not in Path(new).parents:
            sys.exit("killed")
        rename(old, new)

    usual = tempfile.TemporaryDirectory

    def staging_stays(prefix, **keywords):
        if prefix == "incomplete-":
            return contextlib.nullcontext(os.fspath(left))
        return usual(prefix=prefix, **keywords)

    with monkeypatch.context() as patch:
        # As when the process is killed: no renaming, and no one to clean up.
        patch.setattr(cache.tempfile, "TemporaryDirectory", staging_stays)
        patch.setattr(cache.os, "rename", rename_in_staging_only)
        with pytest.raises(SystemExit, match="killed"):
            prepare(source, "sa", tmp_path / "cache")
    assert any(left.rglob("dataset_info.json"))

    assert len(examples(prepare(source, "sa", tmp_path / "cache"))) == FOLDS

    assert left.exists()  # it might have been another process at work
    os.utime(left, (0, 0))
    prepare(source, "sa", tmp_path / "cache")
    assert not left.exists()
