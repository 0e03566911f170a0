import pytest
from support.review import ADA, change

from phdnet_tf.review.queue import Wanted, page
from phdnet_tf.review.trail import Lane, append


def ids(project, lane=ADA, offset=0, limit=9, **wanted):
    found = page(project, lane, Wanted(**wanted), offset, limit)
    return [item["id"] for item in found["items"]]


def predict(project, image, landmark, *values):
    with project.store.writing() as connection:
        connection.execute("DROP TRIGGER IF EXISTS predictions_stay")
        connection.execute(
            "UPDATE predictions SET r90 = ?, confidence = ?, jump = ?, recognised = ? "
            "WHERE image = ? AND landmark = ?",
            (*values, image, landmark),
        )


@pytest.fixture
def varied(project):
    predict(project, 1, "apex", 5, 0.9, 1.0, 1)
    predict(project, 2, "apex", 30, 0.8, 9.0, 1)
    predict(project, 3, "apex", 7, 0.1, None, 1)
    predict(project, 1, "base", 20, 2, 2.0, 1)
    predict(project, 2, "base", 2, 2, 2.0, 1)
    predict(project, 3, "base", 3, 2, 2.0, 1)
    return project


def test_the_worst_comes_first_whatever_is_called_worst(varied):
    assert ids(varied) == [2, 1, 3]
    assert ids(varied, order="confidence") == [3, 2, 1]
    assert ids(varied, order="jump") == [2, 1, 3]
    assert ids(varied, order="read") == [1, 2, 3]
    assert ids(varied, landmark="base") == [1, 3, 2]


def test_the_queue_comes_in_pages(varied):
    assert ids(varied, limit=2) == [2, 1]
    assert ids(varied, limit=2, offset=2) == [3]


def mark(image, status, action):
    return change(image, "", status=status, action=action, x=None, y=None)


def test_what_is_done_or_skipped_is_left_out_and_counted(varied):
    append(varied.store, ADA, [mark(2, "done", "done"), mark(1, "skipped", "skip")])

    found = page(varied, ADA, Wanted(), 0, 9)

    assert [item["id"] for item in found["items"]] == [3]
    assert (found["left"], found["total"]) == (1, 3)
    assert ids(varied, state="done") == [2]
    assert ids(varied, state="skipped") == [1]
    assert ids(varied, state="all") == [2, 1, 3]
    # Another reader has looked at nothing yet.
    assert ids(varied, Lane("reader", "Bo")) == [2, 1, 3]


def test_what_another_reader_is_done_with_can_be_looked_at_alone(varied):
    bo = Lane("reader", "Bo")
    append(varied.store, bo, [mark(2, "done", "done"), mark(3, "skipped", "skip")])
    append(varied.store, ADA, [mark(1, "done", "done")])

    assert varied.readers() == ["Ada", "Bo"]
    found = page(varied, ADA, Wanted(reader="Bo"), 0, 9)
    assert [item["id"] for item in found["items"]] == [2]
    assert (found["left"], found["total"]) == (1, 1)
    # It is no longer open for Bo.
    assert ids(varied, bo, reader="Bo") == []
    assert ids(varied, bo, reader="Bo", state="done") == [2]


def test_unsure_points_and_notes_are_found_again(varied):
    append(varied.store, ADA, [change(3, "base", status="unsure", action="unsure")])
    append(
        varied.store,
        ADA,
        [change(1, "", status="", action="note", x=None, y=None, note="?")],
    )

    assert ids(varied, state="unsure") == [3]
    assert ids(varied, state="noted") == [1]


def test_unrecognised_and_unreadable_images_are_apart(varied):
    predict(varied, 2, "apex", 30, 0.8, 9.0, 0)
    varied.fail(3, "cannot be read")

    assert ids(varied) == [1]
    assert ids(varied, group="unrecognised") == [2]
    assert ids(varied, group="unreadable") == [3]


def test_the_tenth_that_chance_has_drawn_is_a_queue_of_its_own(varied):
    with varied.store.writing() as connection:
        connection.execute("UPDATE images SET sampled = 1 WHERE id = 3")

    assert ids(varied, group="sampled") == [3]


def test_without_a_model_images_come_as_they_were_read(varied):
    varied.set("model", None)

    assert ids(varied) == [1, 2, 3]


def test_what_is_no_order_is_refused():
    with pytest.raises(ValueError, match=r"radius, .* 'worst; DROP TABLE"):
        Wanted(order="worst; DROP TABLE trail")
