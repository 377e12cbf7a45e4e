"""What the page, Markdown and the terminal say in the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.record import BASELINE, Change, Needed, Rate, Shape, Solved, Throughput
from patchkit.report.accuracy.view import (
    Comparison,
    Moved,
    common,
    comparisons,
    ends,
    own,
    samples_each,
    short_models,
    spread,
    truncated,
)
from patchkit.report.wording import counted, hardware, versions

MINUS = "\N{MINUS SIGN}"
NOISE_UNKNOWN = "not measured: --trials 2"
ONE_LEFT = "the baseline alone was measured"

# for people: a sign, which stands beside the name and not for it, and what the shape means
SHAPES: dict[Shape, tuple[str, str]] = {
    "token and trajectory headroom": ("▲▲", "Both rise: a single sample is better, and so is the best of n."),
    "trajectory headroom only": (
        "▲",
        "The best of n rises, a single sample does not: of use to who can tell it apart.",
    ),
    "harmful": ("▼", "A rate falls."),
    "saturated": ("■", "The baseline solves nearly everything: there is no room for a gain."),
    "not resolved": ("○", "Neither gain nor harm is shown. That is not a proof of no effect: see what it would take."),
}


def percent(share: float) -> str:
    """``41.2%``."""
    return f"{100 * share:.1f}%"


def points(difference: float) -> str:
    """``+1.8``, ``−0.4``, ``0.0``: percentage points."""
    told = f"{100 * abs(difference):.1f}"
    return told if told == "0.0" else f"{'+' if difference > 0 else MINUS}{told}"


def span(low: float, high: float) -> str:
    """``−2.1 to +5.7``."""
    return f"{points(low)} to {points(high)}"


def chance(p: float) -> str:
    """``p = 0.63``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def difference(change: Change) -> str:
    """``+1.8 points (−2.1 to +5.7), p = 0.36``."""
    return f"{points(change.difference)} points ({span(change.low, change.high)}), {chance(change.p)}"


def noise(change: Change) -> str:
    """``±1.2 points``, or how to measure it."""
    return NOISE_UNKNOWN if change.noise is None else f"±{100 * abs(change.noise):.1f} points"


def ratio(measured: Throughput | None) -> str:
    """``0.78 × (0.63 to 0.88), 3 pairs``."""
    if measured is None:
        return "not measured"
    if measured.pairs < 2:
        return f"{measured.ratio:.2f} ×, one pair: no interval"
    return f"{measured.ratio:.2f} × ({measured.low:.2f} to {measured.high:.2f}), {measured.pairs} pairs"


def moves(solved: Iterable[Solved]) -> list[str]:
    """``+3 −1`` for every trial: problems gained and lost."""
    return [f"+{len(one.gained)} {MINUS}{len(one.lost)}" for one in solved]


def solved_sentence(one: Solved, problems: int) -> str:
    """Who was solved by any of n samples, before and after, in one trial."""
    return (
        f"Solved by any sample, trial {one.trial}: {one.before} → {one.after} of {counted(problems, 'problem')}; "
        f"{len(one.gained)} gained, {len(one.lost)} lost, {chance(one.p)}"
    )


def needed_sentence(row: Comparison, needed: Needed) -> str:
    """What this design can see, and what it would take to resolve what was measured."""
    rate = f"pass@{needed.k}"
    sees = f"{rate}: this design resolves {100 * needed.resolvable:.1f} points or more."
    change = row.change(needed.k)
    if change is None or change.direction:
        return sees
    if needed.problems is None:
        return f"{sees} No difference was measured that more problems would resolve."
    samples = (
        "no number of samples a problem would" if needed.samples is None else f"{needed.samples:,} a problem would"
    )
    return (
        f"{sees} To resolve the {points(change.difference)} measured: {counted(needed.problems, 'problem')}, "
        f"there are {len(row.cell.problems)}; of samples, {samples}, there are {row.cell.n}."
    )


def headline(evidence: AccuracyEvidence) -> str:
    """What was measured, on what."""
    runtime, gpu = evidence.runtime, evidence.hardware.gpu
    device = f"{evidence.device} ({gpu})" if gpu else evidence.device
    without = f" without {', '.join(runtime.without)}" if runtime.without else ""
    patches = counted(len(runtime.patches), "patch", "patches")
    return f"vLLM {evidence.release} on {device}, {runtime.name} {runtime.pin[:12]} with {patches}{without}"


def verdict(evidence: AccuracyEvidence) -> str:
    """What the shapes of all cells come to, in a sentence for each mode."""
    if not evidence.cells:
        return "Nothing was measured."
    judged = [row for row in comparisons(evidence) if row.judgement]
    modes = dict.fromkeys(row.mode for row in judged)
    told = [_verdict(mode, [row for row in judged if row.mode == mode], short_models(evidence)) for mode in modes]
    return " ".join(told) or "Nothing was compared: the baseline alone was measured."


def _verdict(mode: str, rows: list[Comparison], models: dict[str, str]) -> str:
    best = _best(rows)
    clauses: dict[Shape, str] = {
        "token and trajectory headroom": f"raises pass@1 and {best}",
        "trajectory headroom only": f"raises {best}, not pass@1,",
        "harmful": "does harm",
        "saturated": "has no room to help",
        "not resolved": "is not shown to help or harm",
    }
    where, name = _places(rows, models)
    if len(rows) == 1:
        return f"{where}{name(rows[0])}: {mode} {clauses[rows[0].shape].rstrip(',')}."
    told = []
    for shape, clause in clauses.items():
        found = [row for row in rows if row.shape == shape]
        if found:
            none = "any of " if shape in ("not resolved", "saturated") else "all "
            told.append(f"{clause} on {_listed(found, rows, none, name, not where)}")
    return f"{where or _scope(rows)}: {mode} {_joined(told)}."


def advice(evidence: AccuracyEvidence) -> list[str]:
    """What to do, in a sentence for each mode that was judged."""
    judged = [row for row in comparisons(evidence) if row.judgement]
    told = []
    for mode in dict.fromkeys(row.mode for row in judged):
        rows = [row for row in judged if row.mode == mode]
        where, name = _places(rows, short_models(evidence))
        parts = []
        for what in ("use it", "consider it", "skip it"):
            found = [row for row in rows if row.judgement and row.judgement.advice == what]
            if found:
                parts.append(f"{what} on {_listed(found, rows, 'all ', name, not where)}" if len(rows) > 1 else what)
        told.append(f"{mode}: {'; '.join(parts)}.")
    return told


def sight(evidence: AccuracyEvidence) -> str:
    """The smallest differences that the cells resolve, from the sharpest to the bluntest."""
    told = []
    judged = [row for row in comparisons(evidence) if row.judgement]
    for k, rate in ((0, "pass@1"), (-1, _best(judged))):
        seen = [row.judgement.needed[k].resolvable for row in judged if row.judgement and row.judgement.needed]
        if seen and f" of {rate}" not in "".join(told):
            low, high = f"{100 * min(seen):.1f}", f"{100 * max(seen):.1f}"
            told.append(f"{low if low == high else f'{low} to {high}'} points of {rate}")
    cells = ", by cell" if len(judged) > 1 else ""
    return f"The smallest difference that this run resolves{cells}: {' and '.join(told)}." if told else ""


def comparisons_note(evidence: AccuracyEvidence) -> str:
    """How many differences were asked after, and how many would look resolved if nothing had changed."""
    changes = [row.change(k) for row in comparisons(evidence) for k in ends(row.cell.n)]
    asked = [change for change in changes if change]
    if not asked:
        return ""
    resolved = sum(change.direction != 0 for change in asked)
    return (
        f"{counted(len(asked), 'difference')} {'was' if len(asked) == 1 else 'were'} asked after (pass@1 and pass@n of "
        f"every cell), {resolved} {'is' if resolved == 1 else 'are'} resolved. At 5% error each, {0.05 * len(asked):.1f} "
        "would be if nothing had changed at all; nothing is corrected for that, so weigh a single one among many with care."
    )


def circumstances(evidence: AccuracyEvidence) -> dict[str, str]:
    """How it came about; what is not known is left out."""
    runtime = evidence.runtime
    rows = {
        "began": evidence.began,
        "took": lasted(evidence.seconds),
        "versions": versions(evidence.versions),
        "hardware": hardware(evidence.hardware),
        "runtime": f"{runtime.name} {runtime.pin}",
        "patches": ", ".join(runtime.patches),
        "left out": ", ".join(runtime.without),
        "gates": evidence.gates,
        "unproven": evidence.unproven,
        "seed": str(evidence.seed),
        "sampling": settings(common(evidence.cells, lambda cell: cell.sampling)),
        "engine": settings(common(evidence.cells, lambda cell: cell.engine)),
        "given to the runtime": settings(common(evidence.cells, lambda cell: cell.runtime)),
        "patchkit": evidence.patchkit,
    }
    return {name: value for name, value in rows.items() if value}


def commands(evidence: AccuracyEvidence) -> list[str]:
    """Gates first, then this run."""
    gate = f"patchkit gate --vllm {evidence.release} --device {evidence.device}"
    return [line for line in (gate, evidence.command) if line]


def lasted(seconds: float) -> str:
    """``42.0 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def setting(value: object) -> str:
    """A setting as people write it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def own_settings(evidence: AccuracyEvidence, row: Comparison) -> str:
    """What this cell was given that not every cell was."""
    return settings(own(evidence.cells, row.cell))


def settings(given: dict[str, object]) -> str:
    """``temperature 0.8, top_p 0.95``."""
    return ", ".join(f"{name} {setting(value)}" for name, value in given.items())


def _best(rows: Sequence[Comparison]) -> str:
    sizes = {row.cell.n for row in rows}
    return f"pass@{sizes.pop()}" if len(sizes) == 1 else "pass@n"


def _places(rows: list[Comparison], models: dict[str, str]) -> tuple[str, Callable[[Comparison], str]]:
    """What all rows share, and how one of them is called: by its task where all are of one model."""
    shared = {row.cell.model for row in rows}
    if len(shared) > 1:
        return "", lambda row: f"{row.cell.task} ({models[row.cell.model]})"
    model = models[shared.pop()]
    return (f"{model}, ", lambda row: row.cell.task) if len(rows) == 1 else (model, lambda row: row.cell.task)


def _scope(rows: list[Comparison]) -> str:
    return counted(len({row.cell.model for row in rows}), "model")


def _listed(
    found: list[Comparison], rows: list[Comparison], none: str, name: Callable[[Comparison], str], cells: bool
) -> str:
    kind = "cell" if cells else "task"
    if len(found) == len(rows):
        return f"{none}{counted(len(rows), kind)}"
    if len(found) <= 3:
        return _joined([name(row) for row in found])
    return f"{len(found)} of {counted(len(rows), kind)}"


def _joined(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def legend() -> Iterator[tuple[str, str, str]]:
    """Sign, name and meaning of every shape."""
    for name, (sign, meaning) in SHAPES.items():
        yield sign, name, meaning


def rate(measured: Rate | None) -> str:
    """``41.2% (33.0% to 49.8%)``."""
    if measured is None:
        return "not measured"
    return f"{percent(measured.value)} ({percent(measured.low)} to {percent(measured.high)})"


def breadth(row: Comparison) -> list[tuple[str, list[str]]]:
    """Distinct answers and approaches, and what was cut off, in each mode."""
    told: list[tuple[str, list[float | None]]] = [
        ("distinct answers of a problem", [spread(row.cell, mode, lambda trial: trial.answers) for mode in row.modes]),
        ("distinct approaches", [spread(row.cell, mode, lambda trial: trial.approaches) for mode in row.modes]),
        ("samples cut off by max_tokens", [truncated(row.cell, mode) for mode in row.modes]),
    ]
    return [(name, ["none to tell" if one is None else percent(one) for one in shares]) for name, shares in told]


def unmoved(row: Comparison, still: Sequence[Moved]) -> str:
    """``22 problems did not move: 15 never solved, 7 in every sample``."""
    every = samples_each(row.cell, BASELINE)
    kinds = {
        "never solved": sum(one.before == 0 for one in still),
        "solved in every sample": sum(one.before == every for one in still),
        "as often right as before": sum(0 < one.before < every for one in still),
    }
    parts = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    if row.judgement is None:
        return f"{counted(len(still), 'problem')}, with right samples of {every}"
    return f"{counted(len(still), 'problem')} did not move: {parts}"


def trust(evidence: AccuracyEvidence) -> list[tuple[str, str]]:
    """What admitted the run, how loud the noise is, how many questions were asked, what held model-written code."""
    told = [("gates", evidence.gates or "no gate evidence is named")]
    if evidence.unproven:
        told.insert(0, ("unproven", evidence.unproven))
    told += [("noise floor", line) for line in noise_floor(evidence)]
    told.append(("many questions", comparisons_note(evidence)))
    names = short_models(evidence)
    for row in comparisons(evidence):
        if row.judgement:
            told.append(("tokens/s", f"{row.mode} over {BASELINE}, {called(row, names)}: {ratio(row.throughput)}"))
    for sandbox in dict.fromkeys(cell.sandbox for cell in evidence.cells if cell.sandbox):
        tasks = ", ".join(cell.task for cell in evidence.cells if cell.sandbox == sandbox)
        told.append(("sandbox", f"{tasks}: {sandbox}"))
    if evidence.cells and not any(cell.sandbox for cell in evidence.cells):
        told.append(("sandbox", "no code that a model wrote was run"))
    return [(name, line) for name, line in told if line]


def noise_floor(evidence: AccuracyEvidence) -> list[str]:
    """The largest difference between two baseline trials of every cell."""
    told, names = [], short_models(evidence)
    for row in first_of_cells(evidence):
        changes = [change for k in ends(row.cell.n) if (change := row.change(k))]
        if changes:
            told.append(f"{called(row, names)}: {'; '.join(f'pass@{one.k} {noise(one)}' for one in changes)}")
    return told


def work(evidence: AccuracyEvidence) -> list[tuple[str, ...]]:
    """Cell, mode, tokens, seconds and seeds, a line each."""
    names = short_models(evidence)
    told = []
    for row in first_of_cells(evidence):
        for mode, trials in row.cell.modes.items():
            tokens = f"{sum(trial.tokens for trial in trials):,}"
            seconds = f"{sum(trial.seconds for trial in trials):,.0f}"
            sittings = sum(trial.sittings - 1 for trial in trials)
            resumed = f" (resumed {sittings} ×)" if sittings else ""
            told.append((called(row, names), mode, tokens, seconds + resumed, ", ".join(str(t.seed) for t in trials)))
    return told


def first_of_cells(evidence: AccuracyEvidence) -> list[Comparison]:
    """One comparison a cell."""
    return list({id(row.cell): row for row in reversed(comparisons(evidence))}.values())[::-1]


def called(row: Comparison, names: dict[str, str]) -> str:
    """A cell by its task, and its model if there are several."""
    return row.cell.task if len(names) == 1 else f"{row.cell.task} ({names[row.cell.model]})"
