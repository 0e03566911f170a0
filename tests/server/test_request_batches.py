import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest

from phdnet_tf.server.request_batches import MOST, Batches


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


def wait_for(batches, waiting):
    """Returns when so many requests wait."""
    end = time.monotonic() + 30
    while sum(map(len, batches._waiting.values())) < waiting:
        assert time.monotonic() < end, "they never came"
        time.sleep(0.001)


def waiting_behind_one(call, requests, keys=None):
    """Answers, or exceptions, of requests that came while a first one was running."""
    batches = Batches(at_once=1)
    with ThreadPoolExecutor(len(requests) + 1) as pool:
        first = pool.submit(batches.run, "first", call, {"x": np.array([1.0])})
        assert call.begun.wait(30)
        futures = [
            pool.submit(batches.run, key, call, {"x": np.array(request)})
            for request, key in zip(requests, keys or len(requests) * "k", strict=True)
        ]
        wait_for(batches, len(requests))
        call.go.set()
        assert first.result()["y"].tolist() == [2.0]
        answers = [f.exception() or f.result()["y"].tolist() for f in futures]
    assert not batches._waiting  # nothing is kept of what is done
    return answers


def test_requests_that_wait_are_merged_and_each_gets_its_own_answer():
    call = Doubling()

    answers = waiting_behind_one(call, [[1.0], [2.0, 3.0], [4.0]])

    assert answers == [[2.0], [4.0, 6.0], [8.0]]
    assert call.sizes == [1, 4]


def test_a_refused_request_spoils_no_other():
    answers = waiting_behind_one(Doubling(), [[1.0], [-1.0], [4.0]])

    assert [answers[0], answers[2]] == [[2.0], [8.0]]
    assert isinstance(answers[1], ValueError)


def test_unlike_requests_are_not_merged_and_batches_stay_small():
    call = Doubling()

    answers = waiting_behind_one(call, [[1.0]] * (2 * MOST + 2), "ab" * (MOST + 1))

    assert answers == [[2.0]] * (2 * MOST + 2)
    assert max(call.sizes) == MOST and sum(call.sizes) == 2 * MOST + 3
    assert len(call.sizes) == 5  # the first, and for each of two kinds MOST and one


def test_requests_that_are_wrong_alone_do_not_become_right_together():
    """Two images with one spacing, and one image with two."""
    batches, call = Batches(at_once=1), Doubling()
    inputs = [{"x": np.ones(2), "s": np.ones(1)}, {"x": np.ones(1), "s": np.ones(2)}]
    with ThreadPoolExecutor(3) as pool:
        pool.submit(batches.run, "first", call, {"x": np.ones(1)})
        assert call.begun.wait(30)
        futures = [pool.submit(batches.run, "k", call, one) for one in inputs]
        wait_for(batches, 2)
        call.go.set()
        assert [len(f.result()["y"]) for f in futures] == [2, 1]

    assert sorted(call.sizes) == [1, 1, 2]


def test_who_was_merged_is_answered_before_the_next_call_has_ended():
    batches, call, other = Batches(at_once=1), Doubling(), Doubling()
    inputs = {"x": np.ones(1)}
    with ThreadPoolExecutor(4) as pool:
        pool.submit(batches.run, "first", call, inputs)
        assert call.begun.wait(30)
        futures = []
        for key, asked in (("k", call), ("other", other), ("k", call)):
            futures.append(pool.submit(batches.run, key, asked, inputs))
            wait_for(batches, len(futures))
        call.go.set()
        try:
            assert other.begun.wait(30)
            # Should the other have had its turn first, both would have to wait for it.
            if wait([futures[0]], 1).done:
                assert futures[2].result(10)["y"].tolist() == [2.0]
        finally:
            other.go.set()


def test_who_waits_for_nobody_is_answered_at_once():
    call = Doubling()
    call.go.set()

    assert Batches(1).run("k", call, {"x": np.ones(40)})["y"].tolist() == [2.0] * 40
    with pytest.raises(ValueError, match="negative"):
        Batches(1).run("k", call, {"x": -np.ones(1)})
