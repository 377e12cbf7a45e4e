"""The scenarios of a project for one of its runtimes: the shared ones with its overlays on top, and its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from patchkit.documents import read_yaml
from patchkit.errors import PatchkitError
from patchkit.gates.invariants.own import own_invariants
from patchkit.gates.overlay import Overlay, is_overlay, merge, read_overlay
from patchkit.gates.scenario import Scenario, load_scenario, running_order
from patchkit.project import Project
from patchkit.series.manifest import load_manifest


def load_scenarios(project: Project, runtime: str) -> dict[str, Scenario]:
    """Every scenario by name: in their order.

    Raises:
        PatchkitError: a file cannot be read, or an overlay extends nothing; names the file and the field.
    """
    scenarios: dict[str, Scenario] = {}
    shared = sorted(project.scenarios.glob("*.yaml"))
    if not shared:
        raise PatchkitError(f"no scenario in {project.scenarios}", "a scenario is a YAML file; see CONTRIBUTING.md")
    for path in (*shared, *own_files(project, runtime)):
        scenario = scenario_at(path, project, runtime)
        if scenario is None:
            continue
        if scenario.name in scenarios:
            raise PatchkitError(f"{path}: there is a second scenario named {scenario.name!r}", "rename one of them")
        scenarios[scenario.name] = scenario
    for path, overlay in overlays(project, runtime):
        if not any(_named(one) == overlay.extends for one in shared):
            raise PatchkitError(
                f"{path}: extends: no shared scenario is named {overlay.extends!r}", f"see {project.scenarios}"
            )
    return {scenario.name: scenario for scenario in sorted(scenarios.values(), key=running_order)}


def scenario_at(path: Path, project: Project, runtime: str) -> Scenario | None:
    """The scenario in one file, with what the runtime adds to it; None for an overlay, which is part of another."""
    own, raw = own_invariants(_gates(project, runtime)), _read(path)
    if path.parent.resolve() == _gates(project, runtime).resolve():
        return None if is_overlay(raw) else load_scenario(raw, own, str(path))
    scenario, where = load_scenario(raw, own, str(path)), str(path)
    for overlay_path, overlay in overlays(project, runtime):
        if overlay.extends == scenario.name:
            raw, where = merge(raw, overlay, str(overlay_path)), f"{where} with {overlay_path}"
            scenario = load_scenario(raw, own, where)
    return for_plugin(scenario, project, runtime) if scenario.serves else scenario


def for_plugin(scenario: Scenario, project: Project, runtime: str) -> Scenario | None:
    """A scenario with a server, for the releases in which vLLM itself starts the runtime; None if it never does."""
    plugin = load_manifest(project, runtime).plugin
    return replace(scenario, releases=plugin.releases) if plugin else None


def overlays(project: Project, runtime: str) -> Iterator[tuple[Path, Overlay]]:
    """The runtime's files that extend a shared scenario, by name."""
    for path in own_files(project, runtime):
        raw = _read(path)
        if is_overlay(raw):
            yield path, read_overlay(raw, str(path))


def own_files(project: Project, runtime: str) -> list[Path]:
    """The runtime's scenarios and overlays."""
    return sorted(_gates(project, runtime).glob("*.yaml"))


def _gates(project: Project, runtime: str) -> Path:
    return project.patches / runtime / "gates"


def _read(path: Path) -> Any:
    """A file's plain values, parsed once while it is unchanged: every scenario reads every overlay."""
    try:
        stat = path.stat()
    except OSError:
        return read_yaml(path)  # which says why it cannot
    return _parsed(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _parsed(path: Path, changed: int, size: int) -> Any:
    return read_yaml(path)


def _named(path: Path) -> Any:
    raw = _read(path)
    return raw.get("name") if isinstance(raw, dict) else None
