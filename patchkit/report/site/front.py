"""The front page: one sentence for the verdict, and a few lines for each kind of evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from patchkit.gates.evidence import Circumstances, Evidence
from patchkit.gates.mutants_evidence import MutantsEvidence
from patchkit.plural import counted
from patchkit.report import phrases
from patchkit.report.mutants import phrases as mutants_phrases
from patchkit.report.site import drifts
from patchkit.report.site.matrix import State, Support, runner
from patchkit.report.site.sources import Sources
from patchkit.report.site.throughput import Speed
from patchkit.report.site.trees import Standing, Trees

NOTHING = "unknown: no evidence was given"
Tone = Literal["green", "red", "unknown", "plain"]
SIGNS: dict[Tone, tuple[str, str]] = {
    "green": ("✓", "green"),
    "red": ("✗", "red"),
    "unknown": ("?", "unknown"),
    "plain": ("=", "neither"),
}


@dataclass(frozen=True)
class Area:
    """One kind of evidence in a few lines, and the page that has all of it; plain where nothing is red or green.

    Attributes:
        word: what to call its state instead of the tone's own word.
    """

    title: str
    page: str
    tone: Tone
    lines: list[str]
    word: str = ""


def verdict(supports: Sequence[Support]) -> str:
    """One sentence for all runtimes: on how many releases each is proven, red, and unknown."""
    sentences = [_sentence(one) for one in supports if one.rows]
    return "; ".join(sentences) or "Nothing is known: no gate evidence was given"


def _sentence(support: Support) -> str:
    proven, red, unknown = (len(support.of(state)) for state in ("green", "red", "unknown"))
    parts = [f"{support.runtime} is proven on {proven} of {counted(len(support.rows), 'vLLM release')}"]
    parts += [f"red on {red}"] if red else []
    parts += [f"unknown on {unknown}"] if unknown else []
    return ", ".join(parts)


def areas(sources: Sources, supports: Sequence[Support], speeds: Sequence[Speed], trees: Trees) -> list[Area]:
    return [
        _gates(supports),
        _knockout(sources, trees),
        _mutants(sources, trees),
        _drift(sources),
        _throughput(speeds, sources, trees),
        _accuracy(sources, trees),
    ]


def _gates(supports: Sequence[Support]) -> Area:
    runs = [run for support in supports for row in support.rows for run in row.runs]
    if not runs:
        return Area("Gates", "#releases", "unknown", [NOTHING])
    states = [run.state for run in runs]
    lines = [
        f"{counted(states.count(state), 'run')} {what}"
        for state, what in (("green", "green in every gate"), ("red", "with a red gate"), ("unknown", "unknown"))
        if state in states
    ]
    return Area("Gates", "#releases", _worst(states), [*lines, *_runners(supports)])


def _runners(supports: Sequence[Support]) -> Iterator[str]:
    runs = [run for support in supports for row in support.rows for run in row.runs if run.state == "green"]
    for name in dict.fromkeys(run.runner for run in runs):
        yield f"{name}: {counted(sum(run.runner == name for run in runs), 'release')}"


def _knockout(sources: Sources, trees: Trees) -> Area:
    said = [(filed.record, "; ".join(phrases.sentences(filed.record))) for filed in sources.knockouts]
    return _judged("Knock-out", "knockouts.html", said, trees)


def _mutants(sources: Sources, trees: Trees) -> Area:
    said = [(filed.record, next(iter(mutants_phrases.sentences(filed.record)))) for filed in sources.mutants]
    return _judged("Mutants", "mutants.html", said, trees)


def _judged(title: str, page: str, runs: Sequence[tuple[Evidence | MutantsEvidence, str]], trees: Trees) -> Area:
    """A line a run, of what it says."""
    lines, states = [], list[State]()
    for record, said in runs:
        standing = trees.standing(record)
        states.append(judged_state(record.passed, standing))
        lines.append(f"{_place(record)}{said}{_of_tree(standing)}")
    return Area(title, page, _worst(states), lines or [NOTHING])


def _drift(sources: Sources) -> Area:
    lines = [drifts.headline(filed.record) for filed in sources.drifts]
    lines += [f"Last watch: {filed.record.verdict}" for filed in sources.watches]
    if not sources.drifts:
        return Area("Drift", "drift.html", "unknown", lines or [NOTHING])
    left = any(one.unpatched for filed in sources.drifts for step in filed.record for one in step.breaks)
    return Area("Drift", "drift.html", "red" if left else "plain", lines, "unpatched" if left else "")


def _throughput(speeds: Sequence[Speed], sources: Sources, trees: Trees) -> Area:
    """The span of ratios on each runner, of the project's own tree alone; red if a row of it is no figure."""
    lines = []
    for name in dict.fromkeys(one.runner for one in speeds):
        ratios = [one.ratio for one in speeds if one.runner == name and one.standing == "this tree"]
        span = f"{min(ratios):.2f} to {max(ratios):.2f}" if len(ratios) > 1 else f"{ratios[0]:.2f}" if ratios else ""
        lines.append(f"{name}: {span} x plain vLLM's tokens/s" if span else f"{name}: of another tree only")
    mine = [filed.record for filed in sources.throughputs if trees.standing(filed.record) == "this tree"]
    lost = sum(row.standing != "alive" for record in mine for row in record.rows)
    lines += [f"{counted(lost, 'row')} dead or not run"] if lost else []
    tone: Tone = "red" if lost else "plain" if lines else "unknown"
    return Area("Throughput", "throughput.html", tone, lines or [NOTHING])


def _accuracy(sources: Sources, trees: Trees) -> Area:
    other_people = [f"{counted(len(sources.published), 'table')} of others"] if sources.published else []
    if not sources.accuracies:
        return Area("Accuracy", "accuracy.html", "unknown", other_people or [NOTHING])
    other = sum(trees.standing(filed.record) != "this tree" for filed in sources.accuracies)
    lines = [f"{counted(len(sources.accuracies), 'run')} of pass@k" + (f", {other} not of this tree" if other else "")]
    counts = outcomes(sources, trees)
    lines += [", ".join(f"{count} {name}" for name, count in counts.items())] if counts else []
    return Area("Accuracy", "accuracy.html", "plain", [*lines, *other_people])


def outcomes(sources: Sources, trees: Trees) -> dict[str, int]:
    """How often each outcome was found, in runs on the project's own tree."""
    mine = [filed.record for filed in sources.accuracies if trees.standing(filed.record) == "this tree"]
    return dict(Counter(one.outcome for record in mine for cell in record.cells for one in cell.judgements))


def judged_state(passed: bool, standing: Standing) -> State:
    """What a verdict is worth: of another tree, or of an unknown one, it is not known."""
    return "unknown" if standing != "this tree" else "green" if passed else "red"


def _place(evidence: Circumstances) -> str:
    return f"vLLM {evidence.release}, {runner(evidence)}: "


def _of_tree(standing: Standing) -> str:
    return "" if standing == "this tree" else f" (of {standing.replace('unknown', 'an unknown')})"


def _worst(states: Sequence[State]) -> Tone:
    return "red" if "red" in states else "green" if "green" in states else "unknown"
