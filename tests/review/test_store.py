import sqlite3
import stat

import pytest
from support.review import ADA, change

from phdnet_tf.review.project import Project
from phdnet_tf.review.store import Store
from phdnet_tf.review.trail import append

LINE = "SELECT * FROM trail WHERE seq = 1"


@pytest.fixture
def store(project):
    append(project.store, ADA, [change(uuid="one"), change(uuid="two", previous="one")])
    return project.store


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trail SET x = 0",
        "UPDATE trail SET reader = 'Bo' WHERE seq = 1",
        "DELETE FROM trail",
        f"INSERT OR REPLACE INTO trail {LINE}",
        f"REPLACE INTO trail {LINE}",
        f"INSERT OR IGNORE INTO trail {LINE}",
        "UPDATE OR REPLACE trail SET seq = 2 WHERE seq = 1",
    ],
)
def test_whoever_asks_no_line_of_the_trail_is_changed_or_removed(store, statement):
    # A program that knows nothing of this package.
    other = sqlite3.connect(store.path)
    before = other.execute("SELECT * FROM trail").fetchall()

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)

    assert len(before) == 2
    assert other.execute("SELECT * FROM trail").fetchall() == before


def test_no_line_replaces_another_under_a_new_uuid_or_number(store):
    other = sqlite3.connect(store.path)
    names = [row[1] for row in other.execute("PRAGMA table_info(trail)")]
    line = dict(zip(names, other.execute(LINE).fetchone(), strict=True))
    before = other.execute("SELECT * FROM trail").fetchall()

    for new in ({"uuid": "new"}, {"uuid": "new", "seq": 9}, {"seq": 9, "step": "new"}):
        values = [*(line | new).values()]
        places = ", ".join("?" * len(values))
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(f"INSERT OR REPLACE INTO trail VALUES ({places})", values)

    assert other.execute("SELECT * FROM trail").fetchall() == before


@pytest.mark.parametrize("same", ["uuid", "seq"])
def test_no_line_of_another_point_takes_its_uuid_or_number(store, same):
    other = sqlite3.connect(store.path)
    names = [row[1] for row in other.execute("PRAGMA table_info(trail)")]
    line = dict(zip(names, other.execute(LINE).fetchone(), strict=True))
    new = {"uuid": "new", "seq": 9, "landmark": "base"} | {same: line[same]}
    before = other.execute("SELECT * FROM trail").fetchall()

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        values = [*(line | new).values()]
        places = ", ".join("?" * len(values))
        other.execute(f"INSERT OR REPLACE INTO trail VALUES ({places})", values)
    assert other.execute("SELECT * FROM trail").fetchall() == before


def test_a_line_follows_one_of_its_own_point_only(store):
    other = sqlite3.connect(store.path)
    names = "step, time, role, reader, image, content_hash, model, landmark, action, "
    names += "from_status, status, note, seconds, undoes"
    line = "SELECT 'new', 'two', " + names.replace("landmark", "'base'")

    with pytest.raises(sqlite3.IntegrityError, match="not of the same point"):
        other.execute(
            f"INSERT INTO trail (uuid, previous, {names}) {line} FROM trail LIMIT 1"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE predictions SET x = 0",
        "DELETE FROM predictions",
        "INSERT OR REPLACE INTO predictions SELECT * FROM predictions LIMIT 1",
    ],
)
def test_predictions_are_never_overwritten(store, statement):
    other = sqlite3.connect(store.path)

    with pytest.raises(sqlite3.IntegrityError, match="never overwritten"):
        other.execute(statement)


def test_a_transaction_is_stored_whole_or_not_at_all(store):
    with pytest.raises(RuntimeError), store.writing() as connection:
        connection.execute("INSERT INTO settings VALUES ('a', '1')")
        raise RuntimeError

    assert store.row("SELECT * FROM settings WHERE key = 'a'") is None


def test_a_file_that_is_something_else_is_refused_with_a_remedy(tmp_path):
    path = tmp_path / "review.sqlite"
    path.write_text("something else entirely, and long enough to be looked at" * 9)

    with pytest.raises(ValueError, match=r"review\.sqlite: expected .* another"):
        Store(path)
    assert path.read_text().startswith("something")


def test_a_database_of_another_format_is_refused(store):
    store.connection.execute("PRAGMA user_version = 99")

    with pytest.raises(ValueError, match="format 1 .* Received: 99"):
        Store(store.path)


def test_nobody_else_may_read_it_in_a_folder_that_was_there(tmp_path):
    tmp_path.chmod(0o755)

    project = Project(tmp_path, create=True)

    assert stat.S_IMODE(project.store.path.stat().st_mode) == 0o600
