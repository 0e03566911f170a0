from dataclasses import replace

import numpy as np
import pytest
from support.review import ADA, HASH, change

from phdnet_tf.review.changes import parse
from phdnet_tf.review.trail import (
    Lane,
    append,
    points,
    redo,
    states,
    undo,
)

BO = Lane("reader", "Bo")


def results(found):
    return [each["result"] for each in found]


def place(project, image=1, landmark="apex", lane=ADA):
    line = states(project.store, lane, image).get(landmark)
    return line and (line["status"], line["x"], line["y"])


def test_a_change_is_what_the_point_is_from_then_on(project):
    assert results(append(project.store, ADA, [change()])) == ["stored"]

    assert place(project) == ("corrected", 10.5, 20.25)
    assert place(project, landmark="base") is None


def test_the_trail_has_who_what_when_and_from_where_to_where(project):
    append(project.store, ADA, [change(uuid="one", x=11.0, y=12.0)])
    append(
        project.store, ADA, [change(previous="one", status="absent", x=None, y=None)]
    )

    first, second = project.store.rows("SELECT * FROM trail ORDER BY seq")

    assert (first["reader"], first["role"], first["action"]) == (
        "Ada",
        "reader",
        "move",
    )
    assert (first["model"], first["content_hash"]) == ("phdnet_4ch/1", HASH)
    # The model had put it at (30, 30).
    assert (first["from_status"], first["from_x"], first["from_y"]) == ("", 30, 30)
    assert (first["x"], first["y"], first["seconds"]) == (11, 12, 1.5)
    assert first["time"].endswith("+00:00")
    assert (second["from_status"], second["from_x"]) == ("corrected", 11)
    assert (second["status"], second["x"]) == ("absent", None)


def test_what_is_sent_twice_is_stored_once(project):
    sent = [change(uuid="one"), change(previous="one", x=3.0)]

    assert results(append(project.store, ADA, sent)) == ["stored"] * 2
    assert results(append(project.store, ADA, sent)) == ["stored"] * 2
    assert results(append(project.store, ADA, sent[1:])) == ["stored"]

    assert len(project.store.rows("SELECT * FROM trail")) == 2


def test_who_has_not_seen_the_last_change_overwrites_nothing(project):
    append(project.store, ADA, [change(uuid="seen", x=1.0)])
    append(project.store, ADA, [change(uuid="newer", previous="seen", x=2.0)])

    late = [change(uuid="late", previous="seen", x=3.0)]
    late.append(change(previous="late", x=4.0))
    found = append(project.store, ADA, [*late, change(x=5.0)])

    assert results(found) == ["conflict"] * 3
    assert found[0]["current"]["x"] == 2.0
    assert place(project) == ("corrected", 2.0, 20.25)


def test_a_step_is_stored_whole_or_not_at_all(project):
    append(project.store, ADA, [change()])
    step = [change(step="s", landmark="base"), change(step="s", landmark="apex")]

    assert results(append(project.store, ADA, step)) == ["conflict"] * 2

    assert place(project, landmark="base") is None


def test_readers_do_not_meet(project):
    append(project.store, ADA, [change(x=1.0)])
    append(project.store, BO, [change(x=2.0)])
    append(project.store, Lane("judge", "Bo"), [change(x=3.0)])

    assert place(project)[1] == 1.0
    assert place(project, lane=BO)[1] == 2.0
    assert place(project, lane=Lane("judge", "Bo"))[1] == 3.0


def test_an_image_that_is_another_now_is_locked_with_its_old_points(project):
    append(project.store, ADA, [change(uuid="one")])
    with project.store.writing() as connection:
        connection.execute("UPDATE images SET changed = 'else' WHERE id = 1")

    assert results(append(project.store, ADA, [change(previous="one", x=1.0)])) == [
        "locked"
    ]
    with pytest.raises(ValueError, match="Restore the file"):
        undo(project.store, ADA, "z")
    assert place(project) == ("corrected", 10.5, 20.25)


def test_a_change_of_other_pixels_is_not_stored(project):
    found = append(project.store, ADA, [change(content_hash="of another image")])

    assert results(found) == ["locked"]


@pytest.mark.parametrize(("x", "y"), [(99.6, 3), (3, 79.6), (-0.6, 3), (3, -0.6)])
def test_a_point_outside_the_image_is_refused(project, x, y):
    # 100 x 80 pixels: their edges are at -0.5, 99.5 and 79.5.
    assert results(append(project.store, ADA, [change(x=x, y=y)])) == ["refused"]
    assert results(append(project.store, ADA, [change(x=99.5, y=-0.5)])) == ["stored"]


def test_undo_and_redo_go_back_and_forth_over_images(project):
    append(project.store, ADA, [change(uuid="a", x=1.0)])
    append(project.store, ADA, [change(uuid="b", previous="a", x=2.0)])
    both = [change(2, "apex", step="s", x=3.0), change(2, "base", step="s", x=4.0)]
    append(project.store, ADA, both)

    assert undo(project.store, ADA, "z1") == 2
    assert place(project, 2)[0] == place(project, 2, "base")[0] == ""
    assert undo(project.store, ADA, "z2") == 1
    assert place(project)[1] == 1.0
    assert undo(project.store, ADA, "z2") == 1  # sent twice
    assert undo(project.store, ADA, "z3") == 1
    assert place(project)[0] == ""
    assert undo(project.store, ADA, "z4") is None
    for number, image in enumerate((1, 1, 2)):
        assert redo(project.store, ADA, f"r{number}") == image
    assert redo(project.store, ADA, "r4") is None
    assert place(project)[1] == 2.0
    assert (place(project, 2)[1], place(project, 2, "base")[1]) == (3.0, 4.0)


def test_what_comes_after_an_undo_ends_redo_and_is_undone_first(project):
    append(project.store, ADA, [change(uuid="a", x=1.0)])
    append(project.store, ADA, [change(uuid="b", previous="a", x=2.0)])
    undo(project.store, ADA, "z1")
    append(project.store, ADA, [change(uuid="c", previous="z1.0", x=3.0)])

    assert redo(project.store, ADA, "r1") is None
    undo(project.store, ADA, "z2")
    assert place(project)[1] == 1.0
    undo(project.store, ADA, "z3")
    assert place(project)[0] == ""
    redo(project.store, ADA, "r2")
    redo(project.store, ADA, "r3")
    assert place(project)[1] == 3.0


def test_undo_gives_a_point_the_model_back_that_was_shown(project):
    append(project.store, ADA, [change(uuid="one")])
    project.choose_model("phdnet_4ch/2", "others", project.folder)
    append(project.store, ADA, [change(previous="one", model="phdnet_4ch/2")])

    undo(project.store, ADA, "undo-request")

    [point] = points(project.store)
    assert point["model"] == "phdnet_4ch/1"


def test_nobody_undoes_what_another_has_done(project):
    append(project.store, ADA, [change()])

    assert undo(project.store, BO, "z") is None
    assert place(project) is not None


def test_random_undo_and_redo_do_what_two_stacks_of_an_editor_do(project):
    rng = np.random.default_rng(0)
    done, undone, now = [], [], {}
    for number in range(120):
        kind = rng.choice(["move", "undo", "redo"], p=[0.4, 0.35, 0.25])
        if kind == "move":
            image, landmark = int(rng.integers(1, 4)), str(rng.choice(["apex", "base"]))
            line = states(project.store, ADA, image).get(landmark)
            before = now.get((image, landmark))
            now[image, landmark] = float(number % 90)
            done.append((image, landmark, before, now[image, landmark]))
            undone.clear()
            previous = line["uuid"] if line else ""
            moved = change(image, landmark, previous, x=float(number % 90))
            assert results(append(project.store, ADA, [moved])) == ["stored"]
        elif kind == "undo":
            undo(project.store, ADA, f"z{number}")
            if done:
                undone.append(done.pop())
                now[undone[-1][:2]] = undone[-1][2]
        else:
            redo(project.store, ADA, f"r{number}")
            if undone:
                done.append(undone.pop())
                now[done[-1][:2]] = done[-1][3]
        for (image, landmark), x in now.items():
            assert states(project.store, ADA, image)[landmark]["x"] == x


def test_points_come_with_what_the_model_had_said(project):
    append(project.store, ADA, [change(2, "base", x=61.0, y=60.0)])

    [point] = points(project.store, "reader = ?", ["Ada"])

    assert (point["x"], point["px"], point["py"], point["r90"]) == (61, 60, 60, 10)
    assert point["spacing_x"] == 1.25


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": float("nan")},
        {"x": None},
        {"x": True},
        {"status": "absent"},
        {"status": "gone"},
        {"action": "undo"},
        {"note": "n" * 2001},
        {"seconds": -1},
        {"image": "1"},
        {"uuid": ""},
        {"landmark": ""},
    ],
)
def test_what_is_no_change_is_refused(wrong):
    assert parse(vars(change()))
    with pytest.raises(ValueError, match="expected"):
        parse(vars(replace(change(), **wrong)))
    with pytest.raises(ValueError, match="expected a change with"):
        parse(vars(change()) | {"more": 1})
