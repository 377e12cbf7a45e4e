"""Whether a runtime may be measured: figures count only if every gate is green on the same tree."""

from __future__ import annotations

from patchkit.errors import PatchkitError
from patchkit.gates.evidence import Evidence, RuntimeUsed, Verdict, default_path, read_evidence
from patchkit.gates.loading import load_scenarios
from patchkit.gates.scenario import select
from patchkit.gates.workspace import Workspace


def admit(workspace: Workspace) -> None:
    """Raise unless every gate of the project is green, by evidence of the same tree."""
    settings = workspace.settings
    command = f"patchkit gate --vllm {settings.release}" + (
        f" --device {settings.device}" if settings.device != "cpu" else ""
    )
    command += "" if settings.runner == "v1" else f" --runner {settings.runner}"
    scenarios = load_scenarios(settings.project, settings.runtime)
    gates = select(scenarios, release=settings.release)
    wanted = [gate.name for gate in gates if not gate.left_out_whole("eager", settings.device)]
    verdicts = of_evidence(workspace, command)
    for name in wanted:
        if name not in verdicts:
            raise PatchkitError(f"no benchmark yet: gate {name} was not run on this tree", f"run `{command}`")
        if not verdicts[name].passed:
            raise PatchkitError(
                f"no benchmark: gate {name} is red ({verdicts[name].reason})", f"fix it, then `{command}`"
            )


def of_evidence(workspace: Workspace, command: str) -> dict[str, Verdict]:
    """The verdicts that ``patchkit gate`` left for this release, device and tree."""
    settings = workspace.settings
    path = default_path(settings.project.state, "gate", settings.release, settings.device, settings.runner)
    if not path.exists():
        raise PatchkitError(
            f"no benchmark yet: no gate was run for vLLM {settings.release} on {settings.device}", f"run `{command}`"
        )
    evidence = read_evidence(path)
    if not same_tree(evidence, workspace):
        raise PatchkitError("no benchmark yet: the gates were run on another pin or other patches", f"run `{command}`")
    return {verdict.scenario: verdict for verdict in evidence.verdicts}


def same_tree(evidence: Evidence, workspace: Workspace) -> bool:
    """Whether evidence is of the tree that would be measured."""
    ours, theirs = RuntimeUsed.of(workspace.tree, workspace.settings.without), evidence.runtime
    alike = [(one.name, one.pin, one.patches, one.without) for one in (ours, theirs)]
    settings = workspace.settings
    ran = (evidence.release, evidence.device, evidence.runner, evidence.mode)
    same = alike[0] == alike[1] and theirs.runs_code_of(ours)
    return same and ran == (settings.release, settings.device, settings.runner, "eager")
