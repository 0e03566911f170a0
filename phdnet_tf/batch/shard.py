"""One shard of an archive: some whole studies in, one part file out.

Nothing here knows who else works on the archive, or how it is divided among machines:
a shard that is done is left, and one that is not is done again from its beginning.
"""

from __future__ import annotations

import errno
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phdnet_tf.batch import layout, rows
from phdnet_tf.batch.index import Index, Study, sync
from phdnet_tf.batch.manifest import Manifest
from phdnet_tf.batch.marks import DEATHS, Marks
from phdnet_tf.dicom.errors import printable
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.dicom.survey import survey_found
from phdnet_tf.files import whole_file
from phdnet_tf.inference.many_images import plan, predict_jobs
from phdnet_tf.inference.results import Locator

SLOWEST = 10
"""Images of a shard whose times are kept."""


@dataclass
class Record:
    """What a shard has to tell beside its landmarks.

    Attributes:
        studies: How many were gone through.
        images: Predicted.
        unrecognised: Of these, those that do not look like their model's view.
        left: Phases of the cines that were not asked for.
        reasons: For each way in which a view was told, in words, how many cines.
        skipped: For each reason why a file was left out, how many files.
        errors: Key of the study, file and reason, of each file that failed.
        slowest: Seconds and name of the images that took longest.
        seconds: Of the whole shard.
    """

    studies: int = 0
    images: int = 0
    unrecognised: int = 0
    left: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    errors: list[tuple[str, str, str]] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    seconds: float = 0.0

    def counts(self) -> dict[str, float]:
        """What is told while a batch runs."""
        return {
            "images": self.images,
            "unrecognised": self.unrecognised,
            "failed": len(self.errors),
            "seconds": self.seconds,
        }

    def add(self, other: Record) -> None:
        """Adds what another told."""
        self.studies += other.studies
        self.images += other.images
        self.unrecognised += other.unrecognised
        self.left += other.left
        self.reasons.update(other.reasons)
        self.skipped.update(other.skipped)
        self.errors += other.errors
        self.slowest = sorted(self.slowest + other.slowest, reverse=True)[:SLOWEST]
        self.seconds += other.seconds


def load_record(folder: Path, shard: int) -> Record:
    """What a shard that is done told.

    Raises:
        ValueError: If it is missing or damaged.
    """
    path = layout.record(folder, shard)
    try:
        values = json.loads(path.read_text())
        for name in ("errors", "slowest"):
            values[name] = [tuple(each) for each in values[name]]
        return Record(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: expected the record of a shard that is done. Received: "
            f"{error!r}. Remove {layout.part(folder, shard)} and run the batch again."
        ) from error


def run_shard(
    folder: Path,
    shard: int,
    manifest: Manifest,
    locators: Mapping[str, Locator],
    sandbox: Sandbox,
) -> dict[str, float]:
    """Does a shard, unless it is done.

    A part has the same bytes whoever writes it: studies and cines go by in the order
    of the plan, and images are predicted together only within a study.

    Args:
        folder: The output folder.
        shard: Number of the shard, from 0.
        manifest: That of the folder.
        locators: The model of each view.
        sandbox: Reads the files.

    Returns:
        Its `Record.counts`.

    Raises:
        OSError: If the part cannot be written, or no file of the shard is there.
    """
    target = layout.part(folder, shard)
    if layout.is_done(folder, shard):
        return load_record(folder, shard).counts()
    began = time.monotonic()
    result = Record()
    values: list[dict[str, Any]] = []
    with Marks(folder, shard) as marks, Index(folder) as index:
        _require_files(index, *manifest.shards[shard])
        for study in index.studies(*manifest.shards[shard]):
            result.studies += 1
            if marks.deaths[study.number] >= DEATHS:
                part = layout.part(folder, shard)
                result.errors.append(
                    _of_study(
                        study,
                        f"{DEATHS} processes ended while they were at it, so it was "
                        "left. Try its files with phdnet-tf predict; once that is "
                        f"mended, remove {part} and run the batch again",
                    )
                )
                continue
            marks.at(study.number)
            try:
                values += _predict(study, manifest, locators, sandbox, result)
            except OSError:
                raise
            # Of 100,000 studies one makes a library raise what nobody thought of.
            except Exception as error:
                line = f"{type(error).__name__}: {error}".partition("\n")[0]
                result.errors.append(_of_study(study, f"{line}. Report it"))
        if layout.is_done(folder, shard):
            # Another did it while this process was stopped, or cut off.
            return load_record(folder, shard).counts()
        result.seconds = round(time.monotonic() - began, 3)
        with whole_file(layout.record(folder, shard)) as partial:
            partial.write_text(json.dumps(vars(result)))
            sync(partial)
        # The part comes last: where it is, all is.
        with whole_file(target) as partial:
            rows.write(partial, rows.SCHEMA, values)
    return result.counts()


def _require_files(index: Index, first: int, last: int) -> None:
    """Refuses a shard whose files are all away: no row is to say that they failed."""
    found = None
    for study in index.studies(first, last):
        for found in study.files:
            if found.source.path.exists():
                return
    if found is not None:
        raise FileNotFoundError(
            errno.ENOENT,
            "neither this file nor any other of its shard is there. Is the archive "
            "mounted on this machine?",
            str(found.source.path),
        )


def _predict(
    study: Study,
    manifest: Manifest,
    locators: Mapping[str, Locator],
    sandbox: Sandbox,
    result: Record,
) -> list[dict[str, Any]]:
    """The rows of a study: what `phdnet-tf predict` would find in its files."""
    found = survey_found(study.files, sandbox, [], localisers=manifest.view is not None)
    planned = plan(found.cines, list(locators), manifest.view, manifest.frames)
    values: list[dict[str, Any]] = []
    own = Record(left=planned.left, reasons=Counter(planned.reasons))
    for each in (*found.skipped, *planned.skipped):
        if each.failed:
            own.errors.append((study.key, str(each.source), each.reason))
        else:
            own.skipped[each.reason] += 1
    before = time.monotonic()
    for frame, done in predict_jobs(
        planned.jobs, locators, sandbox, manifest.pixel_spacing
    ):
        now = time.monotonic()
        own.slowest.append((round(now - before, 3), str(frame)))
        before = now
        if done is not None:
            values += rows.rows(study.key, done)
            own.images += len(done.predictions)
            own.unrecognised += sum(not p.recognised for p in done.predictions)
            own.errors += [(study.key, str(f), str(e)) for f, e in done.errors]
    # Only now that all of the study went well.
    result.add(own)
    return values


def _of_study(study: Study, reason: str) -> tuple[str, str, str]:
    """An error row of a whole study, which its first file stands for."""
    first = str(study.files[0].source)
    rest = len(study.files) - 1
    others = f" and {rest} more of its study" if rest else ""
    return study.key, first, printable(f"{first}{others}: {reason}.")
