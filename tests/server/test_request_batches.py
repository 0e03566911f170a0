import asyncio
import threading

import numpy as np
import pytest

from phdnet_tf.server.refusal import Refusal
from phdnet_tf.server.request_batches import GIVES_WAY, Batches

MOST = 8


class Doubling:
    """Doubles numbers, refuses negative ones, and can be held up."""

    def __init__(self):
        self.sizes, self.go, self.begun = [], threading.Event(), threading.Event()

    def __call__(self, inputs):
        self.begun.set()
        assert self.go.wait(30)
        self.sizes.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise ValueError("negative")
        return {"y": inputs["x"] * 2}


async def ask(batches, call, *requests, key="k"):
    """Requests that wait behind the ones before."""
    tasks = [
        asyncio.ensure_future(batches.run(key, call, {"x": np.array(request)}))
        for request in requests
    ]
    await asyncio.sleep(0)
    return tasks


async def values(tasks):
    answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
    return [a if isinstance(a, BaseException) else a["y"].tolist() for a in answers]


def waiting_behind_one(call, requests, keys=None):
    """Answers, or exceptions, of requests that came while a first one was running."""

    async def run():
        batches = Batches(at_once=1, most=MOST)
        tasks = await ask(batches, call, [1.0], key="first")
        for request, key in zip(requests, keys or len(requests) * "k", strict=True):
            tasks += await ask(batches, call, request, key=key)
        call.go.set()
        first, *answers = await values(tasks)
        assert first == [2.0]
        assert not batches._waiting  # nothing is kept of what is done
        return answers

    return asyncio.run(run())


def test_requests_that_wait_are_merged_and_each_gets_its_own_answer():
    call = Doubling()

    answers = waiting_behind_one(call, [[1.0], [2.0, 3.0], [4.0]])

    assert answers == [[2.0], [4.0, 6.0], [8.0]]
    assert call.sizes == [1, 4]


def test_a_refused_request_spoils_no_other():
    answers = waiting_behind_one(Doubling(), [[1.0], [-1.0], [4.0]])

    assert [answers[0], answers[2]] == [[2.0], [8.0]]
    assert isinstance(answers[1], ValueError)


def test_requests_that_memory_cannot_merge_are_answered_one_by_one(monkeypatch):
    def full(arrays):
        raise MemoryError

    monkeypatch.setattr(np, "concatenate", full)
    call = Doubling()

    answers = waiting_behind_one(call, [[1.0], [2.0, 3.0]])

    assert answers == [[2.0], [4.0, 6.0]]
    assert call.sizes == [1, 1, 2]


def test_after_answers_that_nobody_can_divide_those_who_wait_have_their_turn():
    call = Doubling()

    def whole(inputs):
        return {"y": np.array(7.0)}

    async def run():
        batches = Batches(at_once=1, most=MOST)
        tasks = await ask(batches, call, [1.0], key="first")
        tasks += await ask(batches, whole, [1.0], [2.0], key="whole")
        tasks += await ask(batches, call, [3.0], key="last")
        call.go.set()
        return await values(tasks)

    first, *whole_ones, last = asyncio.run(run())

    assert (first, last) == ([2.0], [6.0])
    assert [type(each) for each in whole_ones] == [IndexError, IndexError]


def test_unlike_requests_are_not_merged_and_batches_stay_small():
    call = Doubling()

    answers = waiting_behind_one(call, [[1.0]] * (2 * MOST + 2), "ab" * (MOST + 1))

    assert answers == [[2.0]] * (2 * MOST + 2)
    assert max(call.sizes) == MOST and sum(call.sizes) == 2 * MOST + 3
    assert len(call.sizes) == 5  # the first, and for each of two kinds MOST and one


def test_requests_that_are_wrong_alone_do_not_become_right_together():
    """Two images with one spacing, and one image with two."""
    call = Doubling()
    inputs = [{"x": np.ones(2), "s": np.ones(1)}, {"x": np.ones(1), "s": np.ones(2)}]

    async def run():
        batches = Batches(at_once=1, most=MOST)
        first = await ask(batches, call, [1.0])
        tasks = [asyncio.ensure_future(batches.run("k", call, one)) for one in inputs]
        await asyncio.sleep(0)
        call.go.set()
        return await values(first + tasks)

    assert [len(answer) for answer in asyncio.run(run())] == [1, 2, 1]
    assert sorted(call.sizes) == [1, 1, 2]


def test_a_request_of_many_images_lets_single_ones_pass_but_not_for_ever():
    call, order = Doubling(), []

    def named(name):
        def run(inputs):
            order.append(name)
            return call(inputs)

        return run

    async def run():
        batches = Batches(at_once=1, most=MOST)
        tasks = await ask(batches, call, [1.0])
        tasks += await ask(batches, named("many"), [1.0] * 3, key="many")
        tasks += await ask(batches, named("one"), [1.0], key="one")
        await asyncio.sleep(2 * GIVES_WAY + 0.1)
        tasks += await ask(batches, named("late"), [1.0], key="late")
        call.go.set()
        await values(tasks)

    asyncio.run(run())

    assert order == ["one", "many", "late"]


def test_who_leaves_before_his_turn_has_none():
    call = Doubling()

    async def run():
        batches = Batches(at_once=1, most=MOST)
        first = await ask(batches, call, [1.0])
        left, stayed = await ask(batches, call, [7.0] * 5, [3.0])
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        call.go.set()
        return await values([*first, stayed])

    assert asyncio.run(run()) == [[2.0], [6.0]]
    assert call.sizes == [1, 1]


def test_who_leaves_in_his_turn_does_not_disturb_those_who_share_it():
    call = Doubling()

    async def run():
        batches = Batches(at_once=1, most=MOST)
        left, stayed, later = await ask(batches, call, [1.0], [2.0], [3.0])
        await asyncio.to_thread(call.begun.wait, 30)
        left.cancel()
        await asyncio.sleep(0.01)
        call.go.set()
        return await values([stayed, later])

    assert asyncio.run(run()) == [[4.0], [6.0]]


def test_no_more_wait_than_may():
    call = Doubling()

    async def run():
        batches = Batches(at_once=1, most=MOST, most_waiting=2)
        tasks = await ask(batches, call, [1.0], [2.0], [3.0], [4.0])
        call.go.set()
        return await values(tasks)

    *answered, refused = asyncio.run(run())

    assert answered == [[2.0], [4.0], [6.0]]
    assert isinstance(refused, Refusal) and refused.http == 503


def test_who_waits_for_nobody_is_answered_at_once():
    call = Doubling()
    call.go.set()

    async def run(inputs):
        return await Batches(1, MOST).run("k", call, {"x": inputs})

    assert asyncio.run(run(np.ones(40)))["y"].tolist() == [2.0] * 40
    with pytest.raises(ValueError, match="negative"):
        asyncio.run(run(-np.ones(1)))
