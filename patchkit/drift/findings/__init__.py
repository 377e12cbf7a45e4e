"""The kinds of findings, a file each: when it is one, its sentence, and how it breaks."""

from collections.abc import Callable, Iterator

from patchkit.drift.findings import (
    annotation_changed,
    arguments,
    attribute_changed,
    body_changed,
    constructed,
    derived,
    gone,
    kind_changed,
    moved,
    overridden,
    parameters,
    renamed,
    returns_changed,
    setting_changed,
    side_effects,
    text_moved,
    uncalled,
    unwritable,
    value_changed,
)
from patchkit.drift.findings.finding import Case, Finding

KINDS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    gone.find,
    moved.find,
    renamed.find,
    kind_changed.find,
    parameters.find,
    arguments.find,
    constructed.find,
    derived.find,
    unwritable.find,
    text_moved.find,
    returns_changed.find,
    attribute_changed.find,
    value_changed.find,
    setting_changed.find,
    side_effects.find,
    overridden.find,
    uncalled.find,
    annotation_changed.find,
)
"""Of one symbol in two releases; a changed body counts only where none of these finds anything."""


def findings_of(case: Case) -> list[Finding]:
    found = [finding for find in KINDS for finding in find(case)]
    return found or list(body_changed.find(case))


__all__ = ["KINDS", "Case", "Finding", "findings_of", "selection_changed"]
