"""For GitHub's job summary."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.mutants_evidence import MutantsEvidence
from patchkit.report import markdown
from patchkit.report.mutants import phrases
from patchkit.report.phrases import headline, mark


def render(evidence: MutantsEvidence) -> str:
    """The score, what did not end as it must, the families; every mutant below a fold."""
    return "\n".join(_markdown(evidence)) + "\n"


def _markdown(evidence: MutantsEvidence) -> Iterator[str]:
    yield f"## {mark(evidence.passed)} {markdown.escaped(headline(evidence))}"
    yield ""
    yield f"**{markdown.escaped('; '.join(phrases.sentences(evidence)))}.**"
    if wrong := phrases.not_fine(evidence):
        rows = [(one.mutant, one.family, one.what, phrases.outcome(one)) for one in wrong]
        yield from markdown.table(("mutant", "family", "what is wrong", "what became of it"), rows)
    if rows_of_families := phrases.families(evidence):
        yield from markdown.table(phrases.COLUMNS, rows_of_families)
    every = [
        (one.mutant, one.family, one.what, f"{one.seconds:.1f} s", phrases.outcome(one)) for one in evidence.mutants
    ]
    body = markdown.table(("mutant", "family", "what is wrong", "took", "what became of it"), every) if every else ()
    yield from markdown.folded("Every mutant", body)
    gates = [(gate.gate, f"{gate.seconds:.1f} s", phrases.control(gate)) for gate in evidence.control]
    body = markdown.table(("gate", "took", "without a mutant"), gates) if gates else ()
    yield from markdown.folded("The series as it is", body)
    yield from markdown.folded("How it came about", markdown.circumstances(evidence))
