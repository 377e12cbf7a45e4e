"""ESamp's invariants on the probe's reports, each beside the line that is reported if it is broken.

No torch here: the probe compares and sums, and reports numbers. A row that was not compared is not right: an invariant
with fewer rows than there were decode rows is red.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import mean, median
from typing import Any

from patchkit.gates.events import Step
from patchkit.gates.invariants.base import Broken, Figures, Params, count_clause, invariant
from patchkit.gates.invariants.served_counts import changes, expected
from patchkit.gates.part_run import Run
from patchkit.plural import counted

# In the order of ``learning.Bin.as_list``.
STEPS, ROWS, ERROR, UNTRAINED_ERROR, MEAN_ERROR, WON, UNTRAINED_WON, PAIRS = range(8)
STEPS_A_BIN = 16
KINDS = ("compared", "greedy", "tempered", "filtered", "beside_prefill", "resumed", "prompts", "untouched", "left")
# See ``FREE`` in probe.py: of a single loss 4.7e-6 was seen.
LOSS_ROUNDING = 1e-4


def observed(run: Run) -> Iterator[tuple[Step, dict[str, Any]] | Broken]:
    """The steps with the runtime and the probe's report of each; or why there is nothing to judge."""
    if not run.decoding:
        yield Broken("no decode step with the runtime was seen")
        return
    for step in run.patched:
        if step.observed is not None:
            yield step, step.observed
        elif step.shape.decode_rows:
            yield Broken.at(step, "the probe saw nothing")
            return


def compared(run: Run, figures: Figures, figure: str, *quantities: str) -> Iterator[Broken]:
    """Each of the quantities was compared for every decode row, and none was wrong; ``figure`` counts the rows."""
    total = 0
    worst = dict.fromkeys(quantities, 0.0)
    for one in observed(run):
        if isinstance(one, Broken):
            yield one
            return
        step, seen = one
        rows = step.shape.decode_rows
        for quantity in quantities:
            wrong = seen["wrong"].get(quantity)
            if wrong:
                yield Broken.at(step, sentence(quantity, wrong))
                return
            done = seen["compared"].get(quantity, 0)
            if quantity not in ("losses", "state", "bank") and done < rows:
                yield Broken.at(
                    step, f"{quantity}: {counted(done, 'row')} compared, {counted(rows, 'decode row')} to compare"
                )
                return
            if rows and not done:
                yield Broken.at(step, f"{quantity}: nothing was compared")
                return
            worst[quantity] = max(worst[quantity], seen["differences"].get(quantity, 0.0))
        total += rows
    figures[figure] = total
    for quantity, difference in worst.items():
        figures[f"largest_{quantity}_difference"] = difference


def sentence(quantity: str, wrong: dict[str, Any]) -> str:
    """``predicted: row 3 (prompt 1 sample 0): the prediction is not the reference's, off by 0.02``."""
    where = ""
    if wrong.get("row") is not None:
        where = f"row {wrong['row']} ({owner_name(wrong.get('prompt'), wrong.get('sample'))}): "
    elif wrong.get("prompt") is not None:
        where = f"prompt {wrong['prompt']}: "
    by = f", off by {wrong['difference']:.3g}" if wrong.get("difference") is not None else ""
    found = f", to {owner_name(*wrong['found'])}" if wrong.get("found") else ""
    return f"{quantity}: {where}{wrong['what']}{found}{by}"


def owner_name(prompt: Any, sample: Any) -> str:
    """``prompt 1 sample 0``."""
    if prompt is None:
        return "nobody's"
    return f"prompt {prompt}" if sample is None else f"prompt {prompt} sample {sample}"


@invariant(clauses=(count_clause(50, "reference_rows", "{} rows equal the engine's own"),))
def rows(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Captured source and target rows equal those that the worker taps from the engine itself, bit for bit."""
    yield from compared(run, figures, "reference_rows", "source", "target")


@invariant(clauses=(count_clause(56, "credited_rows", "{} rows credited"),))
def credited(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Every decode row belongs to the prompt and the sample that it came from."""
    for step in run.decoding:
        lost = step.of("unmapped_rows")
        if lost:
            yield Broken.at(step, f"{counted(lost, 'decode row')} {'belongs' if lost == 1 else 'belong'} to no request")
            return
    yield from compared(run, figures, "credited_rows", "credited")


@invariant(clauses=(count_clause(57, "lean_steps", "lm_head ran once in each of {} steps"),))
def head_runs_once(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """The model's logits apart, no step reads all of ``lm_head``: few tokens survive the filters."""
    for one in observed(run):
        if isinstance(one, Broken):
            yield one
            return
        step, seen = one
        if seen["head_runs"] != 1:
            yield Broken.at(step, f"lm_head ran {counted(seen['head_runs'], 'time')} in the step")
            return
        figures["lean_steps"] = figures.get("lean_steps", 0) + 1


@invariant(clauses=(count_clause(51, "predicted_rows", "{} predictions equal the reference's"),))
def predicted(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Every row's prediction is the reference's, within the tolerance of the type."""
    yield from compared(run, figures, "predicted_rows", "predicted")


@invariant()
def trained(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Every prompt with decode rows has the reference's loss, and then a distiller in the reference's state."""
    yield from compared(run, figures, "trained_rows", "losses", "state")
    for step in run.decoding:
        seen = step.observed or {}
        prompts = seen.get("kinds", {}).get("prompts", 0)
        done = seen.get("compared", {}).get("losses", 0)
        if done != prompts:
            yield Broken.at(
                step, f"losses: {counted(done, 'prompt')} compared, {counted(prompts, 'prompt')} to compare"
            )
            return
    yield from losses_counted(run)


def losses_counted(run: Run) -> Iterator[Broken]:
    """The runtime's counters of its loss are those of the reference: the last, the first and the mean of the steps'."""
    seen: dict[float, list[float]] = {}
    for step in run.decoding:
        losses = seen.setdefault(pass_number(step), [])
        losses.append((step.observed or {}).get("mean_loss", math.nan))
        expected = {"loss_last": losses[-1], "loss_first": losses[0], "loss_mean": sum(losses) / len(losses)}
        for counter, loss in expected.items():
            if counter in run.counters and math.isfinite(loss) and not close(step.of(counter), loss):
                yield Broken.at(
                    step, f"{counter.replace('_', ' ')} {step.of(counter):.6g}, the reference's is {loss:.6g}"
                )
                return
        if "loss_finite" in run.counters and bool(step.of("loss_finite")) != all(map(math.isfinite, losses)):
            yield Broken.at(
                step, f"loss_finite is {bool(step.of('loss_finite'))}, the reference's losses say otherwise"
            )
            return


def close(found: float, expected: float) -> bool:
    """Equal but for rounding of float32, added up."""
    return abs(found - expected) <= LOSS_ROUNDING * abs(expected)


class Intervened(Params, frozen=True):
    """The least number of rows of each kind that must have been compared, over all steps.

    ``compared``: decode rows; of them ``greedy``, ``tempered`` (temperature not 1), ``filtered`` (a token is out),
    ``beside_prefill``, ``resumed`` (computed again after a preemption), ``left`` (no finite prediction). ``untouched``:
    rows that do not decode. ``prompts``: those that decode in a step, added up.
    """

    compared: int = 1
    greedy: int = 0
    tempered: int = 0
    filtered: int = 0
    beside_prefill: int = 0
    resumed: int = 0
    prompts: int = 0
    untouched: int = 0
    left: int = 0

    def __post_init__(self) -> None:
        self.at_least(1, "compared")
        self.at_least(0, *KINDS[1:])


@invariant(params=Intervened, clauses=(count_clause(52, "intervened_rows", "{} rows of logits equal the reference's"),))
def intervened(run: Run, params: Intervened, figures: Figures) -> Iterator[Broken]:
    """Every decode row draws from the reference's logits, and every other row from the model's, bit for bit."""
    totals = dict.fromkeys(KINDS, 0)
    worst = 0.0
    for one in observed(run):
        if isinstance(one, Broken):
            yield one
            return
        step, seen = one
        wrong = seen["wrong"].get("logits")
        if wrong:
            yield Broken.at(step, sentence("logits", wrong))
            return
        kinds = seen.get("kinds", {})
        if "skipped_rows" in run.counters and step.of("skipped_rows") != kinds.get("left", 0):
            yield Broken.at(
                step,
                f"{counted(step.of('skipped_rows'), 'row')} skipped, {kinds.get('left', 0)} have no finite prediction",
            )
            return
        done = kinds.get("compared", 0)
        if done != step.shape.decode_rows:
            yield Broken.at(
                step,
                f"logits: {counted(done, 'row')} compared, {counted(step.shape.decode_rows, 'decode row')} to compare",
            )
            return
        for kind in KINDS:
            totals[kind] += kinds.get(kind, 0)
        worst = max(worst, seen["differences"].get("logits", 0.0))
    figures["intervened_rows"], figures["largest_logits_difference"] = totals["compared"], worst
    for kind in KINDS:
        if totals[kind] < getattr(params, kind):
            yield Broken(f"{totals[kind]} {kind} rows compared, this scenario needs at least {getattr(params, kind)}")


@invariant()
def moved(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Tokens are moved if and only if beta is not 0, and the runtime's counters of them are the worker's."""
    totals = {"candidates": 0, "moved": 0}
    before: dict[str, float] = {}
    for one in observed(run):
        if isinstance(one, Broken):
            yield one
            return
        step, seen = one
        own = seen.get("tokens") or dict.fromkeys(totals, 0)
        for counter, name in (("candidate_tokens", "candidates"), ("moved_tokens", "moved")):
            if counter in run.counters and counted_in(run, step, counter, before) != own[name]:
                found = counted_in(run, step, counter, before)
                yield Broken.at(step, f"{counter.replace('_', ' ')} {found:g}, the worker counted {own[name]}")
                return
            totals[name] += own[name]
        before = {counter: step.of(counter) for counter in run.counters} | {"pass": pass_number(step)}
    figures["candidate_tokens"], figures["moved_tokens"] = totals["candidates"], totals["moved"]
    over = f"over {counted(len(run.decoding), 'decode step')}"
    if all(run.settings_of(step).get("beta") == 0 for step in run.decoding):
        if totals["moved"]:
            yield Broken(f"{counted(totals['moved'], 'token')} moved {over} with beta 0, none may be")
    elif not totals["candidates"]:
        yield Broken(f"candidate tokens 0 {over}")
    elif not totals["moved"]:
        yield Broken(f"moved tokens 0 of {totals['candidates']} candidates {over}")


def counted_in(run: Run, step: Step, counter: str, before: dict[str, float]) -> float:
    """A counter over this step; the worker reports those that may be ``any`` as totals since the install."""
    if run.counters[counter].must_be != "any" or before.get("pass") != pass_number(step):
        return step.of(counter)
    return step.of(counter) - before[counter]


def pass_number(step: Step) -> float:
    """Which pass with the runtime a step belongs to."""
    return step.repeat * 1000 + step.install


class Bank(Params, frozen=True):
    """``prompts``: so many distillers must have been held at once, at least.

    ``alone``: maximum capacity, in distillers, when one is left that came while low slots were free.
    """

    prompts: int = 1
    alone: int | None = None

    def __post_init__(self) -> None:
        self.at_least(1, "prompts", "alone")


@invariant(params=Bank)
def bank(run: Run, params: Bank, figures: Figures) -> Iterator[Broken]:
    """The distillers that prompts in flight need, and memory for them and not much more."""
    most = most_bytes = 0
    last: dict[str, Any] = {}
    for one in observed(run):
        if isinstance(one, Broken):
            yield one
            return
        step, seen = one
        wrong = seen["wrong"].get("bank")
        if wrong:
            yield Broken.at(step, sentence("bank", wrong))
            return
        held = seen["bank"]
        most, most_bytes, last = max(most, held["distillers"]), max(most_bytes, held["bytes"]), held
    if params.alone is not None and not (last.get("distillers") == 1 and last["capacity"] <= params.alone):
        yield Broken(
            f"bank: at the end {last.get('distillers')} distillers are held with capacity for {last.get('capacity')}, "
            f"one with capacity for {params.alone} at most is due"
        )
    figures["most_distillers"], figures["bank_bytes"] = most, most_bytes
    if most < params.prompts:
        yield Broken(f"{counted(most, 'distiller')} held at once, this scenario needs at least {params.prompts}")


class Learning(Params, frozen=True):
    """``fall``: share by which the loss against identity must fall from the first quarter of the steps to the last."""

    fall: float = 0.1
    min_steps: int = 16

    def __post_init__(self) -> None:
        self.at_least(8, "min_steps")
        if not 0 < self.fall < 1:
            raise ValueError("fall must lie between 0 and 1")


@invariant(params=Learning)
def learning(run: Run, params: Learning, figures: Figures) -> Iterator[Broken]:
    """Median of loss / identity loss on the same rows: the last quarter's is below the first's by ``fall``."""
    if len(run.decoding) < params.min_steps:
        yield Broken(f"{counted(len(run.decoding), 'decode step')} to learn from, {params.min_steps} needed")
        return
    losses, ratios = [], []
    for step in run.decoding:
        seen = step.observed or {}
        for name in ("loss", "identity_loss"):
            value = seen.get(name)
            if value is None or not math.isfinite(value) or value <= 0:
                yield Broken.at(step, f"{name.replace('_', ' ')} {value}: nothing to judge learning by")
                return
        losses.append(seen["loss"])
        ratios.append(seen["loss"] / seen["identity_loss"])
    quarter = len(ratios) // 4
    first, last = median(ratios[:quarter]), median(ratios[-quarter:])
    figures.update(loss_first=losses[0], loss_last=losses[-1], ratio_first=first, ratio_last=last)
    if len(set(losses)) == 1:
        yield Broken(f"loss {losses[0]:.4g} at every one of {counted(len(losses), 'decode step')}: nothing is learnt")
    elif last > first * (1 - params.fall):
        yield Broken(
            f"loss against identity went from {first:.3f} to {last:.3f} over {counted(len(losses), 'decode step')}, "
            f"it must fall by {params.fall:.0%}"
        )


class Learnt(Params, frozen=True):
    """Held against an untrained copy on the same rows, over each prompt's steps from ``after`` on.

    Attributes:
        loss: most that the loss may be of the untrained copy's.
        matched: of the pairs of rows that an untrained copy does not match, the least share that must be matched, by
            the median over prompts. Where the copy does worse than chance, half of the pairs count as matched by it.
        explained: least explained variance against the running mean of the targets before, by the mean over prompts.
        prompts, pairs: so many prompts, and pairs of rows of each, there must be to judge by.
    """

    loss: float = 0.75
    matched: float = 0.35
    explained: float = 0.02
    after: int = 80
    prompts: int = 1
    pairs: int = 500

    def __post_init__(self) -> None:
        self.at_least(1, "prompts", "pairs")
        if self.after % STEPS_A_BIN:
            raise ValueError(f"after must be a multiple of {STEPS_A_BIN}")


@invariant(params=Learnt)
def learnt(run: Run, params: Learnt, figures: Figures) -> Iterator[Broken]:
    """Later losses are well below an untrained copy's, and predictions distinguish one row's target from another's."""
    prompts = [sums for done in run.passes("patched") for sums in learnt_of(done.observed, params.after)]
    judged = [sums for sums in prompts if sums[PAIRS] >= params.pairs]
    if len(judged) < params.prompts:
        yield Broken(
            f"{counted(len(judged), 'prompt')} with {params.pairs} pairs of rows after {params.after} steps, "
            f"{params.prompts} needed"
        )
        return
    untrained = sum(sums[UNTRAINED_ERROR] for sums in judged)
    loss = sum(sums[ERROR] for sums in judged) / untrained if untrained else math.inf
    gains = [gain_of(sums) for sums in judged]
    explained = [1 - sums[ERROR] / sums[MEAN_ERROR] if sums[MEAN_ERROR] else -math.inf for sums in judged]
    figures.update(loss_against_untrained=loss, matched_gain=median(gains), matched_gain_least=min(gains))
    figures.update(explained_variance=mean(explained), explained_variance_least=min(explained))
    if not loss <= params.loss:
        yield Broken(
            f"loss {loss:.3f} of an untrained copy's after {params.after} steps, at most {params.loss:g} allowed"
        )
    if not median(gains) >= params.matched:
        yield Broken(
            f"predictions match {median(gains):.2f} of the pairs of rows that an untrained copy's do not (median of "
            f"{counted(len(gains), 'prompt')}), at least {params.matched:g} needed"
        )
    if not mean(explained) >= params.explained:
        yield Broken(
            f"predictions explain {mean(explained):.3f} of the targets' variance against their running mean after "
            f"{params.after} steps (mean of {counted(len(explained), 'prompt')}), at least {params.explained:g} needed"
        )


def gain_of(sums: list[float]) -> float:
    """The share of pairs matched of those that an untrained copy leaves unmatched: 0 if nothing is learnt."""
    untrained = max(sums[UNTRAINED_WON] / sums[PAIRS], 0.5)
    return (sums[WON] / sums[PAIRS] - untrained) / (1 - untrained) if untrained < 1 else 0.0


def learnt_of(seen: dict[str, Any] | None, after: int) -> Iterator[list[float]]:
    """For each prompt of a pass, its sums over the bins after ``after`` steps."""
    for bins in ((seen or {}).get("learnt") or {}).values():
        later = bins[after // STEPS_A_BIN :]
        if later:
            yield [sum(one[at] for one in later) for at in range(PAIRS + 1)]


@invariant(clauses=(count_clause(74, "chosen_rows", "{} rows as their requests chose"),))
def chosen(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Over HTTP: a request that does not want it has no row moved, one with a strength of its own has all of them."""
    exchanges = {one.name: one for one in run.result.exchanges} if run.result else {}
    total = 0
    for call in run.part.client:
        found = exchanges.get(call.name)
        if found is None or not call.extra or not call.whole:
            continue
        changed, (rows, _) = changes(found), expected(call, found)
        total += rows
        plain = rows if call.extra.get("esamp") == 0 else 0
        wanted = {"decode_rows": rows - plain, "plain_rows": plain, "intervened_rows": rows - plain}
        for name, right in wanted.items():
            if changed.get(name) != right:
                yield Broken(f"{call.name}: {name} is {changed.get(name)}, not {right}")
    figures["chosen_rows"] = total
    if not total:
        yield Broken("no request with a choice was seen")


@invariant()
def forgotten(run: Run, params: Params, figures: Figures) -> Iterator[Broken]:
    """Once a call is over, or its client is gone, no distiller is held for it."""
    for found in run.result.exchanges if run.result else []:
        for worker in found.after:
            held = {name: worker.get(name) for name in ("prompts", "distillers")}
            if any(held.values()) or None in held.values():
                yield Broken(f"{found.name}: still held behind it: {held}")
