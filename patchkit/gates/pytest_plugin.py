"""The pytest plugin: every scenario is an item, run by the same runner as ``patchkit gate``.

It is loaded wherever patchkit is installed, so it imports nothing heavy until a scenario is collected, and takes the
short names of its options only inside a project of patchkit: elsewhere ``--device`` belongs to another plugin.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from patchkit.gates.evidence import Verdict
    from patchkit.gates.workspace import Workspace


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Which vLLM, on what, with which runtime: ``--patchkit-vllm`` everywhere, ``--vllm`` too in a patchkit project."""
    group = parser.getgroup("patchkit", "scenarios on a patched runtime inside real vLLM")
    ours = is_project(getattr(pluginmanager.get_plugin("pytestconfig"), "rootpath", Path.cwd()))

    def add(name: str, **how: Any) -> None:
        names = [f"--patchkit-{name}", *([f"--{name}"] if ours else [])]
        group.addoption(*names, dest=f"patchkit_{name}", **how)

    add(
        "vllm",
        metavar="RELEASE",
        help="vLLM release (default: $PATCHKIT_VLLM, else the newest proven one, if possible one that is built).",
    )
    add("device", choices=["cpu", "cuda"], default="cpu", help="Where vLLM runs (default: cpu).")
    add("runner", choices=["v1", "v2"], default="v1", help="Which of vLLM's model runners (default: v1, the first).")
    add("runtime", metavar="NAME", help="Runtime under patches/ (default: the only one).")
    add("python", metavar="PATH", help="Interpreter that already has vLLM; no environment is built.")
    add("model", metavar="PATH_OR_HUB_ID", help="Run on this model instead of the embedded ones.")
    add("without", action="append", default=[], metavar="PATCH", help="Leave this patch out (repeatable).")
    add("graphs", action="store_true", help="Compile the forward pass, and on CUDA replay it from graphs.")
    group.addoption(
        "--scenario-workers",
        dest="patchkit_workers",
        type=int,
        metavar="N",
        help="Scenarios that run at once, without xdist.",
    )


def is_project(folder: Path) -> bool:
    """Whether a folder, or one above it, holds a patchkit runtime."""
    return any(next(one.glob("patches/*/runtime.yaml"), None) for one in (folder, *folder.parents))


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "gate: a scenario that must pass.")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect scenario files, and no other YAML."""
    if file_path.suffix != ".yaml":
        return None
    from patchkit.gates.pytest_items import ScenarioFile, is_scenario_file

    if not is_scenario_file(file_path, explicit=parent.session.isinitpath(file_path)):
        return None
    file: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return file


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the scenarios within the positions they have among the other tests."""
    if any(hasattr(item, "scenario") for item in items):
        from patchkit.gates.pytest_items import in_order

        items[:] = in_order(items)


@pytest.fixture(scope="session")
def patched_runtime(request: pytest.FixtureRequest) -> Iterator[Workspace]:
    """The workspace: ``.tree`` is the patched runtime, ``.environment`` the interpreter with vLLM it runs in."""
    from patchkit.gates.pytest_session import session_of

    workspace = session_of(request.config).runner.workspace
    _ = workspace.environment, workspace.tree
    yield workspace


@pytest.fixture(scope="session")
def run_scenario(patched_runtime: Workspace) -> Callable[[str | Path | dict[str, Any]], Verdict]:
    """Run a scenario (a path, the name of one in ``scenarios/``, or a mapping) and return its verdict."""
    from patchkit.gates.invariants.own import own_invariants
    from patchkit.gates.loading import load_scenarios
    from patchkit.gates.runner import Runner
    from patchkit.gates.scenario import load_scenario, select

    settings, runner = patched_runtime.settings, Runner(patched_runtime)

    def run(source: str | Path | dict[str, Any]) -> Verdict:
        if isinstance(source, str) and not source.endswith((".yaml", ".yml")) and os.sep not in source:
            known = load_scenarios(settings.project, settings.runtime)
            scenario = select(known, [source], settings.release)[0]
        else:
            own = own_invariants(settings.project.patches / settings.runtime / "gates")
            scenario = load_scenario(Path(source) if isinstance(source, str) else source, own)
        left = scenario.fitting(settings.mode, settings.device)
        if left is None:
            pytest.skip(scenario.left_out_whole(settings.mode, settings.device))
        return runner.run(left)

    return run
