import dataclasses
import json
import threading

import pytest
from support.batch import STUB, planned, write_study

from phdnet_tf.batch.layout import MANIFEST, alone
from phdnet_tf.batch.manifest import claim, describe_model, load_manifest
from phdnet_tf.batch.plan import plan

WANTED = ([STUB], "sa", None, None, 4)


def test_shards_have_whole_studies(tmp_path):
    for name, images in {"a": 3, "b": 1, "c": 9, "d": 1, "e": 2, "f": 2}.items():
        write_study(tmp_path / "archive" / name, name, images)
    plan([tmp_path / "archive"], None, tmp_path / "out", readers=1)

    manifest = claim(tmp_path / "out", *WANTED)

    # 3 + 1, 9 alone, 1 + 2, 2: no more than 4 where that can be.
    assert manifest.shards == ((1, 2), (3, 3), (4, 5), (6, 6))
    assert load_manifest(tmp_path / "out") == manifest


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [
        (0, [dataclasses.replace(STUB, sha256="1" * 64)], "models"),
        (1, None, "view"),
        (2, "all", "frames"),
        (3, (1.5, 1.5), "pixel spacing"),
        (4, 2, "shard images"),
    ],
)
def test_a_rerun_that_wants_something_else_is_refused(tmp_path, place, value, name):
    folder, manifest = planned(tmp_path, ["a", "b", "c"])
    wanted = list(WANTED)
    wanted[place] = value

    with pytest.raises(ValueError, match=f"expected the {name} that it was started"):
        claim(folder, *wanted)

    assert claim(folder, *WANTED) == manifest
    assert [path.name for path in folder.glob(".unfinished*")] == []


def test_a_new_plan_of_something_else_is_refused(tmp_path):
    folder, _ = planned(tmp_path, ["a"])
    write_study(tmp_path / "archive" / "b", "b")
    (folder / "index.sqlite").unlink()
    plan([tmp_path / "archive"], None, folder, readers=1)

    with pytest.raises(ValueError, match="expected the (shards|index) that it was"):
        claim(folder, *WANTED)


def test_of_many_that_start_at_once_one_decides(tmp_path):
    folder, _ = planned(tmp_path, ["a", "b"])
    (folder / MANIFEST).unlink()
    start, results = threading.Barrier(8), []

    def take(number):
        start.wait()
        try:
            results.append(claim(folder, [STUB], "sa", None, None, 1 + number % 2))
        except ValueError:
            results.append(None)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    kept = [each for each in results if each is not None]
    assert len(kept) == 4
    assert set(kept) == {load_manifest(folder)}


def test_a_damaged_manifest_is_told(tmp_path):
    folder, _ = planned(tmp_path, ["a"])
    (folder / MANIFEST).write_text(json.dumps({"models": []}))

    with pytest.raises(ValueError, match="expected what 'phdnet-tf batch run' wrote"):
        load_manifest(folder)


def test_a_model_is_known_by_its_content(tmp_path):
    version = tmp_path / "phdnet_sa" / "3"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"graph")
    (version / "phdnet.json").write_text('{"view": "sa", "landmarks": []}')

    first = describe_model(tmp_path / "phdnet_sa")
    (version / "saved_model.pb").write_bytes(b"other")
    second = describe_model(version)

    assert (first.view, first.name, first.path) == ("sa", "phdnet_sa/3", str(version))
    assert first.sha256 != second.sha256


def test_a_folder_has_one_leader_and_nothing_of_others(tmp_path):
    with (
        alone(tmp_path / "out"),
        pytest.raises(ValueError, match="another phdnet-tf is at work there"),
        alone(tmp_path / "out"),
    ):
        pass
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"with 'thesis\.txt' in it: choose another"):
        with alone(tmp_path / "out"):
            pass
