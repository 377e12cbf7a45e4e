"""Verdicts as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from rich.markup import escape

from patchkit.gates.events import count
from patchkit.gates.evidence import Evidence, Figure, Knockout, Verdict

WHOLE = "nothing"
LEGEND = "✓ green   ✗ red   [✗] the gate that the patch's header names   · not run".replace("[", "\\[")
GREEN, RED = "[green]✓[/green]", "[red]✗[/red]"
COUNTS = {
    "gold_rows": "{} rows equal gold",
    "credited_rows": "{} rows credited",
    "compared_tokens": "{} tokens equal plain vLLM's",
    "shrinks": "{} shrinking steps",
    "mixed_steps": "{} mixed steps",
    "prefills_after_decode": "{} prefills after decodes",
    "refusals": "{} drifts refused",
    "decode_rows": "{} decode rows",
}


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
    """The few figures that say most; parts' figures of the same name are added up."""
    told = [f"{plain(name)} {value:.2f}" for name, value in figures.items() if "pass@" in name and is_number(value)]
    told += ratio_of(figures)
    told += learning_of(figures)
    distances = [value for name, value in figures.items() if plain(name) == "max_total_variation" and is_number(value)]
    told += [f"total variation ≤ {max(distances):.1g}"] if distances else []
    for counted, words in COUNTS.items():
        total = sum(value for name, value in figures.items() if plain(name) == counted and is_number(value))
        if total:
            told.append(words.format(f"{total:,.0f}"))
    return ", ".join(told[:most])


def ratio_of(figures: dict[str, Figure]) -> list[str]:
    """``0.71 x plain vLLM [0.68, 0.74]`` for every paired measurement."""
    told = []
    for name, value in figures.items():
        low, high = figures.get(f"{name}_low"), figures.get(f"{name}_high")
        if plain(name) == "ratio" and is_number(value) and is_number(low) and is_number(high):
            part = f"{name.rpartition('.')[0]} " if "." in name else ""
            told.append(f"{part}{value:.2f} x plain vLLM's tokens/s [{low:.2f}, {high:.2f}]")
    return told


def learning_of(figures: dict[str, Figure]) -> list[str]:
    """``loss against identity 1.02 → 0.41`` for every part that learns."""
    told = []
    for name, first in figures.items():
        last = figures.get(name.replace("ratio_first", "ratio_last"))
        if plain(name) == "ratio_first" and is_number(first) and is_number(last):
            told.append(f"loss against identity {first:.2f} → {last:.2f}")
    return told


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


def plain(name: str) -> str:
    """A figure's name without its part's."""
    return name.rpartition(".")[2]


def is_number(value: Figure) -> TypeGuard[float | int]:
    """A figure to do sums with."""
    return isinstance(value, int | float)
