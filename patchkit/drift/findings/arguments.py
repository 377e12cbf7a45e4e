"""vLLM gives what stands in a method's place an argument that it always could, and never did before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from patchkit.drift.contract import CallSite, Contract, Parameter
from patchkit.drift.findings.finding import Case, Finding, UsageCondition, Way
from patchkit.drift.findings.parameters import OPEN, UNTYPED

UNSEEN_BEFORE = "no call of it by vLLM was seen in the older release"
WAYS: tuple[Way, ...] = ("misnamed", "unplaced")
"""What a hook may lack: the parameter by its name, for a call that names it; the place, for one that does not."""


def find(case: Case) -> Iterator[Finding]:
    """Only of parameters that both releases have, and that a call may leave out: others have findings of their own."""
    if not case.both or not case.hooked:
        return
    old = {one.name: one for one in case.old.parameters}
    for parameter in case.new.parameters:
        before = old.get(parameter.name)
        if before and before.kind == parameter.kind and not before.needed and not parameter.needed:
            yield from _newly_given(case, parameter)


def _newly_given(case: Case, parameter: Parameter) -> Iterator[Finding]:
    """One finding for each way in which it is given now and was not."""
    name, was = parameter.name, (*case.old.callers, *case.old.perhaps_called)
    said, unseen = f"vLLM gives `{name}` now", "" if was else UNSEEN_BEFORE
    found = False
    for way in WAYS:
        if _given(case.old, was, way, name):
            found = True
        elif place := _given(case.new, case.new.callers, way, name):
            found = True
            yield _finding(case, UsageCondition(way, name), f"{said}, at {place}", unseen)
        elif not case.symbol.endswith(".__init__") and (
            place := _given(case.new, case.new.perhaps_called, way, name)
        ):  # every class has an `__init__`: a call of one on who knows what says nothing
            found = True
            yield _finding(case, UsageCondition(way, name), f"{said}, at {place}", UNTYPED)
    opened = next((site.place for site in case.new.callers if site.open_ended), "")
    if opened and not found and not any(site.open_ended for site in was):
        yield _finding(case, UsageCondition("untaken", name), f"vLLM may give `{name}` now, at {opened}", OPEN)


def _given(contract: Contract, sites: Sequence[CallSite], way: Way, name: str) -> str:
    """Where a parameter is given in this way; empty if nowhere that was read."""
    if way == "misnamed":
        return next((site.place for site in sites if name in site.keywords), "")
    places = [one.name for one in contract.parameters if one.kind == "positional"]
    at = places.index(name) if name in places else len(places)
    return next((site.place for site in sites if name in places and site.positional > at), "")


def _finding(case: Case, hinge: UsageCondition, sentence: str, guessed: str) -> Finding:
    found = case.finding("argument-given", "loud", sentence, guessed or hinge.question)
    return replace(found, hinge=hinge)
