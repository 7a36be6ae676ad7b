"""Reading ahead: order, failures, and an end that leaves no thread behind."""

import threading
import time

import pytest

from strokereg.export.runtime.prefetch import each
from strokereg.registry.errors import InputError, OutputFailed


def readers() -> int:
    return sum(thread.name == "reader" for thread in threading.enumerate())


def test_items_come_in_order_and_are_read_while_others_are_worked_on():
    events = []

    def work(item, value):
        while f"read {min(item + 1, 3)}" not in events:
            time.sleep(0.001)  # the next one is read although this one is still being worked on
        assert value == item * 10
        events.append(f"worked {item}")

    each(range(4), lambda item: events.append(f"read {item}") or item * 10, work, lambda item, error: None)
    assert [event for event in events if event.startswith("worked")] == [f"worked {i}" for i in range(4)]
    assert events.index("read 1") < events.index("worked 0")
    assert "read 3" not in events[: events.index("worked 1")]  # memory holds two items at most


def test_a_bad_item_goes_to_the_failures_and_the_next_one_follows():
    def read(item):
        if item == 1:
            raise InputError("one: damaged; copy it again")
        return item

    done, failed = [], []
    each(range(3), read, lambda item, value: done.append(value), lambda item, error: failed.append((item, str(error))))
    assert done == [0, 2]
    assert failed == [(1, "one: damaged; copy it again")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OutputFailed("the disk is full")])
def test_what_is_no_fault_of_an_item_ends_the_work_and_the_reader(error):
    def work(item, value):
        raise error

    read = []
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        each(range(100), lambda item: read.append(item), work, lambda item, fault: None)
    deadline = time.monotonic() + 5
    while readers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert readers() == 0
    assert len(read) <= 4


def test_a_bug_in_reading_keeps_its_traceback():
    def read(item):
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        each([1], read, lambda item, value: None, lambda item, error: None)
