"""The trusted side: runs the data set's check, whose candidate is answered by the untrusted program over the channel.

The asserts run here, on values of built-in types made by wire.py, so nothing that the model wrote can touch them. What
this process writes on stdout is the verdict, ``pass`` or why not, and nothing else can write there. Runs after wire.py,
in the same names.
"""

from __future__ import annotations

import builtins
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from patchkit.evals.sandbox.wire import decode, encode, frame, receive, send


class Gone(BaseException):
    """The answering program ended, or sent what is no answer. Not an Exception: no check may take it for one."""


def main(preamble: str, test: str, entry_point: str) -> None:
    """Writes the verdict. The check may print, but not on the stdout that counts."""
    stdout = os.dup(1)
    os.dup2(0, 1)  # /dev/null
    os.dup2(0, 2)
    os.write(stdout, verdict(preamble, test, entry_point).encode())


def verdict(preamble: str, test: str, entry_point: str) -> str:
    """The verdict."""
    try:
        candidate = Program()
        names: dict[str, Any] = {"__name__": "check"}
        exec(compile(preamble, "<prompt>", "exec", dont_inherit=True), names)
        names[entry_point] = candidate
        exec(compile(test, "<test>", "exec", dont_inherit=True), names)
        if "random" in test:
            import random

            random.seed(0)  # the same questions for everyone
        names["check"](candidate)
    except Gone as failure:
        return str(failure)
    except BaseException as failure:
        return f"raised {type(failure).__name__}"
    if candidate.gone:  # and the check made nothing of it
        return candidate.gone
    return "pass" if candidate.calls else "nothing was asked"


class Program:
    """Looks to the check like the model's function."""

    def __init__(self) -> None:
        self.calls, self.gone = 0, ""
        self._answer()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self._answer({"args": encode(list(args)), "kwargs": encode(kwargs)})

    def _answer(self, call: dict[str, Any] | None = None) -> Any:
        try:
            if call:
                send(frame(call))
            reply = receive()
            failure = exception(reply) if "raised" in reply else None
            value = decode(reply.get("returned"))
        except (EOFError, OSError):
            self.gone = "gone"
        except Exception:  # whatever comes of reading what a hostile program sends
            self.gone = "no answer"
        if self.gone:
            raise Gone(self.gone)
        if failure:
            raise failure
        return value


def exception(reply: dict[str, Any]) -> Exception:
    """The exception that the program raised, as the nearest built-in type."""
    for name in reply["raised"]:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                return kind(reply["said"])
            except TypeError:  # UnicodeDecodeError and its like want more than a message
                continue
    raise ValueError("not an exception")
