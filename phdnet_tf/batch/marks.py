"""Marks of what was started, by which a study is known that ends its process.

A process that is killed can say nothing. So each attempt at a shard says beforehand at
which study it is, in a file of its own, and removes the file when it ends otherwise.
What is left tells at which study how many processes ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections import Counter
from pathlib import Path
from typing import Self

from phdnet_tf.workers.processes import at_end, not_at_end

DEATHS = 2
"""So many processes have to end at a study before it is left out.

One may have been killed for another reason: by hand, by the system, by the cluster.
"""


class Marks:
    """The mark of an attempt at a shard, as a context.

    Args:
        folder: The output folder.
        shard: Number of the shard.

    Attributes:
        deaths: How many processes ended at a study, by its number.

    Raises:
        OSError: On entry, if it cannot be written.
    """

    def __init__(self, folder: Path, shard: int) -> None:
        """Writes nothing yet."""
        self._folder = folder / "started"
        self._pattern = f"shard-{shard:05d}.*"
        self._own = self._folder / f"shard-{shard:05d}.{uuid.uuid4().hex}"
        self.deaths: Counter[int] = Counter()

    def __enter__(self) -> Self:
        """Reads what others left, and makes the own file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob(self._pattern):
            # Another that is alive may end at any moment.
            with contextlib.suppress(FileNotFoundError), path.open() as file:
                text = file.read()
                if text.strip() and not _is_held(file.fileno()):
                    self.deaths[int(text)] += 1
        self._descriptor = os.open(self._own, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        # Where a file system has no locks, all that left no end count as dead.
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        at_end(self._remove)
        return self

    def at(self, study: int) -> None:
        """Says that a study is begun."""
        # Of one length and in one call: whoever reads it sees the old or the new.
        os.pwrite(self._descriptor, f"{study:20d}\n".encode(), 0)

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Removes the own file; of a shard that is done, those of others, too."""
        not_at_end(self._remove)
        os.close(self._descriptor)
        self._remove()
        if kind is None:
            for path in self._folder.glob(self._pattern):
                path.unlink(missing_ok=True)

    def _remove(self) -> None:
        self._own.unlink(missing_ok=True)


def _is_held(descriptor: int) -> bool:
    """Whether the process that made a mark is alive, be it stopped or slow."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
