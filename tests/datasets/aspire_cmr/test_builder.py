import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow_datasets as tfds
from support.cines import write_cine, write_enhanced
from support.noise import DUMMY_DATA, examples, make_source, move_landmark
from tensorflow_datasets import testing

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.aspire_cmr import Builder, prepare
from phdnet_tf.dicom.read import DicomFile, read_image
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.presets import VIEWS


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


def config(folder):
    return tfds.download.DownloadConfig(manual_dir=folder)


def load(folder, data_dir, **kwargs):
    return tfds.load(
        "aspire_cmr/sa",
        data_dir=data_dir,
        download_and_prepare_kwargs={"download_config": config(folder)},
        **kwargs,
    )


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
        0, 4096, (16, 16), np.uint16
    )
    np.testing.assert_array_equal(first["image"], pixels)
    assert first["image"].dtype == np.float32
    np.testing.assert_array_equal(first["pixel_spacing"], [1.125, 1.5])  # y before x
    np.testing.assert_array_equal(first["orientation"], [1, 0, 0, 0, 1, 0])  # axial
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


def test_every_image_is_decoded_once_and_none_is_left_behind(
    source, tmp_path, monkeypatch
):
    decoded = []
    image = Sandbox.image

    def noted(self, location, *arguments):
        decoded.append(location.path.relative_to(source).as_posix())
        return image(self, location, *arguments)

    def here(*arguments, **keywords):
        raise AssertionError("a file was decoded in this process")

    monkeypatch.setattr(Sandbox, "image", noted)
    monkeypatch.setattr(DicomFile, "image", here)

    found = examples(prepare(source, "sa", tmp_path / "cache"))

    assert sorted(decoded) == sorted(found) and len(found) == FOLDS
    assert not list(tmp_path.rglob("decoded-*"))


def test_an_example_tells_the_hash_of_its_image_and_the_number_of_its_frame(
    source, tmp_path
):
    write_enhanced(source / "cine.dcm", write_cine(tmp_path / "classic"))
    table = (source / "landmarks.csv").read_text().splitlines()
    lines = [f"{table[0]},frame", *(f"{line}," for line in table[1:])]
    lines += [f"subject_1,cine.dcm,1,2,3,4,5,6,{frame}" for frame in (2, 5)]
    (source / "landmarks.csv").write_text("\n".join(lines))

    found = examples(prepare(source, "sa", tmp_path / "cache"))

    assert len(found) == FOLDS + 2
    for frame in (2, 5):
        image = read_image(source / "cine.dcm", frame=frame)
        example = found[f"cine.dcm#{frame}"]
        np.testing.assert_array_equal(example["image"], image.pixels)
        assert example["content_hash"].decode() == image.content_hash()


def test_the_column_fold_decides_the_split(source, tmp_path):
    table = (source / "landmarks.csv").read_text().splitlines()
    lines = [f"{table[0]},fold", *(f"{line},6" for line in table[1:5]), *table[5:]]
    lines[5:] = [f"{line}," for line in lines[5:]]
    (source / "landmarks.csv").write_text("\n".join(lines))

    builder = prepare(source, "sa", tmp_path / "cache")

    assert {n: s.num_examples for n, s in builder.info.splits.items()} == {
        "fold_0": 1, "fold_1": 1, "fold_2": 1, "fold_3": 1, "fold_6": 4,
    }  # fmt: skip
