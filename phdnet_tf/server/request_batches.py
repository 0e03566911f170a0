"""Runs graph calls in turn, and merges requests that wait at the same time.

On two cores, an image in a batch takes two thirds of the processor time of an image
alone (`docs/results/serving.md`). Requests of the same kind that wait at the same time
are therefore merged. No request waits for others to come. A refused request does not
affect others. A cancelled request loses its turn.
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

GIVES_WAY = 0.5
"""Delay of a request for each image beyond its first, in seconds: smaller requests that
come later may overtake it."""


@dataclass(eq=False)
class _Request:
    """A waiting request.

    Attributes:
        key: Requests with equal keys may be merged.
        call: The function to run.
        inputs: Inputs of the call.
        answer: The future for which the client waits.
        turn: Lower values run earlier.
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
    """Runs calls, a few at once, and merges waiting ones. For one event loop.

    Args:
        at_once: Largest number of calls that run at the same time.
        most: Largest number of images in a merged call.
        most_waiting: Largest number of waiting requests.
    """

    def __init__(self, at_once: int, most: int, most_waiting: int = 128) -> None:
        """Starts without requests."""
        self._at_once = at_once
        self._most = most
        self._most_waiting = most_waiting
        self._running = 0
        self._waiting: list[_Request] = []
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="graph")

    async def run(self, key: Hashable, call: Run, inputs: Inputs) -> Outputs:
        """Runs a call on inputs, alone or merged with others.

        A request that is cancelled while it waits is dropped.

        Args:
            key: Requests with equal keys may be merged.
            call: The function to run. Axis 0 of its inputs and outputs is images.
            inputs: Inputs of the call.

        Returns:
            The outputs for these inputs.

        Raises:
            Refusal: If too many wait.
            Exception: Any error of the call for these inputs.
        """
        if len(self._waiting) >= self._most_waiting:
            raise busy(f"{self._most_waiting} requests are waiting")
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
        """Removes the requests of the next turn from the queue, and returns them."""
        first = min(self._waiting, key=lambda request: request.turn)
        taken, images = [first], first.images
        for one in self._waiting:
            if (
                one is not first
                and one.key == first.key
                and images + one.images <= self._most
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
        failed = done.exception()
        answers = [failed] * len(taken) if failed else done.result()
        for request, answer in zip(taken, answers, strict=True):
            if request.answer.done():  # its client has left
                continue
            if isinstance(answer, BaseException):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)
        self._begin(done.get_loop())


def _answers(call: Run, requests: list[Inputs]) -> list[Outputs | Exception]:
    """The answer to each request, from one call if possible."""
    if len(requests) > 1:
        names = requests[0]
        try:
            merged = {n: np.concatenate([i[n] for i in requests]) for n in names}
            outputs = call(merged)
        except Exception:
            # One of them is refused, and only its own call can tell which. Or memory
            # does not suffice for all of them together.
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
