"""A finding, and the input of the functions that find one kind each."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from patchkit.drift.contract import Contract

Severity = Literal["loud", "silent", "look", "harmless"]
BREAKS: tuple[Severity, ...] = ("silent", "loud")
Way = Literal["given", "by name", "by place", "omitted", "shifted", "untaken", "misnamed", "unplaced", "plain"]
QUESTIONS: dict[Way, str] = {
    "given": "whether the runtime gives `{}` was not read",
    "by name": "whether the runtime gives `{}` by name was not read",
    "by place": "whether the runtime gives `{}` by its place was not read",
    "omitted": "whether the runtime leaves `{}` out was not read",
    "shifted": "whether the runtime gives `{}`, or more, by place was not read",
    "untaken": "whether what takes its place takes `{}` was not read",
    "misnamed": "whether what takes its place takes `{}` by that name was not read",
    "unplaced": "whether what takes its place takes `{}` by its place was not read",
    "plain": "whether the runtime takes `{}` as a plain value and as a member of an enum alike was not read",
}


@dataclass(frozen=True)
class UsageCondition:
    """A condition on the runtime's own code: the change is a break if a parameter is used in this way."""

    way: Way
    parameter: str

    @property
    def question(self) -> str:
        """What is not known until that code is read."""
        return QUESTIONS[self.way].format(self.parameter)


@dataclass(frozen=True)
class Finding:
    """One change between two releases.

    Attributes:
        kind: ``returns-changed``.
        severity: for a runtime fitted exactly to the old release: "loud" an exception, "silent" text still flows and
            the hook is dead or reads something else, "look" the contract holds but the code behind it changed,
            "harmless" the runtime does not depend on what changed.
        symbol: by the name that the runtime knows it by.
        sentence: what changed.
        old, new: ``v1/sample/sampler.py:42`` in either release; empty where there is none.
        guessed: what static reading could not follow; empty if it could.
        fixed_by: names of the patches that fix it, or one of the words of :mod:`patchkit.drift.fixes`; empty for
            a break means "unpatched".
        perhaps_by: patches that name the symbol but were written for another change of it.
        because: why those patches are thought to fix it, or why not.
        hinge: what in the runtime's code it depends on; see :mod:`patchkit.drift.parameter_usage`.
    """

    kind: str
    severity: Severity
    symbol: str
    sentence: str
    old: str = ""
    new: str = ""
    guessed: str = ""
    fixed_by: tuple[str, ...] = ()
    perhaps_by: tuple[str, ...] = ()
    because: str = ""
    hinge: UsageCondition | None = None

    @property
    def brief(self) -> str:
        """The sentence without the reasons behind a colon, and without lists of names in brackets."""
        return re.sub(r" \([^)]*,[^)]*\)", "", self.sentence.partition(": ")[0])

    @property
    def breaks(self) -> bool:
        return self.severity in BREAKS

    @property
    def unpatched(self) -> bool:
        return self.breaks and not self.fixed_by

    @property
    def patches(self) -> list[str]:
        """The patches that fix it; the manifest, upstream's code or the gates may do so as well."""
        return [name for name in self.fixed_by if name[:4].isdigit()]


@dataclass(frozen=True)
class Case:
    """One symbol in two releases, and how the runtime touches it.

    Attributes:
        keeps: what a call of it must leave as it is.
        accepted: defaults of a setting under which the runtime is known to work.
    """

    symbol: str
    manners: Collection[str]
    old: Contract
    new: Contract
    keeps: Collection[str] = ()
    accepted: Collection[str] = ()

    def touched(self, *manners: str) -> bool:
        return not {*manners}.isdisjoint(self.manners)

    @property
    def hooked(self) -> bool:
        """A function of the runtime stands in its place."""
        return self.touched("wraps", "replaces")

    @property
    def both(self) -> bool:
        return self.old.there and self.new.there

    def finding(self, kind: str, severity: Severity, sentence: str, guessed: str = "") -> Finding:
        return Finding(kind, severity, self.symbol, sentence, self.old.place, self.new.place, guessed)
