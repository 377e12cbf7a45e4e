"""Grades samples during generation: in processes of low priority, each sample under a time limit.

A grader that raises, hangs or dies has not said that a sample is right, so the sample is not: it counts as wrong, with
a reason that begins with ``grader:`` and shows in the counts. That a grader cannot even start is an error of the run.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import cache
from importlib.metadata import entry_points
from multiprocessing.connection import Connection
from types import TracebackType

from patchkit.errors import PatchkitError
from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem

GROUP = "patchkit.graders"
START = 300  # seconds that a process may take to load a grader, on a host that is busy with a model
Grader = Callable[[Problem, str], Grade]
Task = tuple[Problem, str, "Future[Grade]"]


class Grading:
    """Processes that grade. A context manager: leaving it waits for every grade, or for none after an exception.

    Args:
        grader: ``module:attribute``, or a name in the entry point group ``patchkit.graders``.
        workers: how many processes; as a rule all cores but one.
        seconds: the most that a sample may take. A grader with limits of its own keeps well below it.

    Raises:
        PatchkitError: if there is no such grader, or it may not run on this host.
    """

    def __init__(self, grader: str, *, workers: int | None = None, seconds: float = 60) -> None:
        self._statement = statement(find_grader(grader))
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        count = workers or max(1, (os.cpu_count() or 1) - 1)
        self._workers = [Worker(grader, seconds, self._tasks) for _ in range(count)]
        for worker in self._workers:
            worker.start()

    def submit(self, problem: Problem, text: str) -> Future[Grade]:
        """Has a sample graded.

        The future has a grade, or a PatchkitError if graders cannot start, or a CancelledError if grading was stopped.
        """
        future: Future[Grade] = Future()
        self._tasks.put((problem, text, future))
        return future

    def describe(self) -> str:
        """What confines the code that is graded, in one line; empty if none is run."""
        return self._statement

    def close(self) -> None:
        """Waits for every grade."""
        for _ in self._workers:
            self._tasks.put(None)
        for worker in self._workers:
            worker.join()

    def stop(self) -> None:
        """Gives up what is not graded yet, and ends every process."""
        for worker in self._workers:
            worker.stop()
        self.close()

    def __enter__(self) -> Grading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:  # Ctrl-C while it waits too
            self.stop()


class Worker(threading.Thread):
    """Feeds one process with tasks, one at a time, and starts another where it has to end one."""

    def __init__(self, grader: str, seconds: float, tasks: queue.SimpleQueue[Task | None]) -> None:
        super().__init__(daemon=True)
        self._grader, self._seconds, self._tasks = grader, seconds, tasks
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._stopped, self._changing = False, threading.Lock()

    def run(self) -> None:
        while task := self._tasks.get():
            problem, text, future = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                grade = self._grade(problem, text)
                if self._stopped:
                    raise CancelledError
                future.set_result(grade)
            except (PatchkitError, CancelledError) as error:
                future.set_exception(error)
        self._end()

    def stop(self) -> None:
        """Ends the process; tasks that are left are cancelled."""
        with self._changing:
            self._stopped = True
            if self._process:
                self._process.kill()

    def _grade(self, problem: Problem, text: str) -> Grade:
        pipe = self._pipe or self._begin()
        try:
            pipe.send((problem, text))
            if pipe.poll(self._seconds):
                return as_grade(pipe.recv())
            why = "timeout"
        except (EOFError, OSError):
            why = "died"
        self._end()
        return failure(why)

    def _begin(self) -> Connection:
        # Spawned, since the caller may have threads, and a fork would copy what they hold.
        context = multiprocessing.get_context("spawn")
        pipe, theirs = context.Pipe()
        with self._changing:
            if self._stopped:
                raise CancelledError
            self._process = context.Process(target=serve, args=(self._grader, theirs, os.getpid()), daemon=True)
            self._process.start()
        theirs.close()
        self._pipe = pipe
        try:
            if pipe.poll(START) and pipe.recv() == "ready":
                return pipe
            why = f"not ready after {START} s"
        except (EOFError, OSError):
            why = "it ended while it loaded"
        self._end()
        if self._stopped:
            raise CancelledError
        raise PatchkitError(f"grader {self._grader} cannot start in a process of its own: {why}", "see its last words")

    def _end(self) -> None:
        if self._process and self._pipe:
            self._pipe.close()
            self._process.kill()
            self._process.join()
        self._process, self._pipe = None, None


def as_grade(found: object) -> Grade:
    """What the process sent back: a grade, or in its place what was raised."""
    if isinstance(found, Grade):
        return found
    return failure(found if isinstance(found, str) else "no grade")


def failure(why: str) -> Grade:
    return Grade(False, why=f"grader: {why}")


@cache
def find_grader(name: str) -> Grader:
    """The grader of that name.

    Raises:
        PatchkitError: if there is none.
    """
    module, colon, attribute = name.partition(":")
    try:
        if colon:
            found = getattr(importlib.import_module(module), attribute)
        else:
            [entry] = entry_points(group=GROUP, name=name)
            found = entry.load()
    except (ImportError, AttributeError, ValueError) as error:
        why = f"no entry point {name} in {GROUP}" if isinstance(error, ValueError) else str(error)
        raise PatchkitError(f"grader {name!r} cannot be loaded: {why}", "name it module:function") from error
    if not callable(found):
        raise PatchkitError(f"grader {name!r} is no function: {found!r}", "name one that takes a problem and a text")
    grader: Grader = found
    return grader


def statement(grader: Grader) -> str:
    """What the grader's module says of how it confines code, if it runs any."""
    says = getattr(sys.modules.get(grader.__module__), "confinement", None)
    return str(says()) if says else ""


# In a worker's process


def serve(name: str, pipe: Connection, parent: int) -> None:
    """Grades until there is nothing more to grade."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: whatever ends the parent ends us
    if os.getppid() != parent:
        return
    os.nice(10)  # the processor is vLLM's first
    grader = find_grader(name)
    pipe.send("ready")
    while True:
        try:
            problem, text = pipe.recv()
        except EOFError:
            return
        pipe.send(graded(grader, problem, text))


def graded(grader: Grader, problem: Problem, text: str) -> Grade | str | None:
    """A grade; or what was raised, in few words; or nothing that can be used."""
    try:
        found: object = grader(problem, text)
    except PatchkitError as error:
        return error.what
    except BaseException as error:  # SystemExit too
        return type(error).__name__
    return found if isinstance(found, Grade) else None
