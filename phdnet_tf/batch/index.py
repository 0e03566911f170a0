"""The index of an archive: which files belong to which study, in SQLite, on disk.

It is written once, whole or not at all, and read by every worker. Paths, numbers and a
hash are all that is in it: a study is known by its key, from which nobody finds the
patient.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phdnet_tf.batch.layout import INDEX
from phdnet_tf.dicom.find import Found, Skipped
from phdnet_tf.dicom.frames import FrameHeader
from phdnet_tf.dicom.read import FileHeader
from phdnet_tf.dicom.sandbox import FileLocation
from phdnet_tf.files import whole_file

TABLES = """
create table about (name text primary key, value text);
create table studies (
    number integer primary key, key text unique,
    files integer default 0, frames integer default 0, slices integer default 0);
create table files (study integer, source text unique, named integer);
create table slices (study integer, slice blob, primary key (study, slice))
    without rowid;
create table failures (source text, reason text);
"""


@dataclass(frozen=True)
class Study:
    """A study of the archive.

    Attributes:
        number: From 1, in the order of the studies' first files.
        key: Names it, and tells nothing of the patient.
        files: Those that may be images, in the order in which they were found.
    """

    number: int
    key: str
    files: tuple[Found, ...]


class IndexWriter:
    """Takes the files of an archive one by one, and holds none of them.

    Args:
        path: The SQLite file, which must not exist.
    """

    def __init__(self, path: Path) -> None:
        """Makes the tables."""
        self._skipped: Counter[str] = Counter()
        self._database = sqlite3.connect(path, isolation_level=None)
        # The file gets its name when it is complete, so there is nothing to roll back.
        self._database.executescript(
            "pragma journal_mode = off; pragma synchronous = off; "
            f"pragma cache_size = -65536; {TABLES} begin"
        )

    def add(self, found: Found, header: FileHeader) -> None:
        """Adds a file that may be an image."""
        run = self._database.execute
        text = _text(found.source)
        known = run("select 1 from files where source = ?", (text,)).fetchone()
        if known:
            # In a folder and in a list, or twice in the list.
            self._skipped["named twice"] += 1
            return
        key = study_key(found.source, header)
        row = run("select number from studies where key = ?", (key,)).fetchone()
        if row is None:
            row = (run("insert into studies (key) values (?)", (key,)).lastrowid,)
        (study,) = row
        places = {_slice(header, frame) for frame in header.frames}
        new = [
            run("insert or ignore into slices values (?, ?)", (study, place)).rowcount
            for place in places
        ]
        run(
            "update studies set files = files + 1, frames = frames + ?, "
            "slices = slices + ? where number = ?",
            (len(header.frames), sum(new), study),
        )
        values = (study, text, found.named)
        run("insert into files values (?, ?, ?)", values)

    def leave_out(self, skipped: Skipped) -> None:
        """Notes a file that is none to predict."""
        if skipped.failed:
            values = (str(skipped.source), skipped.reason)
            self._database.execute("insert into failures values (?, ?)", values)
        else:
            self._skipped[skipped.reason] += 1

    def finish(self, **about: Any) -> None:
        """Completes the file, with what is to be known of it, as JSON."""
        about["skipped"] = dict(self._skipped)
        for name, value in about.items():
            values = (name, json.dumps(value))
            self._database.execute("insert into about values (?, ?)", values)
        self._database.execute("create index by_study on files (study)")
        self._database.execute("drop table slices")
        self._database.execute("commit")
        self._database.close()

    def close(self) -> None:
        """Lets go of a file that may be incomplete."""
        self._database.close()


@contextmanager
def new_index(folder: Path) -> Iterator[IndexWriter]:
    """An index that appears in a folder when the block ends well.

    Yields:
        What takes the files; call its `finish`.
    """
    with whole_file(folder / INDEX) as partial:
        writer = IndexWriter(partial)
        try:
            yield writer
        finally:
            writer.close()
        sync(partial)


class Index:
    """A complete index, opened for reading.

    Args:
        folder: The output folder.

    Raises:
        ValueError: If there is none.
    """

    def __init__(self, folder: Path) -> None:
        """Opens it; see the class."""
        path = folder / INDEX
        if not path.is_file():
            raise ValueError(
                f"{folder}: expected the plan of an archive, {INDEX}. Received none: "
                f"start with 'phdnet-tf batch plan SOURCE --output {folder}'."
            )
        # Nobody writes to it any more, and locks are not to be had on every network.
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        self._database = sqlite3.connect(uri, uri=True)

    def __enter__(self) -> Index:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes it."""
        self._database.close()

    def about(self) -> dict[str, Any]:
        """What `IndexWriter.finish` was given, and "skipped": reasons and counts."""
        rows = self._rows("select name, value from about")
        return {name: json.loads(value) for name, value in rows}

    def totals(self) -> tuple[int, int]:
        """How many studies there are, and how many files in them."""
        [row] = self._rows("select count(*), total(files) from studies")
        return row[0], int(row[1])

    def sizes(self, all_phases: bool) -> Iterator[int]:
        """For each study, in order, how many images it has, about.

        Args:
            all_phases: Whether all phases of a cine count, or one.
        """
        what = "frames" if all_phases else "slices"
        for (size,) in self._rows(f"select {what} from studies order by number"):
            yield size

    def studies(self, first: int, last: int) -> Iterator[Study]:
        """The studies of these numbers and those between, in order."""
        wanted = "select number, key from studies where number between ? and ?"
        for number, key in self._rows(f"{wanted} order by number", first, last):
            files = self._rows(
                "select source, named from files where study = ? order by rowid", number
            )
            yield Study(number, key, tuple(_found(*file) for file in files))

    def failures(self) -> Iterator[tuple[str, str]]:
        """Files that could not be used, and why."""
        yield from self._rows("select source, reason from failures order by rowid")

    def locations(self, names: set[str]) -> dict[str, FileLocation]:
        """Where files are that are known by the name to show."""
        found = {}
        for (text,) in self._rows("select source from files"):
            source = _location(text)
            if str(source) in names:
                found[str(source)] = source
        return found

    def _rows(self, query: str, *values: Any) -> Iterator[tuple]:
        with closing(self._database.cursor()) as cursor:
            yield from cursor.execute(query, values)


def study_key(source: FileLocation, header: FileHeader) -> str:
    """Equal for files of one study, and no way back to the patient.

    Files that tell no study are parted by series, or stand for themselves: of such
    files, no more than a series can be a cine.
    """
    if header.study_uid:
        owner = header.patient, header.study_uid
    else:
        own = header.series_uid or header.instance_uid or _text(source)
        owner = header.patient, f"no study\n{own}"
    return hashlib.sha256("\n".join(owner).encode(errors="replace")).hexdigest()[:32]


def _slice(header: FileHeader, frame: FrameHeader) -> bytes:
    """Equal for frames of one slice, nearly always: it is for counting."""
    place = [round(value) for value in frame.position or ()]
    text = f"{header.series_uid}\n{place}"
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest()


def _text(source: FileLocation) -> str:
    # As JSON, for a name may hold bytes that are no text.
    return json.dumps([str(source.path), source.member])


def _location(text: str) -> FileLocation:
    path, member = json.loads(text)
    return FileLocation(Path(path), member)


def _found(text: str, named: int) -> Found:
    source = _location(text)
    return Found(source, Path(source.path.name), bool(named))


def sync(path: Path) -> None:
    """Has a file on the disk before it gets its name."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
