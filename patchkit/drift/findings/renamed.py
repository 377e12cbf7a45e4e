"""The symbol is gone, and a function beside it has most of its lines."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    old, elsewhere = case.old, case.new.elsewhere
    if old.there and elsewhere and elsewhere.rpartition(".")[2] != old.defined.rpartition(".")[2]:
        guess = "taken for the same because most of its lines are"
        yield case.finding("renamed", "loud", f"seems to be called {elsewhere.rpartition('.')[2]} now", guess)
