"""Turns for calls of the graph; who waits for one may share it with others.

On two cores, an image of a batch takes two thirds of the processor's time of an image
alone (`docs/results/serving.md`). So requests of one kind that wait at the same moment
are merged. None waits for others to come, and one that is refused spoils no other. Who
has left before his turn has none.
"""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from phdnet_tf.server.refusal import Refusal, busy

Inputs = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]
Run = Callable[[Inputs], Outputs]

MOST = 8
"""Images in a merged call: more gain nothing, and keep their neighbours waiting."""

GIVES_WAY = 0.5
"""Seconds, for each image beyond the first, by which a request lets later ones pass."""


@dataclass(eq=False)
class _Request:
    """One that waits.

    Attributes:
        key: Calls may be merged if theirs are equal.
        call: What to run.
        inputs: Of the call.
        answer: What its client waits for.
        turn: The lower, the sooner.
    """

    key: Hashable
    call: Run
    inputs: Inputs
    answer: asyncio.Future[Outputs]
    turn: float

    @property
    def images(self) -> int:
        return len(next(iter(self.inputs.values())))


class Batches:
    """Runs calls, a few at once, and merges those that wait. For one event loop.

    Args:
        at_once: Most calls that run at the same time.
        most_waiting: Most requests that wait.
    """

    def __init__(self, at_once: int, most_waiting: int = 128) -> None:
        """Has nothing to do yet."""
        self._at_once = at_once
        self._most_waiting = most_waiting
        self._running = 0
        self._waiting: list[_Request] = []
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="graph")

    async def run(self, key: Hashable, call: Run, inputs: Inputs) -> Outputs:
        """What a call gives for these inputs, alone or merged with others.

        A caller that is cancelled while it waits is forgotten.

        Args:
            key: Calls may be merged if theirs are equal.
            call: What to run; it takes and gives arrays whose axis 0 is that of images.
            inputs: Of the call.

        Returns:
            Its outputs.

        Raises:
            Refusal: If too many wait.
            Exception: What the call raises for these inputs.
        """
        if len(self._waiting) >= self._most_waiting:
            raise busy(f"{self._most_waiting} requests wait")
        if len({len(value) for value in inputs.values()}) != 1:
            # Two requests that lack what the other has too many would fit together.
            key = object()
        loop = asyncio.get_running_loop()
        request = _Request(key, call, inputs, loop.create_future(), loop.time())
        request.turn += GIVES_WAY * (request.images - 1)
        self._waiting.append(request)
        self._begin(loop)
        try:
            return await request.answer
        finally:
            if request in self._waiting:
                self._waiting.remove(request)
            # An error knows this frame, and the request's future the error: refused
            # images, up to 84 MB, would last until Python looks for cycles.
            del request

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts as many calls as may run."""
        while self._waiting and self._running < self._at_once:
            taken = self._take()
            self._running += 1
            running = loop.run_in_executor(
                self._threads, _answers, taken[0].call, [r.inputs for r in taken]
            )
            running.add_done_callback(partial(self._end, taken))

    def _take(self) -> list[_Request]:
        """What is to be run in this turn, which waits no more."""
        first = min(self._waiting, key=lambda request: request.turn)
        taken, images = [first], first.images
        for one in self._waiting:
            if (
                one is not first
                and one.key == first.key
                and images + one.images <= MOST
            ):
                taken.append(one)
                images += one.images
        self._waiting = [one for one in self._waiting if one not in taken]
        return taken

    def _end(
        self,
        taken: list[_Request],
        done: asyncio.Future[list[Outputs | Exception]],
    ) -> None:
        self._running -= 1
        for request, answer in zip(taken, done.result(), strict=True):
            if request.answer.done():  # its client has left
                continue
            if isinstance(answer, Exception):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)
        self._begin(done.get_loop())


def _answers(call: Run, requests: list[Inputs]) -> list[Outputs | Exception]:
    """What each of them gets, of one call if that can be."""
    if len(requests) > 1:
        names = requests[0]
        merged = {n: np.concatenate([inputs[n] for inputs in requests]) for n in names}
        try:
            outputs = call(merged)
        except Exception:
            # One of them is refused, and only its own call can tell which.
            pass
        else:
            ends = np.cumsum([len(next(iter(inputs.values()))) for inputs in requests])
            pieces = {n: np.split(value, ends[:-1]) for n, value in outputs.items()}
            return [{n: p[i] for n, p in pieces.items()} for i in range(len(ends))]
    return [_answer(call, inputs) for inputs in requests]


def _answer(call: Run, inputs: Inputs) -> Outputs | Exception:
    try:
        return call(inputs)
    except Refusal as refusal:
        # Its traceback leads to the images, and to the thread that has this answer.
        return refusal.with_traceback(None)
    except Exception as error:
        return error
