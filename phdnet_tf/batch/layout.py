"""What lies where in the output folder of a batch, and who may plan and lead there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

INDEX = "index.sqlite"
MANIFEST = "manifest.json"
ERRORS = "errors.parquet"
REPORT = "report.html"


def part(folder: Path, shard: int) -> Path:
    """The file with the landmarks of a shard; the shard is done when it is there."""
    return folder / "parts" / f"part-{shard:05d}.parquet"


def record(folder: Path, shard: int) -> Path:
    """The file with the errors, counts and times of a shard."""
    return folder / "records" / f"shard-{shard:05d}.json"


def is_done(folder: Path, shard: int) -> bool:
    """Whether a shard is done: its part is there, and its record has something in it.

    After a power cut a file may be there and be empty.
    """
    try:
        return part(folder, shard).exists() and record(folder, shard).stat().st_size > 0
    except FileNotFoundError:
        return False


def unfinished(folder: Path, shards: int) -> list[int]:
    """Numbers of the shards that are not done, of so many."""
    return [number for number in range(shards) if not is_done(folder, number)]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps a second process from planning or leading a batch in the same folder.

    Workers need no such leave: several at one shard write the same file.

    Args:
        folder: The output folder; made where it does not exist.

    Yields:
        Nothing; wrap the work.

    Raises:
        ValueError: If another process is at it, or if there is something in the folder
            that is of no batch.
        OSError: If it cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if seen and folder / INDEX not in seen:
        raise ValueError(
            f"{folder}: expected a new or an empty folder, or that of a batch. "
            f"Received one with {seen[0].name!r} in it: choose another --output."
        )
    # The system lets go of the lock when its process ends, however it does.
    lock = FileLock(folder / ".phdnet-tf.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"{folder}: another phdnet-tf is at work there now. Wait for its end, or "
            "choose another --output."
        ) from None
    try:
        # What a plan left that was killed.
        for path in folder.glob(".unfinished-*.sqlite"):
            path.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def tidy(folder: Path) -> None:
    """Removes what killed workers left, now that every shard is done."""
    for name in ("parts", "records", "started"):
        for path in (folder / name).glob(".unfinished-*"):
            path.unlink(missing_ok=True)
