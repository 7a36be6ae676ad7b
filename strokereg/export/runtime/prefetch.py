"""Work through many scans: the next one is read during the computation, and a bad one does not stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from strokereg.registry.errors import InputError

Item = TypeVar("Item")
Read = TypeVar("Read")


def each(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    work: Callable[[Item, Read], None],
    on_failure: Callable[[Item, InputError], None],
) -> None:
    """Read and process items in order; `on_failure` gets an item that is wrong input, and the next one follows.

    One item is read ahead, in a thread: zlib, which unpacks NIfTI, lets other threads compute meanwhile.
    """
    readings = (_Reading(item, read) for item in items)
    current = next(readings, None)
    while current is not None:
        current.join()
        following = next(readings, None)
        try:
            work(current.item, current.result())
        except InputError as error:
            on_failure(current.item, error)
        current = following


class _Reading(threading.Thread, Generic[Item, Read]):
    """An item that is being read. The thread is a daemon, so Ctrl-C need not wait for a slow disk."""

    def __init__(self, item: Item, read: Callable[[Item], Read]) -> None:
        super().__init__(name="reader", daemon=True)
        self.item = item
        self._read = read
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._read(self.item)
        except Exception as error:  # raised again where the item is used
            self._error = error

    def result(self) -> Read:
        if self._error is not None:
            raise self._error
        return self._result
