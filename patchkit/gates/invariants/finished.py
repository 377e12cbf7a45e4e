"""The run finished: a result, and an exit with code 0. Always judged first: the rest needs its result."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from patchkit.gates.events import Error, Exit
from patchkit.gates.invariants.base import Broken, Figures, Params, invariant
from patchkit.gates.part_run import Run


@invariant(passes=(), ending=True)
def finished(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """One line for an exception, a hang, a crash or garbage, with the step and the batch shape if known."""
    last = run.steps[-1] if run.steps else None
    after = f", after step {last.step} of call {last.call} ({last.shape})" if last else ", before the first step"
    if run.unfit:
        yield Broken(run.unfit)
    elif run.error:
        yield Broken(error_line(run.error), run.error.step, run.error.shape)
    elif run.trouble:
        yield Broken(f"{run.trouble}{after}", last.step if last else None, last.shape if last else None)
    elif run.exit is None or run.exit.code != 0 or run.exit.signal:
        yield Broken(f"{death(run.exit)}{after}", last.step if last else None, last.shape if last else None)
    elif run.result is None or not (run.result.passes or run.part.checks or run.result.exchanges):
        yield Broken(f"the run ended without a result{after}")


def error_line(error: Error) -> str:
    """``IndexError: index 7 …, at step 12 of call 0 (5 requests: …), in package/taps.py:61 gather``."""
    message = " ".join(error.message.split())
    if len(message) > 300:
        message = message[:299] + "…"
    if error.step is None:
        when = "before the first step"
    else:
        shape = f" ({error.shape})" if error.shape else ""
        when = f"at step {error.step} of call {error.call or 0}{shape}"
    during = ", in the plain pass" if error.pass_ == "plain" else ""
    where = f", in {error.where.replace(' in ', ' ')}" if error.where else ""
    return f"{error.type}: {message}, {when}{during}{where}" if message else f"{error.type}, {when}{during}{where}"


def death(exit_: Exit | None) -> str:
    """How a failed process ended."""
    if exit_ is None:
        return "the run vanished without an exit"
    if exit_.signal:
        named = exit_.signal if isinstance(exit_.signal, str) else signal_name(exit_.signal)
        return f"the run was killed by {named}"
    return f"the run ended with exit code {exit_.code}"


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9."""
    try:
        return signal.Signals(abs(number)).name
    except ValueError:
        return f"signal {number}"
