"""Cells of every shape, from seeded binomials; their statistics are rough, for a report does not ask where they are from."""

from __future__ import annotations

from typing import Any

import numpy as np

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.estimator import pass_at_k
from patchkit.evals.record import (
    BASELINE,
    Cell,
    Change,
    Judgement,
    Needed,
    Rate,
    Shape,
    Solved,
    Throughput,
    Trial,
)
from patchkit.gates.evidence import Hardware, RuntimeUsed, Versions

Made = dict[str, list[Trial]]
REASONS = ["no answer was given", "AssertionError", "SyntaxError: invalid syntax", "timed out after 5 s"]


def cell(
    task: str = "arithmetic-2",
    *,
    model: str = "HuggingFaceTB/SmolLM2-135M",
    count: int = 64,
    n: int = 16,
    trials: int = 2,
    ability: tuple[float, float] = (0.5, 1.2),
    lift: float = 0.0,
    modes: tuple[str, ...] = ("esamp",),
    shape: Shape = "not resolved",
    names: str = "{task}-{number:03}",
    breadth: bool = True,
    seed: int = 1,
) -> Cell:
    """A cell whose problems' chances are drawn from a Beta distribution, and lifted by ``lift`` in the other modes."""
    draw = np.random.default_rng(seed)
    problems = [names.format(task=task, number=number) for number in range(count)]
    chances = draw.beta(*ability, count)
    made: Made = {BASELINE: [_trial(draw, chances, n, breadth) for _ in range(trials)]}
    for mode in modes:
        made[mode] = [_trial(draw, np.clip(chances + lift, 0, 1), n, breadth, mode) for _ in range(trials)]
    rates = {mode: _rates(each, n) for mode, each in made.items()}  # [problems, k]
    return Cell(
        model=model,
        task=task,
        about="Sums of three two-digit numbers; the last integer of the answer is compared.",
        n=n,
        problems=problems,
        modes=made,
        sampling={"temperature": 0.8, "top_p": 0.95, "min_p": 0.1, "max_tokens": 48 + count},
        engine={"dtype": "float32", "enforce_eager": True},
        runtime={"rank": 64, "beta": 0.8},
        sandbox="namespaces by unshare (user, pid, net, mount), rlimits: 10 s, 512 MiB" if "eval" in task else "",
        curves={mode: _curve(rate, draw) for mode, rate in rates.items()},
        judgements=[_judgement(mode, shape, problems, made, rates, n, draw) for mode in modes],
        throughput={mode: Throughput(ratio=0.78, low=0.63, high=0.88, pairs=trials) for mode in modes},
    )


def evidence(*cells: Cell, **more: Any) -> AccuracyEvidence:
    """A run of these cells."""
    return AccuracyEvidence(
        command="patchkit bench matrix matrix.yaml --vllm 0.20.0",
        began="2026-11-22T10:00:00+00:00",
        seconds=4211.0,
        release="0.20.0",
        device="cpu",
        runtime=RuntimeUsed(name="esamp", pin="878f027b20b2c0ffee", patches=["0005-Learn-ids", "0007-Clear-the-tail"]),
        versions=Versions(python="3.11.7", torch="2.11.0", vllm="0.20.0", transformers="4.57.1"),
        hardware=Hardware(cpu="AMD EPYC", cores=2, memory_gib=23.5),
        seed=17,
        cells=list(cells),
        **{"gates": "9 of 9 gates green in gate-0.20.0-cpu.json of 2026-11-21", **more},
    )


def matrix(**more: Any) -> AccuracyEvidence:
    """One model on four tasks: what a first run on a CPU looks like."""
    return evidence(
        cell("arithmetic-1", ability=(12, 0.6), shape="saturated", seed=11, trials=3),
        cell("arithmetic-2", ability=(0.7, 1.1), lift=0.06, shape="trajectory headroom only", seed=12, trials=3),
        cell("arithmetic-3", ability=(0.2, 4), seed=13, trials=3, lift=0.004),
        cell("humaneval", ability=(0.15, 2.2), count=40, names="HumanEval/{number}", seed=14, trials=3),
        **more,
    )


def _trial(draw: np.random.Generator, chances: Any, n: int, breadth: bool, mode: str = "") -> Trial:
    correct = draw.binomial(n, chances)
    wrong = int(n * len(chances) - correct.sum())
    shares = [round(float(share), 3) for share in draw.uniform(0.3, 0.8, len(chances))]
    whys = draw.multinomial(wrong, [0.5, 0.3, 0.15, 0.05])
    return Trial(
        seed=int(draw.integers(2**31)),
        correct=[int(count) for count in correct],
        answers=list(shares) if breadth else [None] * len(chances),
        approaches=[None] * len(chances),
        truncated=[int(count) for count in draw.binomial(n, 0.08, len(chances))],
        tokens=41_213,
        seconds=212.4,
        counters={"decode_rows": 40_112.0, "loss_last": 0.8123, "skipped": None} if mode else {},
        why={why: int(often) for why, often in zip(REASONS, whys, strict=True) if often},
    )


def _rates(trials: list[Trial], n: int) -> Any:
    rates = [[[pass_at_k(n, c, k) for k in range(1, n + 1)] for c in trial.correct] for trial in trials]
    return np.array(rates).mean(axis=0)


def _curve(rates: Any, draw: np.random.Generator) -> list[Rate]:
    means = _resampled(rates, draw)
    return [
        Rate(k=k + 1, value=float(rates[:, k].mean()), low=float(low), high=float(high))
        for k, (low, high) in enumerate(zip(*np.percentile(means, [2.5, 97.5], axis=0), strict=True))
    ]


def _resampled(rates: Any, draw: np.random.Generator) -> Any:
    return np.stack([rates[draw.integers(len(rates), size=len(rates))].mean(axis=0) for _ in range(200)])


def _judgement(
    mode: str, shape: Shape, problems: list[str], made: Made, rates: Any, n: int, draw: np.random.Generator
) -> Judgement:
    before, after = rates[BASELINE], rates[mode]
    low, high = np.percentile(_resampled(after - before, draw), [2.5, 97.5], axis=0)
    several = len(made[BASELINE]) > 1
    changes = [
        Change(
            k=k + 1,
            before=float(before[:, k].mean()),
            after=float(after[:, k].mean()),
            difference=float((after - before)[:, k].mean()),
            low=float(low[k]),
            high=float(high[k]),
            p=0.0312 if low[k] > 0 or high[k] < 0 else 0.4321,
            noise=0.0123 if several else None,
            direction=int(low[k] > 0) - int(high[k] < 0),
        )
        for k in range(n)
    ]
    told = {"use it": "both rates rise", "skip it": "no rate rises", "consider it": f"only pass@{n} rises"}
    advice: Any = {"trajectory headroom only": "consider it", "token and trajectory headroom": "use it"}
    return Judgement(
        mode=mode,
        shape=shape,
        why=f"pass@1 moves by {100 * changes[0].difference:+.1f} points and pass@{n} by "
        f"{100 * changes[-1].difference:+.1f}: {shape}.",
        advice=advice.get(shape, "skip it"),
        because=[f"The shape: {told[advice.get(shape, 'skip it')]}.", "The model answers in 92.0% of its samples."],
        changes=changes,
        solved=[
            _solved(number, problems, *pair)
            for number, pair in enumerate(zip(made[BASELINE], made[mode], strict=True), 1)
        ],
        needed=[
            Needed(k=k, resolvable=0.031 * (1 + k / 16), problems=311, samples=96 if k == 1 else None)
            for k in {1: 0, n: 0}
        ],
    )


def _solved(number: int, problems: list[str], before: Trial, after: Trial) -> Solved:
    pairs = list(zip(problems, before.correct, after.correct, strict=True))
    return Solved(
        trial=number,
        before=sum(c > 0 for c in before.correct),
        after=sum(c > 0 for c in after.correct),
        gained=[problem for problem, was, now in pairs if now and not was],
        lost=[problem for problem, was, now in pairs if was and not now],
        p=0.6250,
    )
