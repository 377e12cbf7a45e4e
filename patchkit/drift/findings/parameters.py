"""Parameters were added, removed, renamed, reordered, or may only be given by keyword now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchkit.drift.contract import Contract, Parameter
from patchkit.drift.findings.finding import Case, Finding, Severity


def find(case: Case) -> Iterator[Finding]:
    if not case.both or not case.touched("wraps", "replaces", "calls"):
        return
    old, new = ({one.name: one for one in contract.parameters} for contract in (case.old, case.new))
    renamed = dict(_renamed(case.old.parameters, case.new.parameters))
    for name in new.keys() - old.keys() - set(renamed.values()):
        yield _added(case, new[name])
    for name in [one for one in old if one not in new and one not in renamed]:
        severity: Severity = "loud" if case.hooked or old[name].needed else "harmless"
        yield case.finding("parameter-removed", severity, f"takes no `{name}` any more")
    for before, after in renamed.items():
        severity = "loud" if old[before].kind == "keyword" else "harmless"
        yield case.finding("parameter-renamed", severity, f"`{before}` is called `{after}` now")
    common = [name for name in old if name in new]
    if [name for name in new if name in old] != common and not any(old[name].kind == "keyword" for name in common):
        order = ", ".join(name for name in new if name in old)
        yield case.finding("parameters-reordered", "silent", f"takes its parameters in another order: {order}")
    for name in common:
        if old[name].kind == "positional" and new[name].kind == "keyword":
            severity = "loud" if case.hooked or old[name].needed else "harmless"
            yield case.finding("parameter-keyword-only", severity, f"`{name}` may only be given by keyword now")


def _added(case: Case, parameter: Parameter) -> Finding:
    name, place = parameter.name, [one.name for one in case.new.parameters].index(parameter.name)
    if parameter.needed:
        return case.finding("parameter-added", "loud", f"takes `{name}` as well, at place {place + 1}")
    before = [one.name for one in case.old.parameters if one.needed]
    shifted = [one.name for one in case.new.parameters[place + 1 :] if one.name in before]
    said = f"may be given `{name}` as well" + (f" (default {parameter.default})" if parameter.default else "")
    if parameter.kind == "positional" and shifted:
        return case.finding("parameter-added", "silent", f"{said}, before `{shifted[0]}`: what follows has moved")
    passes = _passed_by(case.new, name, place) if case.hooked else ""
    if passes:
        return case.finding("parameter-added", "loud", f"{said}, and vLLM gives it at {passes}")
    return case.finding("parameter-added", "harmless", said)


def _passed_by(contract: Contract, name: str, place: int) -> str:
    """Where vLLM itself gives this parameter; empty if nowhere that was read."""
    return next((site.place for site in contract.callers if name in site.keywords or site.positional > place), "")


def _renamed(old: Sequence[Parameter], new: Sequence[Parameter]) -> Iterator[tuple[str, str]]:
    """Parameters that went and came at the same place, with the same neighbours' names and the same annotation."""
    theirs = {one.name for one in new}
    ours = {one.name for one in old}
    for before, after in zip(old, new, strict=False):
        if before.name in theirs or after.name in ours:
            continue
        if before.kind == after.kind and before.annotation == after.annotation:
            yield before.name, after.name
