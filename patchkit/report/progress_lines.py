"""What a terminal shows of a run of scenarios: a line a verdict as it comes, and one at the end."""

from __future__ import annotations

from rich.markup import escape

from patchkit.gates.evidence import Evidence, Figure, Verdict
from patchkit.gates.invariants import REGISTRY
from patchkit.gates.invariants.own import runtime_clauses
from patchkit.plural import counted
from patchkit.report.phrases import NAMES


def verdict_line(verdict: Verdict, width: int) -> str:
    """``✓ decode_shrink  12.3 s  pass@1 0.41``, or the reason, and below it what that resembles; with rich's markup."""
    name = f"{verdict.scenario:<{width}}"
    seconds = f"[dim]{verdict.seconds:6.1f} s[/dim]"
    if verdict.passed:
        return f"[green]✓[/green] {name} {seconds}  {escape(highlights(verdict.figures))}"
    lines = [f"[red]✗[/red] [bold]{name}[/bold] {seconds}  {escape(verdict.reason)}"]
    if verdict.resembles:
        lines.append(f"{'':{width + 14}}[yellow]resembles {escape(verdict.resembles)}[/yellow]")
    return "\n".join(lines)


def highlights(figures: dict[str, Figure], most: int = 3) -> str:
    """The few figures that say most, in the words of the invariants that found them."""
    shared = [clause for one in REGISTRY.values() for clause in one.clauses]
    clauses = sorted([*shared, *runtime_clauses()], key=lambda clause: clause.rank)
    phrases = dict.fromkeys(phrase for clause in clauses for phrase in clause.of(figures))
    return ", ".join(list(phrases)[:most])


def closing_line(evidence: Evidence, expected: int, where: str) -> str:
    """How many pass, how long it took, where the evidence is; with rich's markup."""
    green = sum(verdict.passed for verdict in evidence.verdicts)
    colour = "green" if green == expected else "red"
    passes = f"{green} of {counted(expected, NAMES[evidence.kind])} {'passes' if expected == 1 else 'pass'}"
    left_out = {"eager only": evidence.eager_only, "CUDA only": evidence.cuda_only}
    not_run = "".join(f", {counted(len(parts), 'part')} {why}" for why, parts in left_out.items() if parts)
    return f"[bold {colour}]{passes}[/bold {colour}] in {evidence.seconds:.0f} s{not_run}  [dim]{escape(where)}[/dim]"
