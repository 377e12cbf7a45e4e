"""vLLM chooses another class than the hooked one, or may: every hook on that class is dead then."""

from __future__ import annotations

import re
from collections.abc import Iterator

from patchkit.drift.findings.finding import Finding, Severity
from patchkit.drift.reading import Choice, Reading

DECIDING = 3
"""Lines of the reasons that are shown: the last ones decided."""


def find(old: Reading, new: Reading) -> Iterator[Finding]:
    """One finding for each class, device and way in which the choice changed, with all the models that it concerns."""
    changed: dict[tuple[str, str, Choice, Choice], list[str]] = {}
    for chosen, after in new.choices.items():
        before = old.choices.get(chosen)
        if before is None:
            continue
        if after is None:
            sentence = f"which class runs {chosen.architecture} on {chosen.device} can no longer be determined"
            yield Finding("selection-changed", "silent", chosen.symbol, sentence, before.place)
        elif before.named() != after.named():
            changed.setdefault((chosen.symbol, chosen.device, before, after), []).append(chosen.architecture)
        elif _without_places(before) != _without_places(after):
            sentence = f"the same class runs {chosen.architecture} on {chosen.device}, by another rule: {_why(after)}"
            guessed = "; ".join(after.guessed)
            yield Finding("selection-changed", "look", chosen.symbol, sentence, before.place, after.place, guessed)
    for (symbol, device, before, after), architectures in _merged(changed):
        yield Finding(
            "selection-changed",
            _severity(before, after),
            symbol,
            f"{_said(after, architectures, device)}: {_why(after)}",
            before.place,
            after.place,
            "; ".join(after.guessed),
        )


def _merged(
    changed: dict[tuple[str, str, Choice, Choice], list[str]],
) -> Iterator[tuple[tuple[str, str, Choice, Choice], list[str]]]:
    """Models whose choice changed between the same classes, together; the first one's rule stands for all."""
    together: dict[tuple[object, ...], tuple[tuple[str, str, Choice, Choice], list[str]]] = {}
    for key, architectures in changed.items():
        symbol, device, before, after = key
        together.setdefault((symbol, device, before.named(), after.named()), (key, []))[1].extend(architectures)
    yield from together.values()


def _said(after: Choice, architectures: list[str], device: str) -> str:
    models = f"for {', '.join(architectures)} on {device}"
    if after.hooked:
        return f"is made {models} again"
    return f"is not made {models}, {' or '.join(name.removeprefix('vllm.') for name in after.chosen)} is"


def _severity(before: Choice, after: Choice) -> Severity:
    if after.hooked:
        return "harmless"
    return "silent" if before.hooked else "look"


def _without_places(choice: Choice) -> list[str]:
    return [re.sub(r" \([\w/]+\.py:\d+\)$", "", line) for line in (*choice.rule, *choice.guessed)]


def _why(choice: Choice) -> str:
    """The last reasons; all of them are in the reading."""
    return "; ".join(choice.rule[-DECIDING:]) or "no rule was found"
