"""Whether a release still needs a patch: what the gates say with it and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from patchkit.plural import counted

State = Literal["needed", "no longer needed", "harmful", "unknown"]
NEEDED: State = "needed"
NOT_NEEDED: State = "no longer needed"
HARMFUL: State = "harmful"
UNKNOWN: State = "unknown"


class Need(NamedTuple):
    """Whether one patch is needed, and the clause that says why."""

    state: State
    why: str


def need_of(
    whole: Mapping[str, bool], without: Mapping[str, bool], gates: Sequence[str], not_selected: int = 0
) -> Need:
    """Whether one release needs a patch.

    - needed: a gate that is green with the whole series is red without the patch;
    - no longer needed: every gate there is, is green with it and without it;
    - harmful: a gate is red with the whole series and green without the patch, and none is the other way round;
    - unknown: anything else, such as a gate that was not run, or that is red either way.

    Args:
        whole, without: by gate, whether it was green with the whole series, and without the patch.
        gates: those that were to be run.
        not_selected: how many gates of the runtime were not to be run.
    """
    lost = [gate for gate in gates if whole.get(gate) is True and without.get(gate) is False]
    won = [gate for gate in gates if whole.get(gate) is False and without.get(gate) is True]
    if lost and won:
        return Need(NEEDED, f"{_are(lost)} red without it; but {_are(won)} red with it and green without: change it")
    if lost:
        return Need(NEEDED, f"{_are(lost)} red without it")
    unrun = [gate for gate in gates if gate not in whole or gate not in without]
    if won:
        rest = "every gate is green without it" if not unrun and all(without.values()) and not not_selected else ""
        return Need(HARMFUL, "; ".join(filter(None, (f"{_are(won)} red with it and green without it", rest))))
    red = [gate for gate in gates if whole.get(gate) is False]
    if red:
        return Need(UNKNOWN, f"{_are(red)} red with it and without it")
    if unrun or not gates:
        return Need(UNKNOWN, f"not run: {', '.join(unrun) or 'any gate'}")
    if not_selected:
        subject = "the gate that was run is" if len(gates) == 1 else f"the {len(gates)} gates that were run are"
        return Need(UNKNOWN, f"{subject} green without it, and {counted(not_selected, 'gate')} of the runtime not run")
    return Need(NOT_NEEDED, "every gate is green without it")


def _are(gates: Sequence[str]) -> str:
    return f"{', '.join(gates)} {'is' if len(gates) == 1 else 'are'}"
