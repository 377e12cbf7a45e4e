"""Graders for the tests of grading: each goes wrong in a way of its own, named by the sample's text."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from patchkit.evals.records import Grade
from patchkit.evals.tasks.base import Problem

not_a_function = 7


def grade(problem: Problem, text: str) -> Any:
    match text:
        case "right":
            return Grade(problem.reference == "yes", answer=text)
        case "raises":
            raise ValueError("no")
        case "exits":
            sys.exit(0)
        case "dies":
            os._exit(0)
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(600)
        case "raises what cannot be sent":
            raise type("Local", (Exception,), {})()
        case "returns what cannot be sent":
            return lambda: None
        case "returns no grade":
            return True
    return Grade(False, why=text)
