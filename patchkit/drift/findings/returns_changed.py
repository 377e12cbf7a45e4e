"""The ``return`` statements give another number of values, in another order, or a tuple where there was none."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from patchkit.drift.contract import Contract, Returned
from patchkit.drift.findings.finding import Case, Finding, Severity


def find(case: Case) -> Iterator[Finding]:
    if not case.both or not case.old.returns or not case.new.returns:
        return
    sentence = _moved(case.old, case.new)
    if sentence:
        unknown = [one for contract in (case.old, case.new) for one in contract.returns if not one.known]
        guessed = "; ".join(dict.fromkeys((*case.old.guessed, *case.new.guessed))) if unknown else ""
        yield case.finding("returns-changed", _severity(case), sentence, guessed)


def _severity(case: Case) -> Severity:
    tuples = [_is_tuple(contract) for contract in (case.old, case.new)]
    if case.touched("replaces") or (case.touched("calls") and tuples[0] != tuples[1]):
        return "loud"
    return "silent" if case.touched("unpacks") else "harmless"


def _is_tuple(contract: Contract) -> set[bool]:
    if _mute(contract) and contract.annotation:
        return {bool(_annotated(contract))}
    return {one.is_tuple for one in contract.returns if one.names}


def _moved(old: Contract, new: Contract) -> str:
    """What changed, in words, by the statements, or by the annotation if they show nothing; empty if nothing did."""
    if _mute(old) or _mute(new):
        before, after = _annotated(old), _annotated(new)
        if before == after or None in (before, after):
            return ""
        return f"returns {new.annotation}, by its annotation, where it returned {old.annotation}"
    if _shapes(old) != _shapes(new):
        return f"returns {_told(new.returns)} where it returned {_told(old.returns)}"
    names = [next((one.names for one in side.returns if one.is_tuple), ()) for side in (old, new)]
    if sorted(names[0]) == sorted(names[1]) and names[0] != names[1]:
        return f"returns the same values in another order: {', '.join(names[1])}"
    return ""


def _mute(contract: Contract) -> bool:
    return not all(one.known for one in contract.returns)


def _annotated(contract: Contract) -> int | None:
    """How many values the annotation promises, 0 for one that is no tuple; None if there is no annotation."""
    if not contract.annotation:
        return None
    written = ast.parse(contract.annotation, mode="eval").body
    if isinstance(written, ast.Subscript) and ast.unparse(written.value) == "tuple":
        return len(written.slice.elts) if isinstance(written.slice, ast.Tuple) else 1
    return 0


def _shapes(contract: Contract) -> set[tuple[bool, int]]:
    return {_shape(one) for one in contract.returns}


def _shape(returned: Returned) -> tuple[bool, int]:
    return returned.is_tuple, len(returned.names)


def _told(returns: Sequence[Returned]) -> str:
    by_shape = {_shape(one): one for one in reversed(returns)}
    return " or ".join(_in_words(one) for _, one in sorted(by_shape.items(), key=lambda pair: pair[0], reverse=True))


def _in_words(returned: Returned) -> str:
    if returned.is_tuple:
        return f"{len(returned.names)} values {returned}"
    return "a value" if returned.names else "None"
