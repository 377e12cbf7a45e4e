"""Cells from seeded binomials, judged as a run's are; and one set by hand, to be found again in every form."""

from __future__ import annotations

from typing import Any

import numpy as np

from patchkit.bench.accuracy_evidence import AccuracyEvidence
from patchkit.evals.analysis import curves, judge
from patchkit.evals.records import (
    BASELINE,
    Cell,
    Change,
    Judgement,
    Needed,
    Outcome,
    Rate,
    RequiredFigure,
    Solved,
    Throughput,
    Trial,
)
from patchkit.gates.evidence import Hardware, RuntimeUsed, Versions

WANTED = [RequiredFigure("score", 0.0, "how much it explains", "It had not learnt: such answers test it untrained.")]
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
    made_cell = Cell(
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
        throughput={mode: Throughput(ratio=0.78, low=0.63, high=0.88, pairs=trials) for mode in modes},
    )
    made_cell.curves = curves(made_cell)
    made_cell.judgements = [judge(made_cell, mode) for mode in modes]
    return made_cell


def by_hand(outcome: Outcome = "not resolved", *, n: int = 4, trials: int = 2, mode: str = "esamp") -> Cell:
    """Two problems, one gained in the second trial, with figures that are found nowhere else."""
    noise = 0.0777 if trials > 1 else None
    ends = {1: 0.0, n: 0.2}
    changes = [
        Change(
            k=k, before=0.311 + up, after=0.347 + up, difference=0.036, low=-0.0123, high=0.0845, p=0.188, noise=noise
        )
        for k, up in ends.items()
    ]
    moves: list[list[str]] = [["b"] if trial else [] for trial in range(trials)]
    return Cell(
        model="a/model",
        task="sums",
        about="Two sums.",
        n=n,
        problems=["a", "b"],
        modes={
            BASELINE: [
                Trial(seed=trial, correct=[n, 0], truncated=[1, 0], why={"wrong": 3}) for trial in range(trials)
            ],
            mode: [Trial(seed=trial, correct=[n, min(trial, 1)], counters={"steps": 7675}) for trial in range(trials)],
        },
        sampling={"temperature": 0.8},
        curves={
            BASELINE: [Rate(k=k, value=0.311 + up, low=0.05, high=0.95) for k, up in ends.items()],
            mode: [Rate(k=k, value=0.347 + up, low=0.06, high=0.96) for k, up in ends.items()],
        },
        judgements=[
            Judgement(
                mode=mode,
                outcome=outcome,
                why="this is why",
                advice="consider it",
                because=["this is the reason"],
                changes=changes,
                solved=[
                    Solved(trial=trial, before=1, after=1 + len(gained), gained=gained, lost=[], p=0.754)
                    for trial, gained in enumerate(moves)
                ],
                needed=[Needed(k=k, resolvable=0.455, problems=4321, samples=567 if k == 1 else None) for k in ends],
            )
        ],
        throughput={mode: Throughput(ratio=0.78, low=0.63, high=0.88, pairs=trials)},
    )


def watched(*scores: float | None, named: bool = False) -> Cell:
    """A cell whose runtime has a probe, with a mode for each score, ``m0`` and so on; None: not known."""
    modes = tuple(f"m{place}" for place in range(len(scores)))
    found = cell(count=8, n=4, modes=modes)
    found.figures = WANTED
    found.settings = {mode: {"preset": f"p{mode}"} for mode in modes} if named else {}
    for mode, score in zip(modes, scores, strict=True):
        for trial in found.modes[mode]:
            trial.observed = [None if score is None else {"score": score, "tokens": None, "note": ["a"]}] * 2
    found.judgements = [judge(found, mode) for mode in modes]
    return found


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
        cell("arithmetic-1", ability=(12, 0.6), seed=11, trials=3),
        cell("arithmetic-2", ability=(0.7, 1.1), lift=0.06, seed=12, trials=3),
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
