"""The result of one tick: data that is printed, stored and acted upon."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from patchkit import __version__
from patchkit.drift.drift import Drift, document
from patchkit.drift.findings import Finding
from patchkit.gates.evidence import Evidence, now
from patchkit.model_runner import NAMES, ModelRunner
from patchkit.plural import counted
from patchkit.watch.report import Outcome, State, WatchedGate, WatchedRelease, WatchedRun, WatchReport

ORDER: tuple[Outcome, ...] = ("proven", "doubtful", "unproven", "refused", "red")
"""The best first."""

CODES: dict[State, int] = {"green": 0, "attention": 1, "unfinished": 2}
"""Exit codes."""


@dataclass
class RunnerGates:
    """The gates of a new release with one of vLLM's model runners.

    Attributes:
        gates: what they found.
        evidence: name of a file beside the report.
    """

    runner: ModelRunner
    outcome: Outcome
    why: str
    gates: Evidence | None = None
    evidence: str | None = None

    def reported(self) -> WatchedRun:
        verdicts = self.gates.verdicts if self.gates else []
        gates = [WatchedGate(scenario=one.scenario, passed=one.passed, reason=one.reason) for one in verdicts]
        return WatchedRun(runner=self.runner, outcome=self.outcome, why=self.why, evidence=self.evidence, gates=gates)


@dataclass
class NewRelease:
    """A release that is newer than the last proven one.

    Attributes:
        uploaded: the day it was released, if the index says.
        drift: what changed since the release before it; None until it was read.
        left_over: breaks of this release, and of those since the last proven one, that no patch fixes.
        refusal: why the series does not apply; empty if it does.
        outcome: None until it is known.
        why: one clause that explains the outcome.
        runs: of the gates, one with each model runner.
        lock: name of a file beside the report.
    """

    release: str
    uploaded: str | None = None
    drift: Drift | None = None
    left_over: int = 0
    refusal: str = ""
    outcome: Outcome | None = None
    why: str = ""
    runs: list[RunnerGates] = field(default_factory=list)
    lock: str | None = None

    @property
    def judged(self) -> list[Evidence]:
        """What the gates found, with each model runner with which they ran."""
        return [run.gates for run in self.runs if run.gates is not None]

    def conclude(self) -> None:
        """The outcome follows from the runs: the worst of them."""
        worst = max(self.runs, key=lambda run: ORDER.index(run.outcome))
        same = {run.why for run in self.runs}
        self.outcome = worst.outcome
        self.why = worst.why if len(same) == 1 else "; ".join(f"{NAMES[run.runner]}: {run.why}" for run in self.runs)

    @property
    def unpatched(self) -> list[Finding]:
        return self.drift.unpatched if self.drift else []

    def reported(self) -> WatchedRelease:
        return WatchedRelease(
            release=self.release,
            uploaded=self.uploaded,
            outcome=self.outcome,
            why=self.why,
            applies=None if self.outcome is None else not self.refusal,
            left_over=self.left_over,
            lock=self.lock,
            runs=[run.reported() for run in self.runs],
            drift=document([self.drift])[0] if self.drift else None,
        )


@dataclass
class Tick:
    """One look at the index and what came of it; ``unfinished`` until the very end."""

    runtime: str
    device: str
    dry: bool = False
    began: str = field(default_factory=now)
    seconds: float = 0.0
    pin: str = ""
    last_proven: str = ""
    asked: str | None = None
    news: list[NewRelease] = field(default_factory=list)
    state: State = "unfinished"
    doing: str = "starting"
    why: str = ""

    @property
    def code(self) -> int:
        return CODES[self.state]

    @property
    def proven(self) -> list[str]:
        return [one.release for one in self.news if one.outcome == "proven"]

    @property
    def unpatched(self) -> list[Finding]:
        return [finding for one in self.news for finding in one.unpatched]

    def finish(self) -> None:
        """Everything was looked at: the state follows from what was found."""
        self.state = "green" if all(one.outcome == "proven" for one in self.news) else "attention"
        self.doing = self.why = ""

    def break_off(self, why: str) -> None:
        self.state, self.why = "unfinished", f"{why}, while {self.doing}" if self.doing else why

    @property
    def verdict(self) -> str:
        if self.state == "unfinished":
            return f"this tick did not finish: {self.why or f'it was {self.doing} when it was last heard of'}"
        if not self.news:
            return f"nothing is newer than vLLM {self.last_proven}, the last proven one"
        first = counted(len(self.news), "new release")
        return "; ".join([f"{first}: {', '.join(self._outcomes())}", *self._breaks()])

    def _outcomes(self) -> Iterator[str]:
        counts = Counter(one.outcome for one in self.news)
        for outcome in ("proven", "doubtful", "red", "unproven", "refused"):
            if counts[outcome]:
                yield f"{counts[outcome]} {outcome}"

    def _breaks(self) -> Iterator[str]:
        left = self.unpatched
        silent = sum(finding.severity == "silent" for finding in left)
        if left:
            silent_part = f", {silent} of them silent" if 0 < silent < len(left) else ""
            kind = " silent" if silent == len(left) else ""
            yield f"{counted(len(left), f'unpatched{kind} break')}{silent_part}"

    @property
    def title(self) -> str:
        """Of an issue: short, and the same as long as nothing changes."""
        if self.state == "unfinished":
            return f"The watch for new vLLM releases did not finish ({self.runtime})"
        if not self.news:
            return f"Nothing is newer than vLLM {self.last_proven} ({self.runtime})"
        newest = self.news[-1].release
        said = next(self._breaks(), "") or ", ".join(self._outcomes())
        return f"vLLM {newest} is out: {said} ({self.runtime})"

    @property
    def digest(self) -> str:
        """The same as long as there is nothing new to say: times and figures do not count."""
        said = [
            *(self.runtime, self.device, self.pin, self.last_proven, self.state, self.why),
            [
                [
                    *(one.release, one.outcome, one.why, one.left_over),
                    [str(finding) for finding in (one.drift.findings if one.drift else ())],
                    [verdict.scenario for found in one.judged for verdict in found.verdicts if not verdict.passed],
                ]
                for one in self.news
            ],
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    def report(self) -> WatchReport:
        return WatchReport(
            patchkit=__version__,
            state=self.state,
            verdict=self.verdict,
            title=self.title,
            digest=self.digest,
            dry_run=self.dry,
            runtime=self.runtime,
            pin=self.pin,
            device=self.device,
            began=self.began,
            seconds=self.seconds,
            asked=self.asked,
            last_proven=self.last_proven,
            doing=self.doing,
            why=self.why,
            proven=self.proven,
            releases=[one.reported() for one in self.news],
        )
