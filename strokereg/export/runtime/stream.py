"""Many scans, one after the other: the next is read while this one is computed, and a bad one stops nobody."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from strokereg.registry.errors import InputError

Item = TypeVar("Item")
Read = TypeVar("Read")

_AHEAD = 1  # read beyond the one being computed: memory holds three scans at most


class Turn(Generic[Item, Read]):
    """An item whose turn has come: what was read of it, or why it could not be."""

    def __init__(self, item: Item, read: Read | None, error: BaseException | None) -> None:
        self.item = item
        self._read = read
        self._error = error

    def get(self) -> Read:
        """What was read.

        Raises:
            InputError: that reading raised.
        """
        if self._error is not None:
            raise self._error
        return self._read  # type: ignore[return-value]


def ahead(items: Iterable[Item], read: Callable[[Item], Read]) -> Iterator[Turn[Item, Read]]:
    """Read items in a thread of its own, in order, `_AHEAD` of them before they are asked for.

    NIfTI is unpacked by zlib, which lets other threads work meanwhile.
    """
    waiting: queue.Queue[Turn[Item, Read] | None] = queue.Queue(maxsize=_AHEAD)
    left = threading.Event()

    def put(turn: Turn[Item, Read] | None) -> None:
        while not left.is_set():
            try:
                return waiting.put(turn, timeout=0.1)
            except queue.Full:
                continue
        return None

    def work() -> None:
        for item in items:
            if left.is_set():
                return
            try:
                turn = Turn(item, read(item), None)
            except Exception as error:  # raised again where the item is used
                turn = Turn(item, None, error)
            put(turn)
        put(None)

    # A daemon, so that Ctrl-C need not wait for a slow disk.
    threading.Thread(target=work, name="reader", daemon=True).start()
    try:
        while (turn := waiting.get()) is not None:
            yield turn
    finally:
        left.set()


def each(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    work: Callable[[Item, Read], None],
    on_failure: Callable[[Item, InputError], None],
) -> None:
    """Read and work through items; an item that is wrong input goes to `on_failure`, and the next one follows."""
    for turn in ahead(items, read):
        try:
            work(turn.item, turn.get())
        except InputError as error:
            on_failure(turn.item, error)
