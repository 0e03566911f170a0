"""The database of a project: one SQLite file, and the rules that it keeps itself.

The trail is append-only. The database itself refuses to change or remove a line, and to
let two lines follow the same one, whichever program asks. Predictions cannot be changed
or removed either. The present state is a view of the trail.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORMAT = 1
"""Version of the tables, stored in `PRAGMA user_version`."""

# A change of a point, or, with an empty landmark, of the image as a whole. `previous`
# is the uuid of the line before it of the same reader, image and landmark, or ''.
SCHEMA = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (digest TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE subjects (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE models (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest TEXT NOT NULL UNIQUE,
  path TEXT NOT NULL
);
CREATE TABLE images (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL, member TEXT NOT NULL, frame INTEGER NOT NULL,
  frames INTEGER NOT NULL, subject INTEGER NOT NULL REFERENCES subjects(id),
  cine INTEGER NOT NULL, phase INTEGER NOT NULL, time_ms REAL,
  queued INTEGER NOT NULL,
  content_hash TEXT, height INTEGER, width INTEGER, spacing_y REAL, spacing_x REAL,
  position TEXT, orientation TEXT, low REAL, high REAL,
  sampled INTEGER NOT NULL DEFAULT 0, error TEXT, changed TEXT,
  UNIQUE (path, member, frame)
);
CREATE INDEX images_by_cine ON images (cine, phase);
CREATE TABLE predictions (
  image INTEGER NOT NULL REFERENCES images(id),
  model INTEGER NOT NULL REFERENCES models(id),
  landmark TEXT NOT NULL,
  x REAL NOT NULL, y REAL NOT NULL, confidence REAL NOT NULL, high INTEGER NOT NULL,
  r50 REAL NOT NULL, r90 REAL NOT NULL, r95 REAL NOT NULL,
  jump REAL, recognised INTEGER NOT NULL,
  PRIMARY KEY (model, image, landmark)
) WITHOUT ROWID;
CREATE TABLE trail (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  step TEXT NOT NULL,
  time TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('reader', 'judge')),
  reader TEXT NOT NULL CHECK (reader <> ''),
  image INTEGER NOT NULL REFERENCES images(id),
  content_hash TEXT NOT NULL,
  model TEXT NOT NULL,
  landmark TEXT NOT NULL,
  action TEXT NOT NULL,
  previous TEXT NOT NULL,
  from_status TEXT NOT NULL, from_x REAL, from_y REAL,
  status TEXT NOT NULL, x REAL, y REAL, note TEXT NOT NULL,
  seconds REAL NOT NULL,
  undoes TEXT NOT NULL,
  UNIQUE (role, reader, image, landmark, previous)
);
CREATE INDEX trail_undoes ON trail (undoes, seq) WHERE undoes <> '';
CREATE INDEX trail_step ON trail (step);
CREATE INDEX trail_lane ON trail (role, reader, seq);
CREATE INDEX trail_image ON trail (image, seq);

CREATE TRIGGER trail_stays BEFORE UPDATE ON trail
  BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_is_kept BEFORE DELETE ON trail
  BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER trail_grows BEFORE INSERT ON trail
  WHEN EXISTS (SELECT 1 FROM trail WHERE uuid = NEW.uuid OR seq = NEW.seq)
    OR EXISTS (
      SELECT 1 FROM trail WHERE role = NEW.role AND reader = NEW.reader
        AND image = NEW.image AND landmark = NEW.landmark
        AND previous = NEW.previous)
  BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_is_a_chain BEFORE INSERT ON trail
  WHEN NEW.previous <> '' AND NOT EXISTS (
    SELECT 1 FROM trail WHERE uuid = NEW.previous AND role = NEW.role
      AND reader = NEW.reader AND image = NEW.image AND landmark = NEW.landmark)
  BEGIN SELECT RAISE(ABORT, 'the line before it is not of the same point'); END;
CREATE TRIGGER predictions_stay BEFORE UPDATE ON predictions
  BEGIN SELECT RAISE(ABORT, 'predictions are never overwritten'); END;
CREATE TRIGGER predictions_are_kept BEFORE DELETE ON predictions
  BEGIN SELECT RAISE(ABORT, 'predictions are never overwritten'); END;
CREATE TRIGGER predictions_grow BEFORE INSERT ON predictions
  WHEN EXISTS (
    SELECT 1 FROM predictions WHERE model = NEW.model AND image = NEW.image
      AND landmark = NEW.landmark)
  BEGIN SELECT RAISE(ABORT, 'predictions are never overwritten'); END;

CREATE VIEW state AS SELECT * FROM trail AS line WHERE NOT EXISTS (
  SELECT 1 FROM trail WHERE role = line.role AND reader = line.reader
    AND image = line.image AND landmark = line.landmark AND previous = line.uuid);
"""


class Store:
    """The database of a project. Each thread has its own connection.

    Args:
        path: The file. It is created if it does not exist.

    Raises:
        ValueError: If the file is not such a database, or has another version.
        OSError: If it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        """Opens the file; see the class."""
        self.path = path
        self._local = threading.local()
        if not path.exists():
            # Nobody else may read it, in a folder that was there before, too.
            path.touch(mode=0o600)
        try:
            with self.writing() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if not version and not _tables(connection):
                    for statement in _statements(SCHEMA):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {FORMAT}")
                    version = FORMAT
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{path}: expected the database of a review. Received: {error}. Choose "
                "another --project, or restore the file from a copy."
            ) from error
        if version != FORMAT:
            raise ValueError(
                f"{path}: expected format {FORMAT} of the database. Received: "
                f"{version}. Use the version of phdnet-tf that made it."
            )

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's own, for reading."""
        if not hasattr(self._local, "connection"):
            # Autocommit: transactions are begun by `writing`, and nowhere else.
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            # A change that was answered for survives a power cut, too.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return self._local.connection

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query; None if there is none."""
        return self.connection.execute(sql, values).fetchone()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """An exclusive transaction. All of it is stored, or nothing.

        Yields:
            This thread's connection.
        """
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _tables(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]


def _statements(text: str) -> Iterator[str]:
    """The statements of a script, because `executescript` would end the transaction."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
