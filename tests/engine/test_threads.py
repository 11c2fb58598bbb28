"""Threads that work on a stream: order, faults, and how far they read ahead."""

import threading

import pytest

from physadv.engine.threads import in_threads


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_items_whoever_is_done_first(threads):
    gates = [threading.Event() for _ in range(threads)]

    def task(item):
        # Of the first items the last is done first.
        if item < threads - 1:
            assert gates[item + 1].wait(30)
        if item < threads:
            gates[item].set()
        return item * item

    found = in_threads(task, range(20), threads, ahead=threads)
    assert list(found) == [item * item for item in range(20)]


def test_each_thread_is_prepared_and_none_but_them_works():
    prepared = set()

    def prepare():
        prepared.add(threading.get_ident())

    def task(item):
        return threading.get_ident()

    used = set(in_threads(task, range(50), 3, ahead=3, prepare=prepare))
    assert used <= prepared
    assert threading.get_ident() not in used
    assert len(prepared) <= 3


def test_what_the_source_raises_comes_after_the_last_result():
    def source():
        yield from range(7)
        raise OSError("gone")

    results = in_threads(str, source(), 2, ahead=4)
    assert [next(results) for _ in range(7)] == list("0123456")
    with pytest.raises(OSError, match="gone"):
        next(results)


def test_a_task_that_fails_costs_none_before_it():
    def task(item):
        return 1 / (5 - item)

    results = in_threads(task, range(100), 2, ahead=2)
    assert [next(results) for _ in range(5)] == [1 / 5, 1 / 4, 1 / 3, 1 / 2, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("ahead", [0, 3])
def test_no_more_is_taken_than_asked_for(ahead):
    taken = []

    def source():
        for item in range(100):
            taken.append(item)
            yield item

    results = in_threads(str, source(), 2, ahead=ahead)
    for number in range(10):
        assert next(results) == str(number)
        assert len(taken) == number + 1 + ahead
    results.close()
    assert len(taken) <= 10 + ahead
