import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets import testing

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.aspire_cmr import Builder, cache, prepare
from phdnet_tf.dicom.write import write_image
from phdnet_tf.presets import VIEWS

DUMMY_DATA = Path(__file__).parents[2] / "datasets" / "aspire_cmr" / "dummy_data"
EVERY_FOLD = "+".join(f"fold_{fold}" for fold in range(FOLDS))


class _AspireCmrTest(testing.DatasetBuilderTestCase):
    DATASET_CLASS = Builder
    SPLITS = {f"fold_{fold}": 1 for fold in range(FOLDS)}


class TestShortAxis(_AspireCmrTest):
    BUILDER_CONFIG_NAMES_TO_TEST = ["sa"]
    EXAMPLE_DIR = DUMMY_DATA / "sa"


class TestFourChamber(_AspireCmrTest):
    BUILDER_CONFIG_NAMES_TO_TEST = ["4ch"]
    EXAMPLE_DIR = DUMMY_DATA / "4ch"


# pytest would collect it as a data set without a class.
del _AspireCmrTest


def make_source(folder, landmarks=VIEWS["sa"], subjects=FOLDS, seed="dummy"):
    """An ASPIRE-style folder of noise, with the first landmark of the first row absent.

    Run this file to write the package's dummy data anew.
    """
    header = ["subject", "image"]
    header += [f"{name}_{axis}" for name in landmarks for axis in "xy"]
    lines = [",".join(header)]
    for number in range(1, subjects + 1):
        subject = f"subject_{number}"
        image = f"DICOM/{subject}/phase_1.dcm"
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng([number, *seed.encode()])
        height, width = 12 + number, 10 + 2 * number
        write_image(
            folder / image,
            generator.integers(0, 4096, (height, width), np.uint16),
            (1 + number / 8, 1.5),
            uid_seed=seed,
            series_description="drawn",
            patient_id=subject,
        )
        points = generator.integers(0, 10, 2 * len(landmarks)).astype(str)
        if number == 1:
            points[:2] = ""
        lines.append(",".join([subject, image, *points]))
    (folder / "landmarks.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / "source")


def config(folder):
    return tfds.download.DownloadConfig(manual_dir=folder)


def load(folder, data_dir, **kwargs):
    return tfds.load(
        "aspire_cmr/sa",
        data_dir=data_dir,
        download_and_prepare_kwargs={"download_config": config(folder)},
        **kwargs,
    )


def examples(builder, split=EVERY_FOLD):
    found = builder.as_dataset(split=split).as_numpy_iterator()
    return {example["image_id"].decode(): example for example in found}


def move_landmark(folder, cell):
    """Writes another x for the last landmark of the last subject."""
    table = folder / "landmarks.csv"
    lines = table.read_text().splitlines()
    cells = lines[-1].split(",")
    cells[-2] = cell
    table.write_text("\n".join([*lines[:-1], ",".join(cells)]) + "\n")


@pytest.mark.parametrize("view", VIEWS)
def test_the_dummy_data_are_noise_that_make_source_draws(view, tmp_path):
    drawn = make_source(tmp_path, VIEWS[view], seed=view)
    files = sorted(path.relative_to(drawn) for path in drawn.rglob("*.*"))

    assert len(files) == FOLDS + 1
    for file in files:
        assert (DUMMY_DATA / view / file).read_bytes() == (drawn / file).read_bytes()


def test_an_example_holds_what_the_table_and_the_file_hold(source, tmp_path):
    found = examples(prepare(source, "sa", tmp_path / "cache"))

    first = found["DICOM/subject_1/phase_1.dcm"]
    pixels = np.random.default_rng([1, *b"dummy"]).integers(
        0, 4096, (13, 12), np.uint16
    )
    np.testing.assert_array_equal(first["image"], pixels)
    assert first["image"].dtype == np.float32
    np.testing.assert_array_equal(first["pixel_spacing"], [1.125, 1.5])  # y before x
    assert first["subject"] == b"subject_1"
    assert np.isnan(first["landmarks"][0]).all()  # an empty cell
    assert np.isfinite(first["landmarks"][1:]).all()
    last_row = (source / "landmarks.csv").read_text().splitlines()[-1].split(",")
    np.testing.assert_array_equal(
        found["DICOM/subject_8/phase_1.dcm"]["landmarks"],
        np.float32(last_row[2:]).reshape(3, 2),
    )


def test_folds_join_as_splits_do(source, tmp_path):
    builder = prepare(source, "sa", tmp_path / "cache")

    assert list(builder.info.splits) == [f"fold_{fold}" for fold in range(FOLDS)]
    two = {e["subject"] for e in examples(builder, "fold_2+fold_3").values()}
    assert two == {b"subject_3", b"subject_4"}


def test_subjects_with_the_same_image_are_in_one_fold(source, tmp_path):
    twin = source / "DICOM/subject_5/phase_1.dcm"
    twin.write_bytes((source / "DICOM/subject_2/phase_1.dcm").read_bytes())

    builder = prepare(source, "sa", tmp_path / "cache")

    subjects = {e["subject"] for e in examples(builder, "fold_1").values()}
    assert subjects == {b"subject_2", b"subject_5"}


def test_fewer_than_eight_subjects_fill_fewer_folds(tmp_path):
    source = make_source(tmp_path / "source", subjects=3)

    builder = prepare(source, "sa", tmp_path / "cache")

    assert list(builder.info.splits) == ["fold_0", "fold_1", "fold_2"]


def test_landmarks_may_have_any_names_and_number(tmp_path):
    source = make_source(tmp_path / "source", ("crux", "moderator_band"))
    builder = prepare(source, "4ch", tmp_path / "cache")

    assert builder.info.metadata["landmarks"] == ["crux", "moderator_band"]
    assert all(e["landmarks"].shape == (2, 2) for e in examples(builder).values())


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


def test_tfds_load_notices_a_change(source, tmp_path):
    load(source, tmp_path / "tfds")
    move_landmark(source, "7.25")

    found = load(source, tmp_path / "tfds", split="fold_7").as_numpy_iterator()

    assert [example["landmarks"][2, 0] for example in found] == [7.25]


def test_tfds_load_notices_another_source(source, tmp_path):
    load(source, tmp_path / "tfds")
    other = make_source(tmp_path / "other", ("apex",), seed="other")

    _, info = load(other, tmp_path / "tfds", split="fold_0", with_info=True)

    assert info.metadata["landmarks"] == ["apex"]


def test_tfds_load_takes_data_whose_source_is_gone_as_they_are(source, tmp_path):
    load(source, tmp_path / "tfds")

    data = tfds.load("aspire_cmr/sa", split="fold_0", data_dir=tmp_path / "tfds")

    assert len(list(data)) == 1


def test_tfds_load_works_in_a_fresh_process_on_data_of_an_earlier_one(source, tmp_path):
    load(source, tmp_path / "tfds")
    program = f"""
    import tensorflow_datasets as tfds
    import phdnet_tf.datasets.aspire_cmr

    data, info = tfds.load(
        "aspire_cmr/sa",
        split="fold_2+fold_3",
        data_dir={os.fspath(tmp_path / "tfds")!r},
        with_info=True,
        download_and_prepare_kwargs={{
            "download_config": tfds.download.DownloadConfig(
                manual_dir={os.fspath(source)!r}
            )
        }},
    )
    print(len(list(data)), info.metadata["landmarks"])
    """

    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout == f"2 {list(VIEWS['sa'])}\n"


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


def test_a_missing_folder_and_an_unknown_view_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no folder.*Check the path"):
        prepare(tmp_path / "nowhere", "sa", tmp_path / "cache")
    with pytest.raises(ValueError, match=r"expected one of .*'2ch'"):
        prepare(tmp_path, "2ch", tmp_path / "cache")


def test_a_cache_that_cannot_be_written_names_the_variable_to_set(source, tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ValueError, match=r"cannot be written there.*XDG_CACHE_HOME"):
        prepare(source, "sa", tmp_path / "file" / "cache")


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

    with monkeypatch.context() as patch:
        # As when the process is killed: no renaming, and no one to clean up.
        patch.setattr(
            cache.tempfile,
            "TemporaryDirectory",
            lambda **_: contextlib.nullcontext(os.fspath(left)),
        )
        patch.setattr(cache.os, "rename", rename_in_staging_only)
        with pytest.raises(SystemExit, match="killed"):
            prepare(source, "sa", tmp_path / "cache")
    assert any(left.rglob("dataset_info.json"))

    assert len(examples(prepare(source, "sa", tmp_path / "cache"))) == FOLDS

    assert left.exists()  # it might have been another process at work
    os.utime(left, (0, 0))
    prepare(source, "sa", tmp_path / "cache")
    assert not left.exists()


if __name__ == "__main__":
    for name, landmarks in VIEWS.items():
        make_source(DUMMY_DATA / name, landmarks, seed=name)
