"""A method became static, a property an attribute, a function a class."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding

CALLED_ALIKE = {"method", "static method", "class method"}
READ_ALIKE = {"attribute", "property", "variable"}


def find(case: Case) -> Iterator[Finding]:
    old, new = case.old.kind, case.new.kind
    if not case.both or old == new:
        return
    alike = {old, new} <= READ_ALIKE or ({old, new} <= CALLED_ALIKE and not case.hooked)
    yield case.finding("kind-changed", "harmless" if alike else "loud", f"was a {old}, is a {new}")
