"""Requests side by side, a limited number at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def side_by_side(items: Sequence[Item], ask: Callable[[Item], Answer], most: int) -> Iterator[tuple[Item, Answer]]:
    """Each item with its answer, in the order in which answers come; ``most`` are asked at once.

    After a failure none is asked any more, those under way are still waited for, and then the failure is raised. An
    interrupted program waits for nothing: the threads are daemons, which those of a pool of the standard library
    are not.
    """
    waiting: SimpleQueue[Item] = SimpleQueue()
    for item in items:
        waiting.put(item)
    failed = threading.Event()
    answers: SimpleQueue[tuple[Item, Answer] | BaseException | None] = SimpleQueue()

    def ask_on() -> None:
        while not failed.is_set():
            try:
                item = waiting.get_nowait()
            except Empty:
                break
            try:
                answers.put((item, ask(item)))
            except BaseException as error:  # raised again by the one who takes the answers
                failed.set()
                answers.put(error)
        answers.put(None)

    working = min(most, len(items))
    for _ in range(working):
        threading.Thread(target=ask_on, daemon=True).start()
    failure: BaseException | None = None
    while working:
        answer = answers.get()
        if answer is None:
            working -= 1
        elif isinstance(answer, BaseException):
            failure = failure or answer
        else:
            yield answer
    if failure is not None:
        raise failure
