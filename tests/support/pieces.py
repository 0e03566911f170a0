"""Pieces of work for workers, which load nothing."""

import functools
import signal
import sys
import time
from pathlib import Path

from phdnet_tf.batch.marks import Marks
from phdnet_tf.workers import engine


def until_nobody_waits(folder: Path, number: int):
    """Works on and on, notes when it begins, and tidies up when it may end."""
    (folder / "begun").touch()
    while engine.is_wanted():
        time.sleep(0.05)
    (folder / "ended").touch()
    return {}


def tell_number(topic: str, go: Path, number: int):
    """Tells its number; the second piece ends when there is a file."""
    engine.tell(topic, {"number": number})
    while number == 2 and not go.exists():
        time.sleep(0.02)
    return {"square": number**2}


def at_a_study(folder: Path, number: int):
    """Is at a study, of which it has left a mark."""
    with Marks(folder, number) as marks:
        marks.at(7)
        time.sleep(60)


if __name__ == "__main__":
    # A shell turns it off for what it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with engine.local_cluster(1) as client:
        task = functools.partial(until_nobody_waits, Path(sys.argv[1]))
        list(engine.run_on(client, task, [0]))
