"""Sentences and lines that the page, Markdown and the terminal share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.number_format import points
from patchkit.evals.probe_figures import shown
from patchkit.evals.records import BASELINE, Change, Needed, Outcome
from patchkit.plural import counted, joined
from patchkit.report import phrases
from patchkit.report.accuracy import view
from patchkit.report.accuracy.numbers import chance, lasted, noise, over_processes, percent, ratio, settings
from patchkit.report.accuracy.verdict import multiple_comparisons
from patchkit.report.accuracy.view import Comparison, ProblemChange, comparisons, ends, short_models
from patchkit.report.phrases import hardware, versions

ALPHA = 0.05  # as in patchkit.evals.paired, which scipy is behind
UNREAD = "samples in which no answer could be read"
ONE_LEFT = "the baseline alone was measured"

# a sign, always shown with the name, and the meaning of the outcome
OUTCOMES: dict[Outcome, tuple[str, str]] = {
    "token and trajectory headroom": (
        "▲▲",
        "pass@1 and pass@n both rise: a single sample is better, and so is the best of n.",
    ),
    "trajectory headroom only": (
        "▲",
        "pass@n rises, pass@1 does not: of use where a verifier, a test or a vote picks the right sample.",
    ),
    "harmful": ("▼", "pass@n falls, or pass@1 falls and pass@n does not rise."),
    "saturated": (
        "■",
        "The baseline solves nearly everything in n samples, and pass@n stays at 90% or more: "
        "a search has no room for a gain, though pass@1 may rise.",
    ),
    "not resolved": (
        "○",
        "The figures do not decide it. This is no proof of no effect: each cell says what it would take to see more.",
    ),
}


def legend() -> Iterator[tuple[str, str]]:
    for name, (_, meaning) in OUTCOMES.items():
        yield name, meaning


def subject(evidence: AccuracyEvidence) -> str:
    """What was measured: the runtime, release and device; or the server, as far as it said."""
    server = evidence.server
    if server is None:
        return phrases.subject(evidence)
    version = f"vLLM {server.version}" if server.version else "an unknown vLLM"
    name = evidence.runtime.name
    runtime = f"; {name}, of which the server does not say the patches" if name else ""
    return f"{server.model} through {server.url}, {version}, on unknown hardware{runtime}"


def of_models(evidence: AccuracyEvidence) -> str:
    """`` of MODEL and MODEL``; empty where nothing was measured."""
    models = list(view.short_models(evidence).values())
    return f" of {joined(models)}" if models else ""


def unproven(evidence: AccuracyEvidence) -> str:
    return f"The gates did not admit this run: {evidence.unproven}. No figure below can be relied on."


def ungraded(evidence: AccuracyEvidence) -> str:
    """How many samples no grader judged, and where; empty if all were."""
    found = view.ungraded(evidence)
    if not found:
        return ""
    models = short_models(evidence)
    where = "; ".join(f"{count:,} of {cell.task}, {models[cell.model]}, {mode}" for cell, mode, count in found)
    whole = sum(count for _, _, count in found)
    counted_wrong = (
        "1 sample could not be graded and counts" if whole == 1 else f"{whole:,} samples could not be graded and count"
    )
    return f"{counted_wrong} as wrong: {where}."


def title(evidence: AccuracyEvidence, row: Comparison) -> str:
    """``arithmetic-2, SmolLM2-135M, RUNTIME``."""
    parts = [row.cell.task, short_models(evidence)[row.cell.model], row.mode]
    return ", ".join(parts if row.judgement else parts[:2])


def own_settings(evidence: AccuracyEvidence, row: Comparison) -> str:
    """The settings of this cell and this mode that differ from those of others."""
    return settings({**view.own(evidence.cells, row.cell), **row.cell.settings.get(row.mode, {})})


def needed(row: Comparison, one: Needed) -> str:
    """What this design resolves, and what it would take to resolve the measured difference."""
    sees = f"pass@{one.k}: this design resolves {100 * one.resolvable:.1f} points or more"
    change = row.change(one.k)
    if change is None or change.direction:
        return f"{sees}."
    if one.problems is None:
        return f"{sees}; no difference was measured that more problems would resolve."
    takes = f"{sees}; for the {points(change.difference)} measured it would take {one.problems:,} problems"
    takes = f"{takes} (there are {len(row.cell.problems):,})"
    if one.samples is not None:
        return f"{takes}, or {one.samples:,} samples of each (there are {row.cell.n:,})."
    return f"{takes}; more samples alone would not suffice." if one.k == 1 < row.cell.n else f"{takes}."


def disagreement(row: Comparison) -> list[str]:
    """Why an interval that holds 0 can stand beside a small p, and the other way round; a line for each such rate."""
    found = []
    for k in ends(row.cell.n):
        change = row.change(k)
        if change is None or (change.low <= 0 <= change.high) == (change.p >= ALPHA):
            continue
        found.append(f"pass@{k}: {_why_both(change)} Resolved is only what both say, so this is not.")
    return found


def _why_both(change: Change) -> str:
    asks = (
        "The interval asks how far the difference might lie on other problems of this kind; p asks how often chance "
        "alone would make as much of what these problems did."
    )
    if change.p < ALPHA:
        few = "Few problems that moved, nearly all the same way, give a small p and a wide interval."
        return f"the interval holds 0 although {chance(change.p)}. {asks} {few}"
    return f"the interval leaves 0 out although {chance(change.p)}. {asks}"


def breadth(row: Comparison) -> list[tuple[str, list[str]]]:
    """Distinct answers and approaches, what was cut off and what could not be read, in each mode."""
    shares_by_name: list[tuple[str, list[float | None]]] = [
        ("distinct answers, of those given", [view.spread(row.cell, mode, view.answers) for mode in row.modes]),
        ("distinct approaches", [view.spread(row.cell, mode, view.approaches) for mode in row.modes]),
        ("samples cut off by max_tokens", [row.cell.truncated(mode) for mode in row.modes]),
    ]
    rows = [(name, ["none" if one is None else percent(one) for one in shares]) for name, shares in shares_by_name]
    counts = unread(row)
    return [*rows, (UNREAD, list(counts.values()))] if counts else rows


def unread(row: Comparison) -> dict[str, str]:
    """How many samples of each mode hold no readable answer; empty if none is known to."""
    counts = {mode: view.unread(row.cell, mode) for mode in row.modes}
    whole = {mode: view.samples_each(row.cell, mode) * len(row.cell.problems) for mode in row.modes}
    found = {mode: "not known" if one is None else f"{one:,} of {whole[mode]:,}" for mode, one in counts.items()}
    return found if any(counts.values()) else {}


def observed(row: Comparison) -> list[tuple[str, list[str]]]:
    """What the runtime's probe saw, trial by trial; a figure that a verdict needs has what it means beside it."""
    means = {one.wanted.figure: one.wanted.means for one in row.seen}
    return [
        (f"{name}: {means[name]}" if name in means else name, [over_processes(one) for one in trials])
        for name, trials in view.observed(row.cell.modes.get(row.mode, []))
    ]


def unmoved(row: Comparison, still: Sequence[ProblemChange]) -> str:
    """``22 problems did not move: 15 never solved, 7 solved in every sample``."""
    every = view.samples_each(row.cell, BASELINE)
    if row.judgement is None:
        return f"{counted(len(still), 'problem')}, with right samples of {every}"
    kinds = {
        "never solved": sum(one.before == 0 for one in still),
        "solved in every sample": sum(one.before == every for one in still),
        "as often right as before": sum(0 < one.before < every for one in still),
    }
    parts = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    return f"{counted(len(still), 'problem')} did not move: {parts}"


def trust(evidence: AccuracyEvidence) -> dict[str, list[str]]:
    """What admitted the run, the noise floor, the number of comparisons, what confined model-written code."""
    rows = {
        "unproven": [evidence.unproven],
        "gates": [evidence.gates or "no gate evidence is named"],
        "noise floor": list(_noise_floor(evidence)),
        "seen at work": [
            f"{row.mode}, {_called(evidence, row)}: {shown(one)}" for row in comparisons(evidence) for one in row.seen
        ],
        "multiple comparisons": [multiple_comparisons(evidence)],
        "tokens/s": [
            f"{row.mode} over {BASELINE}, {_called(evidence, row)}: {ratio(row.throughput)}"
            for row in comparisons(evidence)
            if row.judgement
        ],
        "sandbox": list(_sandboxes(evidence)),
    }
    return {name: lines for name, lines in rows.items() if any(lines)}


def served(evidence: AccuracyEvidence) -> dict[str, str]:
    """The server, what each mode asked of its runtime, and the client's limits; nothing without a server."""
    server = evidence.server
    if server is None:
        return {}
    asked = {f"requests of {mode} carried": settings(given) or "nothing" for mode, given in server.requests.items()}
    pace = f", at most {server.per_minute} a minute" if server.per_minute else ""
    limits = f"{counted(server.concurrency, 'request')} at once{pace}, {server.timeout:g} s for each"
    again = f", {counted(server.repeated, 'request')} sent again" if server.repeated else ""
    unknown = "the hardware, the model runner, and the settings that the server was started with"
    return {"server": server.url, **asked, "client": f"{limits}{again}", "unknown": unknown}


def circumstances(evidence: AccuracyEvidence) -> dict[str, str]:
    """How it came about; what is not known is left out."""
    runtime = evidence.runtime
    rows = {
        "began": evidence.began,
        **_durations(evidence),
        "versions": versions(evidence.versions),
        "hardware": hardware(evidence.hardware),
        **served(evidence),
        "runtime": " ".join(filter(None, (runtime.name, runtime.pin, f"({runtime.commit})" if runtime.commit else ""))),
        "patches": ", ".join(runtime.patches),
        "left out": ", ".join(runtime.without),
        "models": ", ".join(dict.fromkeys(cell.model for cell in evidence.cells)),
        "sampling": settings(view.common(evidence.cells, view.sampling)),
        "engine": settings(view.common(evidence.cells, view.engine)),
        "given to the runtime": settings(view.common(evidence.cells, view.runtime)),
        **{f"given to {mode}": settings(given) for mode, given in view.settings_by_mode(evidence.cells).items()},
        "seed": str(evidence.seed),
        "patchkit": evidence.patchkit,
    }
    return {name: value for name, value in rows.items() if value}


def _durations(evidence: AccuracyEvidence) -> dict[str, str]:
    """How long it took: what the evidence calls its seconds is the last session alone, where there were several."""
    trials = [trial for cell in evidence.cells for of_mode in cell.modes.values() for trial in of_mode]
    drawing = sum(trial.seconds for trial in trials)
    if drawing <= evidence.seconds and all(trial.sessions == 1 for trial in trials):
        return {"took": lasted(evidence.seconds), "of that, drawing": lasted(drawing) if drawing else ""}
    return {"drawing, in all sessions": lasted(drawing), "the last session": lasted(evidence.seconds)}


def work(evidence: AccuracyEvidence) -> list[list[str]]:
    lines = []
    for row in _first_of_cells(evidence):
        for mode, trials in row.cell.modes.items():
            sessions = sum(trial.sessions - 1 for trial in trials)
            seconds = f"{sum(trial.seconds for trial in trials):,.0f}"
            seconds += f" (resumed {counted(sessions, 'time')})" if sessions else ""
            observing = sum(trial.observing for trial in trials)
            seconds += f", of which the probe {lasted(observing)}" if observing else ""
            seeds = ", ".join(f"{trial.seed} in trial {number}" for number, trial in enumerate(trials, 1))
            lines.append([_called(evidence, row), mode, f"{sum(trial.tokens for trial in trials):,}", seconds, seeds])
    return lines


SEEDS = (
    "The seed of a problem's first sample is made of this seed, the task, the trial's number and the problem, so that "
    "two trials of one seed are two draws; the modes of a trial share it, and each sample is written down with its own."
)


def commands(evidence: AccuracyEvidence) -> list[str]:
    """Gates first, then this run; of what a server runs nobody here can run the gates."""
    gate = "" if evidence.server else f"patchkit gate --vllm {evidence.release} --device {evidence.device}"
    return [line for line in (gate, evidence.command) if line]


def _noise_floor(evidence: AccuracyEvidence) -> Iterator[str]:
    for row in _first_of_cells(evidence):
        changes = [change for k in ends(row.cell.n) if (change := row.change(k))]
        if changes:
            figures = "; ".join(f"pass@{change.k} {noise(change)}" for change in changes)
            yield f"{BASELINE} against {BASELINE}, {_called(evidence, row)}: {figures}"


def _sandboxes(evidence: AccuracyEvidence) -> Iterator[str]:
    for sandbox in dict.fromkeys(cell.sandbox for cell in evidence.cells):
        tasks = dict.fromkeys(cell.task for cell in evidence.cells if cell.sandbox == sandbox)
        yield f"{', '.join(tasks)}: {sandbox or 'no code that a model wrote was run'}"


def _first_of_cells(evidence: AccuracyEvidence) -> list[Comparison]:
    return list({id(row.cell): row for row in reversed(comparisons(evidence))}.values())[::-1]


def _called(evidence: AccuracyEvidence, row: Comparison) -> str:
    """A cell by its task, and its model if there are several."""
    models = short_models(evidence)
    return row.cell.task if len(models) == 1 else f"{row.cell.task} ({models[row.cell.model]})"
