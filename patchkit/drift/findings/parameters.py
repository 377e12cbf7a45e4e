"""Parameters were added, removed, renamed, reordered, became required, or may only be given by keyword now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from patchkit.drift.contract import CallSite, Parameter
from patchkit.drift.findings.finding import Case, Finding, UsageCondition, Way

UNTYPED = "the type of the object it is called on there is not known"
UNSEEN = "no call of it by vLLM was seen"
OPEN = "it passes on arguments that are not seen"


def find(case: Case) -> Iterator[Finding]:
    if not case.both or not case.touched("wraps", "replaces", "calls"):
        return
    old, new = ({one.name: one for one in contract.parameters} for contract in (case.old, case.new))
    renamed = dict(_renamed(case.old.parameters, case.new.parameters))
    for name in [one for one in new if one not in old and one not in renamed.values()]:
        yield _added(case, new[name])
    for name in [one for one in old if one not in new and one not in renamed]:
        sentence = f"takes no `{name}` any more"
        if case.hooked or old[name].needed or old[name].kind in ("rest", "named"):
            yield _open_ended(case, old[name], sentence)
        else:
            yield _if_it(case, "parameter-removed", "given", name, sentence)
    for before, after in renamed.items():
        yield _renamed_one(case, old[before], new[after])
    common = [name for name in old if name in new]
    placed = [name for name in common if old[name].kind == new[name].kind == "positional"]
    if [name for name in new if name in placed] != placed:
        order = ", ".join(name for name in new if name in placed)
        yield case.finding("parameters-reordered", "silent", f"takes its parameters in another order: {order}")
    for name in common:
        yield from _stricter(case, old[name], new[name])


def _stricter(case: Case, before: Parameter, after: Parameter) -> Iterator[Finding]:
    name = after.name
    if before.kind == "positional" and after.kind == "keyword":
        sentence = f"`{name}` may only be given by keyword now"
        if case.hooked:
            yield case.finding("parameter-keyword-only", "loud", sentence)
        else:
            yield _if_it(case, "parameter-keyword-only", "by place", name, sentence)
    if after.needed and not before.needed and before.kind in ("positional", "keyword"):
        sentence = f"`{name}` must be given now (its default was {before.default})"
        if case.touched("calls"):
            yield _if_it(case, "parameter-required", "omitted", name, sentence)
        else:
            place = [one.name for one in case.new.parameters].index(name)
            found = _given_by_vllm(case, "parameter-required", UsageCondition("untaken", name), place, sentence)
            yield replace(found, hinge=UsageCondition("untaken", name)) if found.breaks else found


def _open_ended(case: Case, parameter: Parameter, sentence: str) -> Finding:
    if parameter.kind not in ("rest", "named") or case.hooked:
        return case.finding("parameter-removed", "loud", sentence)
    stars = "*" if parameter.kind == "rest" else "**"
    return case.finding("parameter-removed", "harmless", f"takes no `{stars}{parameter.name}` any more")


def _renamed_one(case: Case, before: Parameter, after: Parameter) -> Finding:
    """A renamed parameter: matters to callers that give it by name."""
    kind, sentence = "parameter-renamed", f"`{before.name}` is called `{after.name}` now"
    if before.kind == "keyword":
        return case.finding(kind, "loud", sentence)
    if case.hooked:
        return _given_by_vllm(case, kind, UsageCondition("misnamed", after.name), len(case.new.parameters), sentence)
    return _if_it(case, kind, "by name", before.name, sentence)


def _added(case: Case, parameter: Parameter) -> Finding:
    name, place = parameter.name, [one.name for one in case.new.parameters].index(parameter.name)
    if parameter.needed:
        return case.finding("parameter-added", "loud", f"takes `{name}` as well, at place {place + 1}")
    before = {one.name: one.needed for one in case.old.parameters}
    behind = [one.name for one in case.new.parameters[place + 1 :] if one.name in before]
    shifted = [one for one in behind if before[one]]
    said = f"may be given `{name}` as well" + (f" (default {parameter.default})" if parameter.default else "")
    if parameter.kind == "positional" and shifted:
        return case.finding("parameter-added", "silent", f"{said}, before `{shifted[0]}`: what follows has shifted")
    if parameter.kind == "positional" and behind and not case.hooked:
        hinge = UsageCondition("shifted", behind[0])
        added = case.finding("parameter-added", "silent", f"{said}, before `{behind[0]}`", hinge.question)
        return replace(added, hinge=hinge)
    if not case.hooked or parameter.kind in ("rest", "named"):
        return case.finding("parameter-added", "harmless", said)
    return _given_by_vllm(case, "parameter-added", UsageCondition("untaken", name), place, said)


def _given_by_vllm(case: Case, kind: str, hinge: UsageCondition, place: int, said: str) -> Finding:
    """A break if vLLM gives a parameter to what stands in the method's place; guessed if no call was seen."""
    name = hinge.parameter
    if passes := _passed_by(case.new.callers, name, place):
        return case.finding(kind, "loud", f"{said}, and vLLM gives it at {passes}")
    if passes := _passed_by(case.new.perhaps_called, name, place):
        return replace(case.finding(kind, "loud", f"{said}, and vLLM gives it at {passes}", UNTYPED), hinge=hinge)
    if opened := next((site.place for site in case.new.callers if site.open_ended), ""):
        return replace(case.finding(kind, "loud", f"{said}, and is called at {opened}", OPEN), hinge=hinge)
    if case.new.callers:
        return case.finding(kind, "harmless", said)
    return replace(case.finding(kind, "loud", said, UNSEEN), hinge=hinge)


def _passed_by(sites: Sequence[CallSite], name: str, place: int) -> str:
    """Where vLLM itself gives this parameter; empty if nowhere that was read."""
    return next((site.place for site in sites if name in site.keywords or site.positional > place), "")


def _if_it(case: Case, kind: str, way: Way, name: str, sentence: str) -> Finding:
    """A break if the runtime calls it that way, which only its code shows."""
    hinge = UsageCondition(way, name)
    return replace(case.finding(kind, "loud", sentence, hinge.question), hinge=hinge)


def _renamed(old: Sequence[Parameter], new: Sequence[Parameter]) -> Iterator[tuple[str, str]]:
    """Parameters that were replaced at the same place, with the same neighbours' names and the same annotation."""
    theirs = {one.name for one in new}
    ours = {one.name for one in old}
    for before, after in zip(old, new, strict=False):
        if before.name in theirs or after.name in ours:
            continue
        if before.kind == after.kind and before.annotation == after.annotation:
            yield before.name, after.name
