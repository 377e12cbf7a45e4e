"""For GitHub's job summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from patchkit.gates.evidence import Circumstances, Evidence, Verdict
from patchkit.report import patches_needed, phrases


def render(evidence: Evidence) -> str:
    return "\n".join(lines(evidence)) + "\n"


def lines(evidence: Evidence) -> Iterator[str]:
    """The verdict, the tables, and below a fold every figure."""
    yield f"## {phrases.mark(evidence.passed)} {escaped(phrases.headline(evidence))}"
    yield ""
    yield f"**{escaped('; '.join(phrases.sentences(evidence)))}.**"
    if evidence.verdicts:
        yield from table(
            ("verdict", phrases.NAMES[evidence.kind], "took", "why it is red"), map(_verdict, evidence.verdicts)
        )
    if evidence.knockouts:
        yield from _knockouts(evidence)
    yield from folded("Figures", _figures(evidence))
    yield from folded("How it came about", circumstances(evidence))


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    why = "" if verdict.passed else phrases.explained(verdict)
    return phrases.mark(verdict.passed), verdict.scenario, f"{verdict.seconds:.1f} s", why


def _knockouts(evidence: Evidence) -> Iterator[str]:
    gates = phrases.gates_of(evidence)
    signs = ["", *(phrases.mark(knocked.caught) for knocked in evidence.knockouts)]
    rows = ((patch, *cells, sign) for (patch, cells), sign in zip(phrases.matrix(evidence), signs, strict=True))
    yield from table(("left out", *gates, "caught"), rows)
    yield ""
    yield "In brackets: the gate that the patch's header says must go red."
    yield ""
    needs = patches_needed.rows(evidence)
    if needs:
        yield f"Whether vLLM {evidence.release} needs each patch:"
        yield from table(("need", "patch", "why", "what to do"), needs)
        yield ""
    for knocked in evidence.knockouts:
        yield f"- {escaped(knocked.patch)}: {escaped(phrases.outcome(knocked))}"


def _figures(evidence: Evidence) -> Iterator[str]:
    rows = [(one.scenario, name, value) for one in evidence.verdicts for name, value in phrases.figures(one)]
    if rows:
        yield from table((phrases.NAMES[evidence.kind], "figure", "value"), rows)


def circumstances(evidence: Circumstances) -> Iterator[str]:
    """How it came about, a row a thing that is known."""
    yield from table(("what", "value"), phrases.circumstances(evidence).items())


def table(head: Iterable[str], rows: Iterable[Iterable[str]], escape: bool = True) -> Iterator[str]:
    """A table, with the blank line that Markdown wants before it; not to ``escape`` cells is for Markdown in them."""
    head = list(head)
    yield ""
    yield row(head)
    yield row(["---"] * len(head), escape=False)
    yield from (row(cells, escape) for cells in rows)


def row(cells: Iterable[str], escape: bool = True) -> str:
    return f"| {' | '.join(escaped(cell) if escape else cell for cell in cells)} |"


def folded(title: str, body: Iterable[str]) -> Iterator[str]:
    """Something one click away; nothing at all if there is nothing to see."""
    content = list(body)
    if content:
        yield from ("", f"<details><summary>{title}</summary>", *content, "", "</details>")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|~&#@])", r"\\\1", " ".join(text.split()))
