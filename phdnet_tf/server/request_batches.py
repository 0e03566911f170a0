"""Turns for calls of the graph; who waits for one may share it with others.

On two cores, an image of a batch takes two thirds of the processor's time of an image
alone (`docs/results/serving.md`). So requests of one kind that wait at the same moment
are merged. None waits for others to come, and one that is refused spoils no other.
"""

import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future

import numpy as np

Inputs = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]
Run = Callable[[Inputs], Outputs]

MOST = 8
"""Images in a merged call: more gain nothing, and keep their neighbours waiting."""


class Batches:
    """Runs calls, a few at once, and merges those that wait.

    Args:
        at_once: Most calls that run at the same time.
    """

    def __init__(self, at_once: int) -> None:
        """Has nothing to do yet."""
        self._at_once = at_once
        self._running = 0
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, list[tuple[Inputs, Future[Outputs]]]] = {}

    def run(self, key: Hashable, call: Run, inputs: Inputs) -> Outputs:
        """What a call gives for these inputs, alone or merged with others.

        Args:
            key: Calls may be merged if theirs are equal.
            call: What to run; it takes and gives arrays whose axis 0 is that of images.
            inputs: Of the call.

        Returns:
            Its outputs.

        Raises:
            Exception: What the call raises for these inputs.
        """
        if len({len(value) for value in inputs.values()}) != 1:
            # Two requests that lack what the other has too many would fit together.
            key = object()
        mine = inputs, Future[Outputs]()
        with self._changed:
            self._waiting.setdefault(key, []).append(mine)
            # Whom another has taken along waits for the answer, and for no turn.
            self._changed.wait_for(
                lambda: self._running < self._at_once or not self._waits(key, mine)
            )
            taken = self._take(key, mine) if self._waits(key, mine) else []
            if taken:
                self._running += 1
                self._changed.notify_all()
        if taken:
            try:
                _answer(call, taken)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()
        return mine[1].result()

    def _waits(self, key: Hashable, mine: tuple[Inputs, Future[Outputs]]) -> bool:
        return any(one is mine for one in self._waiting.get(key, []))

    def _take(
        self, key: Hashable, mine: tuple[Inputs, Future[Outputs]]
    ) -> list[tuple[Inputs, Future[Outputs]]]:
        """What is to be run in this turn, which nobody waits for any more."""
        waiting = self._waiting.pop(key)
        taken, images = [mine], _images(mine)
        for one in waiting:
            if one is not mine and images + _images(one) <= MOST:
                taken.append(one)
                images += _images(one)
        left = [one for one in waiting if not any(one is t for t in taken)]
        # Without any, the key is gone: it may hold a model that is no longer served.
        if left:
            self._waiting[key] = left
        return taken


def _images(one: tuple[Inputs, Future[Outputs]]) -> int:
    return len(next(iter(one[0].values())))


def _answer(call: Run, taken: list[tuple[Inputs, Future[Outputs]]]) -> None:
    if len(taken) > 1:
        names = taken[0][0]
        merged = {n: np.concatenate([inputs[n] for inputs, _ in taken]) for n in names}
        try:
            outputs = call(merged)
        except Exception:
            # One of them is refused, and only its own call can tell which.
            pass
        else:
            end = 0
            for one in taken:
                start, end = end, end + _images(one)
                one[1].set_result({n: v[start:end] for n, v in outputs.items()})
            return
    for inputs, future in taken:
        try:
            future.set_result(call(inputs))
        except Exception as error:
            future.set_exception(error)
