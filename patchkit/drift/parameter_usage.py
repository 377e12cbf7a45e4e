"""Decides breaks that depend on how the runtime uses a parameter, by the lines of its code that were read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from patchkit.drift.contract import Contract
from patchkit.drift.findings import Finding
from patchkit.drift.findings.finding import UsageCondition, Way
from patchkit.drift.touch import CallShape, Touch

CALLING, STANDING_IN, READING = ("calls", "constructs"), ("wraps", "replaces"), ("reads",)
TAKEN: tuple[Way, ...] = ("untaken", "misnamed", "unplaced")
"""Ways that concern what stands in the place of a symbol; the others concern who calls it."""
SEEN_HERE: tuple[Way, ...] = (*TAKEN, "shifted", "plain")
"""Ways that comparing a call with the contract cannot show."""
SHOWN = 3


def with_usage(finding: Finding, old: Contract, new: Contract, touches: Sequence[Touch]) -> Finding:
    """``finding`` by the runtime's code as it was for the older release.

    A break where a line uses the parameter in the way that breaks, and that line is said; harmless where every line
    that was read does not; as before, guessed, where none was read or one passes on what it does not show.
    """
    if finding.hinge is None:
        return finding
    lines = [(touch, _uses(finding.hinge, touch, old, new)) for touch in _lines(finding.hinge, touches)]
    certain = [touch.place for touch, uses in lines if uses]
    if certain:
        places = ", ".join(dict.fromkeys(certain[:SHOWN]))
        other = finding.hinge.way in SEEN_HERE and finding.guessed != finding.hinge.question
        guessed = finding.guessed if other else ""
        return replace(finding, sentence=f"{finding.sentence}; {places} {_said(finding.hinge)}", guessed=guessed)
    unknown = next((touch.place for touch, uses in lines if uses is None), "")
    if unknown or not lines:
        return replace(finding, guessed=f"{finding.hinge.question}{f': {unknown} does not show it' if unknown else ''}")
    return replace(finding, severity="harmless", guessed="")


def remaining_breaks(finding: Finding, old: Contract, new: Contract, touches: Sequence[Touch]) -> Iterator[str]:
    """Lines of the code for the newer release that still use the parameter in the way that breaks, or may."""
    if finding.hinge is None:
        return
    for touch in _lines(finding.hinge, touches):
        uses = _uses(finding.hinge, touch, old, new)
        if uses is None:
            yield f"{touch.place} does not show whether it {_said(finding.hinge)}"
        elif uses and finding.hinge.way in SEEN_HERE:
            yield f"{touch.place} {_said(finding.hinge)}"


def _lines(hinge: UsageCondition, touches: Sequence[Touch]) -> list[Touch]:
    wanted = READING if hinge.way == "plain" else STANDING_IN if hinge.way in TAKEN else CALLING
    return [touch for touch in touches if touch.manner in wanted]


def _uses(hinge: UsageCondition, touch: Touch, old: Contract, new: Contract) -> bool | None:
    """Whether a line uses the parameter in the way that breaks; None if it does not show."""
    if hinge.way == "plain":
        return not touch.either
    if touch.call is None:
        return None
    return _WAYS[hinge.way](touch.call, hinge.parameter, _place(new if hinge.way in TAKEN else old, hinge.parameter))


def _place(contract: Contract, name: str) -> int | None:
    """The place at which a parameter may be given without its name."""
    places = [one.name for one in contract.parameters if one.kind == "positional"]
    return places.index(name) if name in places else None


def _by_name(call: CallShape, name: str, place: int | None) -> bool | None:
    return True if name in call.keywords else None if call.named else False


def _by_place(call: CallShape, name: str, place: int | None) -> bool | None:
    if place is not None and call.positional > place:
        return True
    return None if call.rest and place is not None else False


def _given(call: CallShape, name: str, place: int | None) -> bool | None:
    ways = _by_name(call, name, place), _by_place(call, name, place)
    return True if True in ways else None if None in ways else False


def _omitted(call: CallShape, name: str, place: int | None) -> bool | None:
    given = _given(call, name, place)
    return None if given is None else not given


def _untaken(call: CallShape, name: str, place: int | None) -> bool | None:
    """Of a replacement: what it takes by place under another name, or by ``*rest``, cannot be given by name."""
    if call.named or name in (*call.keywords, *call.names):
        return False
    return None if place is not None and call.positional > place else True


def _unplaced(call: CallShape, name: str, place: int | None) -> bool | None:
    """Of a replacement: whatever it calls what stands at that place."""
    return not call.rest and (place is None or call.positional <= place)


_WAYS: dict[str, Callable[[CallShape, str, int | None], bool | None]] = {
    "given": _given,
    "by name": _by_name,
    "by place": _by_place,
    "omitted": _omitted,
    "shifted": _by_place,
    "untaken": _untaken,
    "misnamed": _untaken,
    "unplaced": _unplaced,
}


def _said(hinge: UsageCondition) -> str:
    return {
        "given": "gives it",
        "by name": "gives it by name",
        "by place": "gives it by its place",
        "omitted": "leaves it out",
        "shifted": "gives it by its old place",
        "untaken": f"does not take `{hinge.parameter}`",
        "misnamed": f"does not take `{hinge.parameter}` by that name",
        "unplaced": f"does not take `{hinge.parameter}` by its place",
        "plain": "reads it as it was",
    }[hinge.way]
