"""The symbol is defined somewhere else."""

from collections.abc import Iterator

from patchkit.drift.findings.finding import Case, Finding


def find(case: Case) -> Iterator[Finding]:
    old, new = case.old, case.new
    if not case.both:
        if old.there and new.elsewhere and _last(new.elsewhere) == _last(old.defined):
            yield case.finding("moved", "loud", f"moved to {new.elsewhere}, and its old name leads nowhere")
        return
    if case.hooked and "inherited" in new.hops and "inherited" not in old.hops:
        yield case.finding("moved", "loud", f"inherited from {_holder(new.defined)} now, no longer the class's own")
    elif new.defined != old.defined:
        how = " and ".join(dict.fromkeys(new.hops)) or "found there"
        yield case.finding("moved", "harmless", f"defined as {new.defined} now, {how} under its old name")


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _holder(name: str) -> str:
    return _last(name.rpartition(".")[0])
