"""An attribute that is read holds another kind of thing."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding, Severity


def find(case: Case) -> Iterator[Finding]:
    old, new = case.old.made, case.new.made
    if not case.both or not case.touched("reads") or old == new or not old:
        return
    if new == "None":
        yield case.finding("attribute-changed", "loud", f"is set to None, was a {old}")
    elif new:
        severity: Severity = "silent" if _is_class(old) and _is_class(new) else "look"
        yield case.finding(
            "attribute-changed", severity, f"set by {new}, was by {old}", "by the code that sets it first"
        )


def _is_class(name: str) -> bool:
    """By its spelling; a dataclass's ``Field`` says nothing of what it holds."""
    return name[:1].isupper() and name != "Field"
