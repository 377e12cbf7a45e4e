"""For CI: Markdown, JUnit XML, GitHub's annotations."""

from __future__ import annotations

from collections.abc import Iterator

from patchkit.gates.mutants_evidence import MutantsEvidence
from patchkit.report import github, junit, markdown
from patchkit.report.mutants import phrases
from patchkit.report.phrases import headline, mark, second


def render_markdown(evidence: MutantsEvidence) -> str:
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


def render_junit(evidence: MutantsEvidence) -> str:
    root = junit.element(None, "testsuites", name=headline(evidence), time=f"{evidence.seconds:.3f}")
    place = junit.class_name(evidence)
    if evidence.control:
        passed = [gate.passed for gate in evidence.control]
        suite = junit.new_suite(root, f"gates without a mutant on {place}", passed, evidence)
        for gate in evidence.control:
            junit.add_case(suite, place, gate.gate, gate.seconds, None if gate.passed else gate.reason, gate.reason)
    if evidence.mutants:
        fine = [phrases.mark(one) == "✓" for one in evidence.mutants]
        suite = junit.new_suite(root, f"mutants on {place}", fine, evidence)
        for one, passed_one in zip(evidence.mutants, fine, strict=True):
            message = None if passed_one else phrases.outcome(one)
            junit.add_case(suite, f"{place}.mutants.{one.family}", one.mutant, one.seconds, message, one.what)
    return junit.document(root)


def render_github(evidence: MutantsEvidence) -> str:
    """A line for every mutant that did not end as it must, and one for the score."""
    return "".join(f"{line}\n" for line in _annotations(evidence))


def _annotations(evidence: MutantsEvidence) -> Iterator[str]:
    on = f"on vLLM {evidence.release}, {evidence.device}{second(evidence)}"
    for gate in evidence.control:
        if not gate.passed:
            yield github.command("error", f"{gate.gate} {on}", gate.reason)
    for one in phrases.not_fine(evidence):
        yield github.command("error", f"mutant {one.mutant} {on}", f"{one.what}: {phrases.outcome(one)}")
    level = "notice" if evidence.passed else "error"
    yield github.command(level, headline(evidence), "; ".join(phrases.sentences(evidence)))
