"""The default of a setting that matters is another, or the code that overrides it has changed."""

from collections.abc import Iterator
from dataclasses import replace

from patchkit.drift.findings.finding import Case, Finding

MANIFEST = "manifest"
"""Stands where a patch's name would: the manifest says that none is needed."""


def find(case: Case) -> Iterator[Finding]:
    old, new = case.old, case.new
    if not case.touched("settings") or not new.there:
        return
    if not old.there:
        yield case.finding("setting-changed", "look", f"a new setting, default {new.value or 'none'}")
        return
    if old.value != new.value:
        said = f"default {new.value or 'none'}, was {old.value or 'none'}"
        found = case.finding("setting-changed", "silent", said)
        because = "the manifest says that the runtime works under this default"
        yield replace(found, fixed_by=(MANIFEST,), because=because) if new.value in case.accepted else found
    if old.value == new.value and old.unset != new.unset:
        yield case.finding("setting-changed", "silent", f"where it is not set it is {new.unset}, was {old.unset}")
    if old.settled != new.settled and old.settled:
        where = ", ".join(
            dict.fromkeys(place for place, digest in new.settled.items() if digest not in old.settled.values())
        )
        gone = f"no longer set at {next(iter(old.settled))}"
        yield case.finding("setting-changed", "look", f"set under other conditions at {where}" if where else gone)
