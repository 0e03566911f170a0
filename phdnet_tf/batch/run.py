"""What is left of a batch, done on whatever there is, and what came of all of it."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from phdnet_tf.batch import layout, rows
from phdnet_tf.batch.index import Index
from phdnet_tf.batch.manifest import Manifest
from phdnet_tf.batch.shard import Record, load_record
from phdnet_tf.batch.worker import do_shard
from phdnet_tf.files import whole_file
from phdnet_tf.workers.processes import Result, Task

Engine = Callable[[Task, Iterable[int]], Iterator[tuple[int, Result]]]


@dataclass(frozen=True)
class Progress:
    """How far a batch is.

    Attributes:
        shards: How many are done, of `of`.
        of: How many there are to do in this run.
        images: Predicted in this run.
        unrecognised: Of these, those that do not look like their model's view.
        failed: Files of these shards that could not be used.
        trouble: In words, why a shard is not done; or None.
    """

    shards: int
    of: int
    images: int
    unrecognised: int
    failed: int
    trouble: str | None = None


def slice_of(
    manifest: Manifest, folder: Path, number: int = 1, of: int = 1
) -> list[int]:
    """The shards of a slice that are not done.

    Args:
        manifest: That of the folder.
        folder: The output folder.
        number: Of the slice, from 1.
        of: How many slices there are.
    """
    return [s for s in _missing(folder, manifest) if s % of == number - 1]


def run(folder: Path, shards: list[int], engine: Engine) -> Iterator[Progress]:
    """Does shards.

    Args:
        folder: The output folder, which has a manifest.
        shards: Their numbers.
        engine: `processes.run_here`, or `engine.run_on` with its client.

    Yields:
        How far it is, after each shard.
    """
    counts: Counter[str] = Counter()
    done = 0
    for shard, result in engine(functools.partial(do_shard, folder), shards):
        trouble = None
        if isinstance(result, str):
            trouble = f"shard {shard} is not done: {result}."
        else:
            done += 1
            counts.update({name: int(value) for name, value in result.items()})
        yield Progress(
            done,
            len(shards),
            counts["images"],
            counts["unrecognised"],
            counts["failed"],
            trouble,
        )


@dataclass(frozen=True)
class Summary:
    """What came of a batch, as far as it is done.

    Attributes:
        shards: How many there are.
        missing: How many of them are not done.
        record: Of the shards that are done, together; its slowest images are the
            slowest of all, and its errors begin with those of the survey.
    """

    shards: int
    missing: int
    record: Record


def summarise(folder: Path, manifest: Manifest) -> Summary:
    """What came of a batch.

    Raises:
        ValueError: If a record is missing or damaged.
    """
    missing = set(_missing(folder, manifest))
    with Index(folder) as index:
        whole = Record(skipped=Counter(index.about()["skipped"]))
        whole.errors = [("", file, reason) for file, reason in index.failures()]
    for shard in range(len(manifest.shards)):
        if shard not in missing:
            whole.add(load_record(folder, shard))
    return Summary(len(manifest.shards), len(missing), whole)


def finish(folder: Path, summary: Summary) -> None:
    """Writes `errors.parquet`, of what is done by now; and tidies up if all is.

    Raises:
        OSError: If it cannot be written.
    """
    with whole_file(folder / layout.ERRORS) as partial:
        rows.write(partial, rows.ERRORS, rows.error_rows(summary.record.errors))
    if not summary.missing:
        layout.tidy(folder)


def _missing(folder: Path, manifest: Manifest) -> list[int]:
    return layout.unfinished(folder, len(manifest.shards))
