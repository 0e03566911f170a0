import json
import os
from pathlib import Path

import pytest
from support.batch import (
    STUB,
    Stub,
    files_of,
    images,
    landmarks,
    part_bytes,
    planned,
    write_study,
)
from support.cines import write_cine

from phdnet_tf.batch.layout import part, record, unfinished
from phdnet_tf.batch.manifest import claim
from phdnet_tf.batch.marks import Marks
from phdnet_tf.batch.plan import plan
from phdnet_tf.batch.shard import load_record, run_shard


@pytest.fixture
def do(sandbox, tmp_path):
    """Does a shard, and returns its counts and the images that the model was given."""

    def run(folder, manifest, shard):
        stub = Stub(tmp_path / "flags")
        counts = run_shard(folder, shard, manifest, {"sa": stub}, sandbox)
        return counts, stub.seen

    return run


def test_a_row_has_what_was_found(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a"], images=2)

    counts, _ = do(folder, manifest, 0)

    first, second = landmarks(folder)
    # Image `number` has its brightest pixel at (7 + number, 5).
    assert (first["x"], second["x"]) == (7.123, 8.123)
    expected = {
        "image": str(tmp_path / "archive" / "a" / "a_0.dcm"),
        **{"frame": 1, "cine": 1, "phase": 1, "view": "sa", "landmark": "bright"},
        **{"y": 5.0, "confidence": 1.2346, "high_confidence": True},
        **{"radius_50_mm": 1.0, "radius_90_mm": 2.0, "radius_95_mm": 3.0},
        **{"position_x": None, "recognised": True, "model": "stub/1"},
    }
    assert {name: first[name] for name in expected} == expected
    assert len(first["study"]) == 32 and len(first["content_hash"]) == 64
    assert first["content_hash"] != second["content_hash"]
    assert counts["images"] == 2 and counts["failed"] == 0


def test_a_shard_that_is_done_is_left(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a", "b", "c"])
    counts, seen = do(folder, manifest, 0)
    before = part(folder, 0).stat().st_mtime_ns

    again, none = do(folder, manifest, 0)

    assert [Path(name).name for name in seen] == files_of("ab")
    assert none == [] and again == counts
    assert part(folder, 0).stat().st_mtime_ns == before
    assert not part(folder, 1).exists()


def test_a_part_has_the_same_bytes_each_time(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a", "b", "c"])
    for shard in (0, 1):
        do(folder, manifest, shard)
    first = part_bytes(folder, 2)
    for shard in (1, 0):
        part(folder, shard).unlink()
        do(folder, manifest, shard)

    assert part_bytes(folder, 2) == first


def test_images_are_predicted_together_only_within_a_study(tmp_path, sandbox):
    folder, manifest = planned(tmp_path, ["a", "b"], images=3, shard_images=9)
    pieces = []

    class Watched(Stub):
        def predict_many(self, images, names):
            pieces.append([Path(name).name for name in names])
            return super().predict_many(images, names)

    run_shard(folder, 0, manifest, {"sa": Watched(tmp_path / "flags")}, sandbox)

    # Two at once is what the model asks for.
    assert pieces == [
        ["a_0.dcm", "a_1.dcm"],
        ["a_2.dcm"],
        ["b_0.dcm", "b_1.dcm"],
        ["b_2.dcm"],
    ]


def test_a_file_that_went_bad_is_an_error_and_the_rest_is_there(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a", "b"])
    bad = tmp_path / "archive" / "a" / "a_1.dcm"
    bad.write_bytes(b"gone bad meanwhile")

    counts, _ = do(folder, manifest, 0)

    assert images(folder) == ["a_0.dcm", "b_0.dcm", "b_1.dcm"]
    [(study, file, reason)] = load_record(folder, 0).errors
    assert file == str(bad) and reason.startswith(f"{bad}: ")
    assert study == landmarks(folder)[0]["study"]
    assert counts["failed"] == 1


def test_a_study_that_raises_is_an_error_and_the_others_are_there(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a", "raise", "z"], shard_images=9)

    do(folder, manifest, 0)

    assert images(folder) == files_of("az")
    [(_, file, reason)] = load_record(folder, 0).errors
    assert file.endswith("raise_0.dcm")
    assert "and 1 more of its study: RuntimeError: a library did not think" in reason


def test_a_full_disk_is_no_error_of_a_study(tmp_path, sandbox):
    folder, manifest = planned(tmp_path, ["a"])

    class Full(Stub):
        def predict_many(self, images, names):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run_shard(folder, 0, manifest, {"sa": Full(tmp_path)}, sandbox)
    assert not part(folder, 0).exists()
    assert list((folder / "started").iterdir()) == []


def test_nothing_of_a_part_is_seen_before_all_of_it(tmp_path, do, monkeypatch):
    folder, manifest = planned(tmp_path, ["a"])

    def fail(table, path, **keywords):
        Path(path).write_bytes(b"PAR1 and a bit")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("phdnet_tf.batch.rows.parquet.write_table", fail)
    with pytest.raises(OSError, match="No space left"):
        do(folder, manifest, 0)

    assert list((folder / "parts").iterdir()) == []


@pytest.mark.parametrize("ended", [1, 2])
def test_a_study_is_left_out_when_two_processes_ended_at_it(tmp_path, do, ended):
    folder, manifest = planned(tmp_path, ["a", "b", "c"], shard_images=9)
    for _ in range(ended):
        marks = Marks(folder, 0)
        marks.__enter__()
        marks.at(2)
        os.close(marks._descriptor)  # as the system does when a process ends

    counts, seen = do(folder, manifest, 0)

    tried = files_of("abc" if ended == 1 else "ac")
    assert [Path(name).name for name in seen] == images(folder) == tried
    errors = load_record(folder, 0).errors
    assert [Path(file).name for _, file, _ in errors] == ["b_0.dcm"] * (ended == 2)
    assert counts["failed"] == ended - 1
    for _, _, reason in errors:
        assert f"remove {part(folder, 0)} and run the batch again." in reason
    assert list((folder / "started").iterdir()) == []


def test_a_cine_is_whole_and_its_other_phases_are_counted(tmp_path, do):
    write_cine(tmp_path / "in" / "a", phases=3, description="short axis")
    write_cine(
        tmp_path / "in" / "b", phases=2, description="short axis", position=(0, 0, 0)
    )
    plan([tmp_path / "in"], None, tmp_path / "first", readers=1)
    plan([tmp_path / "in"], None, tmp_path / "all", readers=1)

    for name, which in (("first", None), ("all", "all")):
        folder = tmp_path / name
        do(folder, claim(folder, [STUB], "sa", which, None, 1), 0)

    found = [(row["cine"], row["phase"]) for row in landmarks(tmp_path / "all")]
    assert found == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    assert [row["cine"] for row in landmarks(tmp_path / "first")] == [1, 2]
    assert load_record(tmp_path / "first", 0).left == 3
    assert landmarks(tmp_path / "all")[0]["position_x"] is None


def test_what_is_left_out_is_counted_with_its_reason(tmp_path, do):
    write_study(tmp_path / "in", "strange", images=2)
    (tmp_path / "in" / "copy.dcm").write_bytes(
        (tmp_path / "in" / "strange_0.dcm").read_bytes()
    )
    plan([tmp_path / "in"], None, tmp_path / "out", readers=1)
    manifest = claim(tmp_path / "out", [STUB], None, None, None, 9)

    counts, _ = do(tmp_path / "out", manifest, 0)

    told = load_record(tmp_path / "out", 0)
    assert told.skipped == {"copy of another file": 1}
    assert sum(told.reasons.values()) == 2
    assert all(reason.startswith("view sa, ") for reason in told.reasons)
    assert told.images == 2 and counts["unrecognised"] == told.unrecognised == 1


def test_a_record_that_is_missing_is_told_with_the_remedy(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a"])
    do(folder, manifest, 0)
    record(folder, 0).write_text(json.dumps({"nonsense": 1}))

    with pytest.raises(ValueError, match=r"Remove .*part-00000\.parquet and run"):
        load_record(folder, 0)


def test_a_study_is_not_blamed_for_processes_that_are_alive(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a", "b"], shard_images=9)
    alive = [Marks(folder, 0) for _ in range(2)]
    for marks in alive:
        marks.__enter__()
        marks.at(1)  # and there it is stopped, or slow

    do(folder, manifest, 0)

    assert images(folder) == files_of("ab")
    for marks in alive:
        marks.__exit__(None)


def test_a_shard_whose_archive_is_away_is_not_done(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a", "b"], shard_images=9)
    (tmp_path / "archive").rename(tmp_path / "elsewhere")

    with pytest.raises(FileNotFoundError, match="mounted") as error:
        do(folder, manifest, 0)

    assert error.value.filename.endswith("b_1.dcm")
    assert not part(folder, 0).exists() and unfinished(folder, 1) == [0]
    (tmp_path / "elsewhere").rename(tmp_path / "archive")
    (tmp_path / "archive" / "a" / "a_0.dcm").unlink()
    counts, _ = do(folder, manifest, 0)
    assert (counts["images"], counts["failed"]) == (3, 1)


def test_a_record_that_a_power_cut_has_emptied_is_made_again(tmp_path, do):
    folder, manifest = planned(tmp_path, ["a"])
    do(folder, manifest, 0)
    before = part(folder, 0).read_bytes()
    record(folder, 0).write_text("")

    assert unfinished(folder, 1) == [0]
    counts, _ = do(folder, manifest, 0)

    assert counts["images"] == 2 and part(folder, 0).read_bytes() == before


def test_who_comes_last_leaves_what_another_has_done_meanwhile(tmp_path, do, sandbox):
    folder, manifest = planned(tmp_path, ["a"])

    class Slow(Stub):
        def predict_many(self, images, names):
            do(folder, manifest, 0)
            told = json.loads(record(folder, 0).read_text())
            record(folder, 0).write_text(json.dumps(told | {"images": 77}))
            return super().predict_many(images, names)

    counts = run_shard(folder, 0, manifest, {"sa": Slow(tmp_path / "f")}, sandbox)

    assert counts["images"] == 77
