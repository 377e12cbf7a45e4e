"""``patchkit bench throughput``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from patchkit.bench.throughput import Findings, ThroughputBench, engine_maker
from patchkit.bench.throughput_evidence import ThroughputEvidence
from patchkit.bench.throughput_plan import ThroughputPlan, read_loads, read_modes, read_settings
from patchkit.bench.workspace_source import required_counters
from patchkit.console import ProgressLine, out, working
from patchkit.documents import key_values
from patchkit.environments.models.shapes import ensure_shapes
from patchkit.errors import PatchkitError
from patchkit.files import check_place
from patchkit.gates.evidence import default_path, write_evidence
from patchkit.gates.settings import Settings
from patchkit.gates.workspace import Workspace
from patchkit.mode import Mode
from patchkit.model_runner import ModelRunner
from patchkit.project import find_project
from patchkit.report.throughput.terminal import row_line, show_text
from patchkit.verbs.accuracy import missing_proof
from patchkit.verbs.accuracy_run import slug
from patchkit.verbs.latest import release_for
from patchkit.verbs.written import publish

MODEL = "smollm2-135m"
PROFILE_TOKENS = 40
TOKENS = {"cpu": 32, "cuda": 128}
PAIRS = {"cpu": 6, "cuda": 12}
"""With six pairs the interval reaches from the lowest to the highest; with twelve it leaves two out at either end."""


@dataclass(frozen=True, kw_only=True)
class ThroughputOptions:
    """See ``patchkit bench throughput --help``."""

    release: str
    runtime: str
    device: str
    python: Path | None
    runner: ModelRunner
    model: str | None
    shapes: str | None
    loads: str
    modes: str
    settings: tuple[str, ...]
    pairs: int | None
    tokens: int | None
    gpu_memory: float | None
    engine: tuple[str, ...]
    profile: bool
    steps_memory: int
    uninstalled: bool
    unproven: bool
    evidence: Path | None
    as_json: bool

    def plan(self) -> ThroughputPlan:
        """What is measured; one line for anything wrong with it."""
        if self.model and self.shapes:
            raise PatchkitError("--model and --shapes are both given", "give one of them")
        if self.gpu_memory and self.device == "cpu":
            raise PatchkitError("--gpu-memory is for --device cuda", "leave it out")
        return ThroughputPlan(
            model=self.shapes or self.model or MODEL,
            random_weights=bool(self.shapes),
            loads=read_loads(self.loads),
            modes=read_modes(self.modes),
            settings=read_settings(self.settings),
            pairs=self.pairs or PAIRS[self.device],
            tokens=self.tokens or TOKENS[self.device],
            device=self.device,
            memory=self.gpu_memory or 0.0,
            engine=key_values(self.engine, "--engine"),
            profile_tokens=PROFILE_TOKENS if self.profile else 0,
            memory_steps=self.steps_memory,
            uninstalled=self.uninstalled,
        )


def throughput(options: ThroughputOptions) -> int:
    """Measure, and write the evidence; 1 unless every row is a figure."""
    began, plan = time.monotonic(), options.plan()
    project = find_project()
    release = release_for(options.release, options.runtime, options.runner, options.device)
    model = str(ensure_shapes(plan.model)) if plan.random_weights else plan.model
    settings = Settings(project, options.runtime, release, options.device, options.python, model, runner=options.runner)
    name = slug(f"throughput-{Path(plan.model).name}")
    where = options.evidence or default_path(project.state, name, release, options.device, options.runner)
    check_place(where)
    with Workspace(settings, plan.engines) as workspace:
        unproven = missing_proof(workspace, options.unproven)
    with Workspace(compiling(settings, plan.modes), plan.engines) as workspace:
        with working(f"importing vLLM {release}"):
            workspace.worker_client.wait_ready()
        evidence = begin(workspace, plan, unproven)
        for found in measure(plan, workspace, options.as_json):
            fill(evidence, found, began)
            write_evidence(where, evidence)
    evidence.finished = True

    def show(name: str) -> None:
        show_text(evidence, out)
        out.print(f"[dim]{name}[/dim]")

    publish(evidence, [where], options.as_json, show)
    return 0 if evidence.passed else 1


def compiling(settings: Settings, modes: Sequence[Mode]) -> Settings:
    """On a CPU ``graphs`` is what torch.compile makes of the model, which workers of gates have off."""
    compiled = settings.device == "cpu" and "graphs" in modes
    return settings.with_variables(("TORCHDYNAMO_DISABLE", "0")) if compiled else settings


def measure(plan: ThroughputPlan, workspace: Workspace, quiet: bool) -> Iterator[Findings]:
    """Everything so far, after each row and at the end; each row is a line as soon as it is known."""
    tree = workspace.tree
    make = engine_maker(workspace.worker_client, plan, workspace.model(plan.model), tree, workspace.settings.device)
    words = ""
    with ProgressLine(lambda: words, quiet) as progress:

        def say(doing: str) -> None:
            nonlocal words
            words = doing

        bench = ThroughputBench(plan, make, lambda given: required_counters(tree.runtime, given.values), say)
        for row in bench.rows():
            row.why = workspace.without_folders(row.why, tree)
            if not quiet:
                progress.print(row_line(row))
            yield bench.found
    yield bench.found


def fill(evidence: ThroughputEvidence, found: Findings, began: float) -> None:
    """Put what was measured so far into the evidence."""
    evidence.rows, evidence.profiles, evidence.memory = found.rows, found.profiles, found.memory
    evidence.engines, evidence.runners_seen = found.engines, sorted(found.runners)
    evidence.seconds = round(time.monotonic() - began, 1)


def begin(workspace: Workspace, plan: ThroughputPlan, unproven: str) -> ThroughputEvidence:
    """The evidence as far as it is known before the first run."""
    settings = workspace.settings
    gates = "" if unproven else f"every gate green on this tree, vLLM {settings.release}, {settings.device}"
    return ThroughputEvidence(
        **structs.asdict(workspace.circumstances()),
        unproven=unproven,
        gates=gates,
        model=plan.model,
        random_weights=plan.random_weights,
        tokens=plan.tokens,
        pairs=plan.pairs,
        modes=list(plan.modes),
        prompt=plan.prompts,
        sampling=dict(plan.sampling),
    )
