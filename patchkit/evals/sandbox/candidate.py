"""The untrusted side: runs what a model wrote, then calls the function that it defines, and sends back what it returns.

The model's code owns this process and may do here as it likes: all it can send is values and exceptions, which the
checker then holds against the tests. Runs after wire.py, in the same names.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from patchkit.evals.sandbox.wire import decode, encode, frame, receive, send


def main(source: str, entry_point: str) -> None:
    """Answers calls until the checker has no more."""
    module = type(sys)("solution")  # not __main__: it is imported, so to say, and not run
    sys.modules["solution"] = module  # where dataclasses look
    names: dict[str, Any] = vars(module)
    try:
        exec(compile(source, "<solution>", "exec", dont_inherit=True), names)
        if entry_point not in names:
            raise NameError(entry_point)
    except Exception as failure:
        send(frame(failed(failure)))
        return
    try:
        send(frame({"ready": True}))
        while True:
            send(answer(names[entry_point], receive()))
    except (EOFError, OSError):
        pass


def answer(function: Any, call: dict[str, Any]) -> bytes:
    """What the function returns or raises."""
    try:
        return frame({"returned": encode(function(*decode(call["args"]), **decode(call["kwargs"])))})
    except Exception as failure:
        return frame(failed(failure))


def failed(failure: BaseException) -> dict[str, Any]:
    """An exception: its types, the nearest first, and what it says."""
    kinds = [kind.__name__ for kind in type(failure).__mro__]
    try:
        return {"raised": kinds, "said": str(failure)[:1000]}
    except Exception:
        return {"raised": kinds, "said": ""}
