"""The folds and systems of a benchmark side by side, on workers.

The scheduler of a cluster imports this module, too: nothing here loads TensorFlow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from phdnet_tf.config import Config
from phdnet_tf.training.data import AnnotatedImages, cross_validation_folds
from phdnet_tf.training.networks import Network, networks_of
from phdnet_tf.training.worker import Workplace, at_work, named, train_apart
from phdnet_tf.workers.processes import Result, Task

OTHERS = "beside_others"
"""An empty file in the folder of a turn, some of which was done beside others."""


class Engine(Protocol):
    """`engine.run_on` with its client."""

    def __call__(
        self,
        task: Task,
        numbers: Iterable[int],
        then: Callable[[int, Result], Iterable[int]],
    ) -> Iterator[tuple[int, Result]]:
        """See `engine.run_on`."""


@dataclass(frozen=True)
class Turn:
    """A system and a fold that it is tested on.

    Attributes:
        system: One of `SYSTEMS`.
        fold: The test fold.
        config: The system's settings.
        folder: Of this system and fold.
        time_limit: Most seconds to train, of all its networks together, or None.
    """

    system: str
    fold: int
    config: Config
    folder: Path
    time_limit: float | None


def train_and_test_all(
    engine: Engine, place: Workplace, turns: Sequence[Turn]
) -> Iterator[tuple[Turn, str | None]]:
    """Does turns on workers, as `cross_validation.train_and_test` does one.

    Where a system has several networks, each is a piece of work of its own, and what
    remains of the turn is another, which waits for them.

    Args:
        engine: See `Engine`.
        place: What workers have to work with.
        turns: What to do.

    Yields:
        Each turn as it is finished, and None; or one that cannot be, and in words why.

    Raises:
        ConnectionError: If the scheduler is gone.
    """
    pieces: list[tuple[Turn, Network | None]] = [(turn, None) for turn in turns]
    first: list[int] = []
    last: dict[int, int] = {}
    missing = [0] * len(turns)
    for number, turn in enumerate(turns):
        networks = networks_of(
            turn.config,
            cross_validation_folds(turn.fold),
            turn.folder / "run",
            time_limit=turn.time_limit,
        )
        if len(networks) == 1:
            first.append(number)
            continue
        missing[number] = len(networks)
        for network in networks:
            last[len(pieces)] = number
            first.append(len(pieces))
            pieces.append((turn, network))

    def then(number: int, result: Result) -> list[int]:
        if number not in last or isinstance(result, str):
            return []
        missing[last[number]] -= 1
        return [] if missing[last[number]] else [last[number]]

    task = functools.partial(_do, place, tuple(pieces))
    for number, result in engine(task, first, then):
        turn, of_piece = pieces[number]
        if isinstance(result, str):
            folder = of_piece.folder if of_piece else turn.folder
            yield turn, named(folder, result)
        elif of_piece is None:
            yield turn, None


def _do(
    place: Workplace, pieces: tuple[tuple[Turn, Network | None], ...], number: int
) -> dict[str, Any] | str:
    turn, network = pieces[number]
    turn.folder.mkdir(parents=True, exist_ok=True)
    # The times that a turn keeps depend on it, whoever ends the turn.
    (turn.folder / OTHERS).touch()
    if network is not None:
        return train_apart(place, (network,), 0)

    work = functools.partial(_train_and_test, turn, place.cache_memory)
    return at_work(place, turn.folder, work)


def _train_and_test(
    turn: Turn,
    cache_memory: float,
    source: AnnotatedImages,
    on_progress: Callable[[Any], None],
) -> dict[str, Any]:
    from phdnet_tf.comparison.cross_validation import train_and_test

    train_and_test(
        turn.system,
        turn.fold,
        turn.config,
        source,
        turn.folder,
        time_limit=turn.time_limit,
        cache_memory=cache_memory,
        on_progress=on_progress,
    )
    return {}
