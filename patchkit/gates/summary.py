"""Verdicts as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from patchkit.gates.events import count
from patchkit.gates.evidence import Evidence, Figure, Knockout, Verdict
from patchkit.gates.invariants import REGISTRY
from patchkit.gates.invariants.own import tells_of_runtimes

WHOLE = "nothing"
LEGEND = "✓ green   ✗ red   [✗] the gate that the patch's header names   · not run".replace("[", "\\[")
GREEN, RED = "[green]✓[/green]", "[red]✗[/red]"


def headline(evidence: Evidence) -> str:
    """What is judged, on what."""
    runtime, gpu = evidence.runtime, evidence.hardware.gpu
    device = f"{evidence.device} ({gpu})" if gpu else evidence.device
    without = f" without {', '.join(runtime.without)}" if runtime.without else ""
    series = f"{runtime.name} {runtime.pin[:12]} + {count(len(runtime.patches), 'patch', 'patches')}"
    return f"[bold]{evidence.kind}[/bold]  vLLM {evidence.release}, {escape(device)}, {series}{without}"


def verdict_line(verdict: Verdict, width: int) -> str:
    """``✓ decode_shrink  12.3 s  pass@1 0.41``, or the reason, and below it what that resembles."""
    name = f"{verdict.scenario:<{width}}"
    seconds = f"[dim]{verdict.seconds:6.1f} s[/dim]"
    if verdict.passed:
        return f"{GREEN} {name} {seconds}  {escape(highlights(verdict.figures))}"
    lines = [f"{RED} [bold]{name}[/bold] {seconds}  {escape(verdict.reason)}"]
    if verdict.resembles:
        lines.append(f"{'':{width + 14}}[yellow]resembles {escape(verdict.resembles)}[/yellow]")
    return "\n".join(lines)


def highlights(figures: dict[str, Figure], most: int = 3) -> str:
    """The few figures that say most, in the words of the invariants that found them."""
    shared = [tell for one in REGISTRY.values() for tell in one.tells]
    tells = sorted([*shared, *tells_of_runtimes()], key=lambda tell: tell.rank)
    told = dict.fromkeys(phrase for tell in tells for phrase in tell.of(figures))
    return ", ".join(list(told)[:most])


def closing_line(evidence: Evidence, expected: int, where: str) -> str:
    """How many pass, how long it took, where the evidence is."""
    green = sum(verdict.passed for verdict in evidence.verdicts)
    colour = "green" if green == expected else "red"
    what = "benchmark" if evidence.kind == "bench" else "gate"
    done = f"[bold {colour}]{green} of {count(expected, what)} {'passes' if expected == 1 else 'pass'}[/bold {colour}]"
    return f"{done} in {evidence.seconds:.0f} s  [dim]{escape(where)}[/dim]"


def knockout_line(knocked: Knockout) -> str:
    """Whether the series without a patch was caught, by which gate, for which reason."""
    if knocked.caught:
        return f"{GREEN} without {knocked.patch}: {knocked.by} goes red\n    [dim]{escape(knocked.reason)}[/dim]"
    return f"{RED} [bold]without {knocked.patch}: not caught[/bold]\n    {escape(knocked.reason)}"


def matrix(rows: Sequence[Knockout], gates: Sequence[str], caught_by: dict[str, set[str]]) -> str:
    """Patch by gate, the gates' names as stairs above their columns; brackets where the header says it must be red."""
    width = max(len(row.patch or WHOLE) for row in rows) + 1
    stairs = [f"[dim]{'':{width}} {' │ ' * number} {gate}[/dim]" for number, gate in enumerate(gates)]
    lines = []
    for row in rows:
        cells = "".join(cell(row, gate, gate in caught_by.get(row.patch, set())) for gate in gates)
        caught = ("  caught" if row.caught else "  [bold red]not caught[/bold red]") if row.patch else ""
        lines.append(f"{row.patch or WHOLE:<{width}} {cells}{caught}")
    return "\n".join(["left out:", *stairs, *lines, f"[dim]{LEGEND}[/dim]"])


def cell(row: Knockout, gate: str, named: bool) -> str:
    """One gate on one tree, three columns wide."""
    if gate not in row.verdicts:
        return "[dim] · [/dim]"
    mark = "✓" if row.verdicts[gate].passed else "✗"
    colour = "green" if row.verdicts[gate].passed else "red"
    return f"[bold {colour}]\\[{mark}][/bold {colour}]" if named else f"[{colour}] {mark} [/{colour}]"
