"""The user's settings for a run of scenarios: made once, by the command line or by pytest, and passed everywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from patchkit.gates.scenario import Part
from patchkit.mode import Mode
from patchkit.model_runner import ModelRunner
from patchkit.project import Project
from patchkit.release import release_name

TRACED = {"backend": "eager", "custom_ops": ["none"]}
"""Of ``CompilationConfig`` on CUDA: vLLM traces a model, cuts it into pieces and replays it from CUDA graphs, without
making code of it, which takes half a minute a load."""


@dataclass(frozen=True)
class Settings:
    """The options that every front end has; see ``patchkit gate --help``.

    Attributes:
        without: patches to leave out, by number or name.
        workers: parts of scenarios that run at once; None: as many as the device allows.
        variables: added to the worker's environment.
        runner: which of vLLM's model runners is taken.
        mode: how vLLM runs the forward pass, where a part does not say so itself.
        engine: keyword arguments of ``vllm.LLM``, below those that a part gives.
    """

    project: Project
    runtime: str
    release: str
    device: str = "cpu"
    python: Path | None = None
    model: str | None = None
    without: tuple[str, ...] = ()
    workers: int | None = None
    variables: tuple[tuple[str, str], ...] = ()
    runner: ModelRunner = "v1"
    mode: Mode = "eager"
    engine: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "release", release_name(self.release))  # evidence is looked for under it

    def engine_of(self, part: Part) -> dict[str, Any]:
        """Keyword arguments of ``vllm.LLM``, below those that the part gives itself."""
        if self.mode == "eager":
            return dict(self.engine)
        quick = self.device == "cuda" and "timing" not in part.watch  # what is timed is what users get
        traced = {"compilation_config": TRACED} if quick else {}
        return {"enforce_eager": False, **traced, **dict(self.engine)}

    def with_variables(self, *variables: tuple[str, str]) -> Settings:
        """The same, with more in the worker's environment."""
        return replace(self, variables=(*self.variables, *variables))

    def with_blocking_launches(self) -> Settings:
        """On a GPU, an assert in a kernel ends the step that launched it, instead of one some steps later."""
        return self.with_variables(("CUDA_LAUNCH_BLOCKING", "1")) if self.device == "cuda" else self
