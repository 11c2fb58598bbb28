"""Tasks give the same results wherever they run, in order, and their errors arrive whole."""

import os

import pytest

from physadv.checks import UsageError, UserError
from physadv.engine.local import engine_of


def square(item: int, report) -> tuple[int, int]:
    report(f"item {item}", 1, 2)
    return item * item, os.getpid()


def refuse(item: int, report) -> int:
    if item == 1:
        raise UsageError("count", f"found {item}", "Give another.")
    return item


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_with_what_was_reported(workers):
    told = []
    found = list(engine_of(workers).map(square, range(6), lambda *one: told.append(one)))
    assert [value for value, _ in found] == [0, 1, 4, 9, 16, 25]
    assert sorted(told) == [(f"item {n}", 1, 2) for n in range(6)]
    assert (os.getpid() in {pid for _, pid in found}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_users_mistake_arrives_with_its_three_parts(workers):
    results = engine_of(workers).map(refuse, range(3), lambda *_: None)
    assert next(results) == 0
    with pytest.raises(UserError) as error:
        list(results)
    assert type(error.value) is UsageError
    assert (error.value.asked, error.value.got) == ("count", "found 1")
